package diameter

import (
	"errors"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

var (
	errBits        = &fault{code: resultInvalidBits, text: "a request with the E bit"}
	errApplication = &fault{code: resultUnsupportedApp, text: "not the Gx application"}
	errUnsupported = &fault{code: resultUnsupportedCommand, text: "not a Credit-Control-Request"}
	errNode        = &fault{code: resultNotAuthorized, text: "the peer may not speak for this Origin-Host"}
	errTooMany     = errors.New("too many requests wait for their commit")
)

// accept takes a request that is not of the base protocol: decode, submit, and
// answer when it is durable. Its answer is all that becomes of a request that
// cannot be taken.
func (c *conn) accept(m frame, now time.Time) {
	c.fields = fields{}
	err := c.understand(m, now)
	if err != nil {
		c.peer.counts.refused.Add(1)
		c.tellRefused(err)
		c.refuse(m, err)
		return
	}
	c.peer.counts.noted(c.request.Notes)
	c.offer(m)
}

// tellRefused logs why a request is refused; what an operator must act on at a
// limited rate.
func (c *conn) tellRefused(err error) {
	switch {
	case !errors.Is(err, errNode):
		c.log.Debug("request refused", "err", err)
	case c.server.warnings.Allow():
		c.log.Warn("request refused", "node", c.request.Event.Node, "result", resultNotAuthorized, "err", err)
	}
}

// understand makes an event of a request.
func (c *conn) understand(m frame, now time.Time) error {
	switch {
	case m.flags()&flagError != 0:
		return errBits
	case m.application() != appGx:
		return errApplication
	case m.command() != cmdCreditControl:
		return errUnsupported
	}
	if err := c.fields.collect(m); err != nil {
		return err
	}
	rule := c.rule.Load()
	origin := Origin{Arrived: now, Owner: c.owner(), Link: c.link, MSISDNStrip: rule.MSISDNStrip, store: c.store}
	if err := c.request.decode(m, &c.fields, &origin); err != nil {
		return err
	}
	if !rule.allows(c.request.Event.Node) {
		return errNode
	}
	return nil
}

// offer submits the event of the request that was understood. What becomes of
// it is answered exactly once.
func (c *conn) offer(m frame) {
	if err := c.place(&c.request); err != nil {
		c.answer(m, resultFor(err), nil)
		return
	}
	token, ok := c.open.begin(m, &c.fields)
	if !ok {
		c.log.Debug("request refused", "err", errTooMany)
		c.answer(m, resultTooBusy, nil)
		return
	}
	ev := c.request.Event
	ev.Ack, ev.Token = c.open, token
	if err := c.server.submit(ev); err != nil {
		c.open.settle(token, resultFor(err))
		return
	}
	c.node.pass(ev.OriginState)
}

// place notes who spoke. A peer that tells its Origin-State-Id with the
// connection need not repeat it in each request.
func (c *conn) place(r *Request) error {
	ev := &r.Event
	if !c.node.current(ev.Owner, ev.Node) {
		c.node = c.server.nodes.hear(ev.Owner, ev.Node, c.peer, true, ev.Arrived)
	}
	if c.node == nil {
		return binding.ErrCapacity
	}
	if ev.OriginState == 0 && strings.EqualFold(ev.Node, c.peer.host) {
		ev.OriginState = c.shown
	}
	return nil
}

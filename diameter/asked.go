package diameter

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/simbind/simbind/binding"
)

// maxMoves bounds how often one request is sent elsewhere.
const maxMoves = 3

// An asked request waits for its answer.
type asked struct {
	message frame
	session []byte
	as      askedAs
	moves   int
	// done holds one when there is an answer, or none will come.
	done   chan struct{}
	answer frame
	err    error
}

// askedAs is how an answer names its request.
type askedAs struct {
	on       *conn
	hopByHop uint32
}

// Ask sends a request with the AVPs of its own that avps holds, and waits for
// the answer, until ctx ends or for the configured time; the answer is the
// caller's. A request that a connection does not answer is sent on another
// with the T bit (RFC 6733 section 5.5.4), and so is one that an agent could
// not deliver: whoever asks must not mind that it is carried out twice. Errors
// wrap [ErrUnreachable], [ErrNoAnswer], [binding.ErrBusy], or are that of ctx.
func (c *Client) Ask(ctx context.Context, command uint32, avps []byte) (Message, error) {
	limit, cancel := context.WithTimeoutCause(ctx, c.cfg.AnswerTimeout, ErrNoAnswer)
	defer cancel()
	a := c.newAsked(command, avps)
	if err := c.begin(a); err != nil {
		c.counts.refused.Add(1)
		return Message{}, err
	}
	defer c.end(a)
	select {
	case <-a.done:
		return Message{a.answer}, a.err
	case <-limit.Done():
		c.counts.overdue.Add(1)
		return Message{}, context.Cause(limit)
	}
}

// newAsked makes a request; its order of AVPs is that of TS 29.329 clause
// 6.1.1.
func (c *Client) newAsked(command uint32, avps []byte) *asked {
	session := c.nextSession()
	b := appendHeader(nil, flagRequest|flagProxiable, command, c.cfg.Application, 0, c.server.nextEndToEnd())
	b = appendAVP(b, avpSessionID, session)
	b = c.appendApplication(b)
	b = append(b, c.server.identity...)
	if c.cfg.DestinationHost != "" {
		b = appendAVP(b, avpDestinationHost, c.cfg.DestinationHost)
	}
	b = appendAVP(b, avpDestinationRealm, c.cfg.DestinationRealm)
	b = endMessage(append(b, avps...), 0)
	return &asked{message: b, session: []byte(session), done: make(chan struct{}, 1)}
}

// begin sends a request for the first time.
func (c *Client) begin(a *asked) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting >= c.cfg.InFlight {
		return fmt.Errorf("%d Diameter requests wait: %w", c.waiting, binding.ErrBusy)
	}
	if !c.send(a, nil) {
		return ErrUnreachable
	}
	c.waiting++
	c.counts.asked.Add(1)
	return nil
}

// end forgets a request.
func (c *Client) end(a *asked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, a.as)
	c.waiting--
}

// send puts a request on a connection, but not on except; the caller holds the
// mutex.
func (c *Client) send(a *asked, except *conn) bool {
	for {
		to := c.server.upstreams.choose(a.session, func(to *conn) bool { return to != nil && to != except && !to.leaving.Load() && !to.ended() })
		if to == nil {
			return false
		}
		as := askedAs{to, to.nextHopByHop()}
		a.message.setHopByHop(as.hopByHop)
		if !to.out.add(a.message) {
			to.end(errSlow)
			continue
		}
		delete(c.asked, a.as)
		a.as = as
		c.asked[as] = a
		to.out.flush()
		return true
	}
}

// move sends a request again, elsewhere; the caller holds the mutex.
func (c *Client) move(a *asked, from *conn) bool {
	if a.moves++; a.moves > maxMoves {
		return false
	}
	a.message[4] |= flagRetransmit
	if !c.send(a, from) {
		return false
	}
	c.counts.moved.Add(1)
	return true
}

// finish hands the answer, or why there is none, to who waits for it; the
// caller holds the mutex.
func (c *Client) finish(a *asked, answer frame, err error) {
	delete(c.asked, a.as)
	a.answer, a.err = answer, err
	signal(a.done)
}

// answered takes an answer. One that does not fit the request in all that
// names it is dropped: the right one may still come.
func (c *Client) answered(on *conn, m frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.asked[askedAs{on, m.hopByHop()}]
	if a == nil || !a.fits(m) {
		c.counts.unexpected.Add(1)
		on.peer.counts.unexpected.Add(1)
		return
	}
	if m.flags()&flagError != 0 {
		if result, err := resultOf(m); err == nil && elsewhere(resultCode(result)) && c.move(a, on) {
			return
		}
	}
	c.finish(a, slices.Clone(m), nil)
}

// elsewhere reports that another agent may be able to do what this one could
// not (RFC 6733 section 7.1.3).
func elsewhere(result resultCode) bool {
	return result == resultUnableToDeliver || result == resultTooBusy
}

// fits reports whether m answers the request. An agent that reports an error
// may leave the Session-Id out (RFC 6733 section 7.2).
func (a *asked) fits(m frame) bool {
	if m.command() != a.message.command() || m.application() != a.message.application() || m.endToEnd() != a.message.endToEnd() {
		return false
	}
	session := sessionOf(m)
	return bytes.Equal(session, a.session) || session == nil && m.flags()&flagError != 0
}

// failover sends what a connection did not answer elsewhere. If there is
// nowhere, it waits on, unless the connection is gone.
func (c *Client) failover(from *conn, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !gone && c.server.upstreams.choose(nil, func(to *conn) bool { return to != nil && to != from && !to.troubled.Load() }) == nil {
		return
	}
	var list []*asked
	for as, a := range c.asked {
		if as.on == from {
			list = append(list, a)
		}
	}
	for _, a := range list {
		if !c.move(a, from) && gone {
			c.finish(a, nil, fmt.Errorf("the connection ended: %w", ErrUnreachable))
		}
	}
}

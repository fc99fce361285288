package diameter

import (
	"fmt"
	"strings"
	"time"
)

// Values of Disconnect-Cause (RFC 6733 section 5.4.3).
const (
	causeRebooting = 0
	causeBusy      = 1
	causeUnwanted  = 2 // DO_NOT_WANT_TO_TALK_TO_YOU
)

// admit answers the first message, which has to be a
// Capabilities-Exchange-Request. An error means that the peer is not admitted;
// it was told why.
func (c *conn) admit(m frame) error {
	if m.command() != cmdCapabilities || !m.request() {
		return errNotCER
	}
	said, err := readCapabilities(m)
	if err != nil {
		c.refuse(m, err)
		return err
	}
	result, why := c.judge(&said)
	if result == resultSuccess {
		result, why = c.take(&said)
	}
	c.answerCapabilities(m, result)
	if result != resultSuccess {
		return fmt.Errorf("%q of realm %q is not admitted: %s (%d)", said.host, said.realm, why, result)
	}
	return nil
}

// judge says whether a peer may connect that says this of itself.
func (c *conn) judge(said *capabilities) (resultCode, string) {
	s := c.server
	rule := s.admission.ruleFor(said.host, said.realm, c.from)
	c.rule.Store(rule)
	switch {
	case rule == nil:
		return resultUnknownPeer, "no entry of diameter.peers admits it"
	case string(s.peers.self) == strings.ToLower(said.host):
		return resultUnknownPeer, "it has our own name"
	case !c.certified(said.host):
		return resultUnknownPeer, "its certificate has another name"
	case !said.common(s.applications):
		return resultNoCommonApp, "it does not have the Gx application"
	case !said.secure():
		return resultNoCommonSecurity, "it insists on security within the connection"
	}
	return resultSuccess, ""
}

// take makes this the connection of its peer, or not.
func (c *conn) take(said *capabilities) (resultCode, string) {
	s, now := c.server, c.server.now()
	one, loser, result := s.peers.open(c, said.host, said.realm, said.state, now)
	if result == resultElectionLost && !c.initiator {
		loser.probe()
		if c.outlives(loser) {
			now = s.now() // what it said meanwhile was before this
			one, loser, result = s.peers.open(c, said.host, said.realm, said.state, now)
		}
	}
	switch {
	case result == resultElectionLost:
		return result, "it is connected already"
	case result != resultSuccess:
		return result, "there are too many peers"
	}
	c.peer = one
	if loser != nil {
		loser.end(errReplaced)
	}
	c.log = c.log.With("host", one.host)
	c.watchMu.Lock()
	c.watch = newWatchdog(one.fails.Load() && c.initiator)
	c.troubled.Store(c.watch.state != linkOkay)
	c.watchMu.Unlock()
	c.heard.Store(time.Now().UnixNano())
	c.admitted.Store(true)
	c.settle(one)
	s.opened(c, said, now)
	if c.troubled.Load() {
		c.expire() // the first watchdog leaves at once
	}
	return resultSuccess, ""
}

// outlives waits a moment for the end of another connection of the same peer: a
// peer that closed it and connects again at once may be heard here first. Of two
// that each side opened one is to go at once.
func (c *conn) outlives(other *conn) bool {
	if c.initiator != other.initiator {
		return false
	}
	select {
	case <-other.done:
		return true
	case <-c.done:
	case <-time.After(overlap):
	}
	return false
}

// base takes a message of the base protocol, after the capabilities exchange.
func (c *conn) base(m frame, now time.Time) error {
	if err := c.server.told(c, originState(m), false, now); err != nil {
		return err
	}
	if !m.request() {
		if m.command() == cmdDisconnect {
			return errLeft // the answer to ours
		}
		return nil
	}
	switch m.command() {
	case cmdCapabilities:
		// Once more: the peer gets the same answer (RFC 6733 section 5.6, R-Open).
		c.answerCapabilities(m, resultSuccess)
	case cmdWatchdog:
		c.answerWatchdog(m)
	case cmdDisconnect:
		c.answerDisconnect(m)
	}
	return nil
}

func (c *conn) answerCapabilities(m frame, result resultCode) {
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = appendAnswerHeader(buf, m, result)
		buf = appendUint32(buf, avpResultCode, uint32(result))
		buf = c.server.appendCapabilities(buf, c.raw.LocalAddr())
		buf = endMessage(buf, start)
	}
	c.out.unlock(buf)
}

func (c *conn) answerWatchdog(m frame) {
	c.answerBase(m, resultSuccess, c.server.state)
}

// answerDisconnect agrees to the end of the connection. The peer closes it
// (RFC 6733 section 5.4); if it does not, we do.
func (c *conn) answerDisconnect(m frame) {
	c.answerBase(m, resultSuccess, nil)
	cause := disconnectCause(m)
	c.unwanted.Store(cause == causeUnwanted)
	c.log.Info("the peer disconnects", "cause", cause)
	c.leave()
}

func (c *conn) answerBase(m frame, result resultCode, more []byte) {
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = appendAnswerHeader(buf, m, result)
		buf = appendUint32(buf, avpResultCode, uint32(result))
		buf = append(buf, c.server.identity...)
		buf = append(buf, more...)
		buf = endMessage(buf, start)
	}
	c.out.unlock(buf)
}

// leave notes that the connection is about to end in order, and wakes the
// writer to see that it does.
func (c *conn) leave() {
	c.leaving.Store(true)
	signal(c.hurry)
}

// disconnect asks the peer to end the connection. Anyone may call it.
func (c *conn) disconnect(cause uint32) {
	if c.leaving.Swap(true) {
		return
	}
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = appendHeader(buf, flagRequest, cmdDisconnect, appBase, c.nextHopByHop(), c.server.nextEndToEnd())
		buf = append(buf, c.server.identity...)
		buf = appendUint32(buf, avpDisconnectCause, cause)
		buf = endMessage(buf, start)
	}
	c.out.unlock(buf)
	c.out.flush()
	signal(c.hurry)
}

// watchdogRequest asks for a sign of life.
func (c *conn) watchdogRequest() {
	c.asked.Store(time.Now().UnixNano())
	buf, ok := c.out.lock()
	if ok {
		start := len(buf)
		buf = appendHeader(buf, flagRequest, cmdWatchdog, appBase, c.nextHopByHop(), c.server.nextEndToEnd())
		buf = append(buf, c.server.identity...)
		buf = append(buf, c.server.state...)
		buf = endMessage(buf, start)
	}
	c.out.unlock(buf)
	c.out.flush()
}

func (c *conn) nextHopByHop() uint32 { return c.hopByHop.Add(1) }

// originState is the Origin-State-Id in a message of the base protocol, zero if
// it tells none.
func originState(m frame) uint32 {
	n, err := m.number(avpOriginStateID)
	if err != nil {
		return 0
	}
	return n.value
}

func disconnectCause(m frame) uint32 {
	n, _ := m.number(avpDisconnectCause)
	return n.value
}

// number finds one number among the AVPs of a message.
func (f frame) number(code uint32) (n number, err error) {
	w := newWalk()
	err = w.each(f.avps(), 0, func(a avp) error {
		if a.is(0, code) {
			return n.set(a)
		}
		return nil
	})
	return n, err
}

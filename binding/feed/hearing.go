package feed

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// A ChangeHeard is told of each change of another site as it is published: the
// site and the address; an invalid address stands for any. It must not block.
type ChangeHeard func(site string, addr binding.Address)

// siteCallbacks are those of the connection to other sites: what was missed on it
// may have been anything.
func (f *Feed) siteCallbacks() []nats.Option {
	missed := func() {
		if f.cfg.Changes != nil {
			f.cfg.Changes("", binding.Address{})
		}
	}
	listening := func(*nats.Conn) { f.sites.listen(true) }
	return []nats.Option{
		nats.ErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
			f.refused(err)
			missed()
			if sub != nil && sub.Subject == heartbeatSubject("*") {
				listening(nc) // anew
			}
		}),
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			f.sites.listen(false)
			missed()
		}),
		nats.ConnectHandler(listening),
		nats.ReconnectHandler(listening),
	}
}

// hearChanges listens to the changes of other sites as plain messages.
func (f *Feed) hearChanges(nc *nats.Conn) error {
	sub, err := nc.Subscribe(streamSubjects, f.hearChange)
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return sub.SetPendingLimits(changesPending, -1)
}

// hearChange tells what may have changed: of a change that cannot be read, it is
// everything.
func (f *Feed) hearChange(msg *nats.Msg) {
	site := subjectSite(msg.Subject)
	if site == f.cfg.Site {
		return
	}
	c, err := parseChange(site, msg.Data)
	if err != nil {
		f.cfg.Changes("", binding.Address{})
		return
	}
	if c.Addr != "" || c.Kind != binding.SIMChange.String() { // that is about a number: what it means for addresses is told by itself
		addr, err := c.address()
		if err != nil {
			addr = binding.Address{}
		}
		f.cfg.Changes(site, addr)
	}
	member, term := parseMember(msg.Header.Get(memberHeader))
	f.sites.hears(&c, member, term)
}

// changesPending is how many changes of other sites may wait to be heard.
const changesPending = 1 << 16

// Abreast reports whether what was kept of a site's answers may still be given:
// what it said lately was heard, it knows all and takes all in, and every change that it
// had decided by its last heartbeat was heard. An answer that was got in another
// epoch may not be given.
func (f *Feed) Abreast(site string) (epoch uint64, ok bool) {
	s := f.sites
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.bySite[site]
	if k == nil || k.silent(now) || k.last.Warming || !k.last.Ingesting || k.last.Seq > k.heard {
		return 0, false
	}
	return k.epoch, true
}

// hears counts a change that was heard, after what it is about became void. Where
// some are missing before it, what they were about is not known. The caller does
// not hold the lock.
func (s *sites) hears(c *toldChange, member string, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.bySite[c.Site]
	switch {
	case k == nil || c.Incarnation != k.last.Incarnation || member != k.last.Member || term != k.last.Term:
		// of whoever speaks for the site before or after the one whose heartbeats we hear
	case c.Seq == k.heard+1:
		k.heard = c.Seq
	case c.Seq > k.heard:
		s.begin(k, c.Seq)
	}
}

// weigh holds a new heartbeat of a site against the one before it and what was
// heard since, when it arrives. The caller holds the lock.
func (s *sites) weigh(k *knownSite, h *heartbeat, at time.Time) {
	last := &k.last
	switch {
	case h.Incarnation != last.Incarnation || h.Member != last.Member || h.Term != last.Term || !h.Started.Equal(last.Started):
	case h.Seq < last.Seq: // it has lost some
	case k.silent(at): // nobody knows what was lost meanwhile
	case last.Seq > k.heard: // changes are held up, or were lost on the way
	default:
		return
	}
	s.begin(k, h.Seq)
}

// begin begins an epoch of a site: who asks from now on gets an answer that has
// all changes up to seq in it. The caller holds the lock.
func (s *sites) begin(k *knownSite, seq uint64) {
	s.epochs++
	k.epoch, k.heard = s.epochs, seq
}

package feed

import (
	"fmt"

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
	if c.Addr == "" && c.Kind == binding.SIMChange.String() {
		return // it is about a number: what it means for addresses is told by itself
	}
	addr, err := c.address()
	if err != nil {
		addr = binding.Address{}
	}
	f.cfg.Changes(site, addr)
}

// changesPending is how many changes of other sites may wait to be heard.
const changesPending = 1 << 16

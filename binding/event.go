package binding

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Why an event was not taken. A source translates them into its own protocol.
var (
	// ErrBusy: the queue is full; the peer should repeat.
	ErrBusy = errors.New("busy")
	// ErrClosed: the Registry is stopping.
	ErrClosed = errors.New("registry is stopping")
	// ErrCapacity: no room for a new session (rule T14).
	ErrCapacity = errors.New("capacity reached")
	// ErrJournal: the journal cannot commit; nothing is durable.
	ErrJournal = errors.New("journal is down")
)

// A Kind says what happened to a session or to a node.
type Kind uint8

// The kinds of events.
const (
	SessionStart  Kind = iota + 1 // establishment: CCR-I, Start, Create Session
	SessionUpdate                 // modification or refresh: CCR-U, Interim-Update
	SessionStop                   // release: CCR-T, Stop, Delete Session
	NodeRestart                   // all earlier sessions of the node are gone (rule T7); of a followed site, all that it has not told since NodeBehind
	NodeDown                      // the transport to the node is lost; ends nothing (rule T8)
	NodeUp                        // the node is heard again without a restart; of a followed site, each heartbeat by whose Time all its news was heard
	NewsLost                      // events of observed nodes were missed (rule T12); it names no node
	NodeCurrent                   // of a followed site: all its news up to now was heard
	NodeBehind                    // of a followed site: some was not, what it said is unconfirmed
	NumberKnown                   // a directory says what number the SIM in IMSI has, MSISDN zero for none; it names no node
)

var kindNames = [...]string{"none", "session-start", "session-update", "session-stop", "node-restart", "node-down", "node-up", "news-lost", "node-current", "node-behind", "number-known"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind%d", uint8(k))
}

// An Event is one fact that a source learned about a session or a node.
//
// It keeps nothing that aliases a receive buffer, so a source may reuse its
// buffer as soon as Submit returns; Addrs and Gone belong to the Registry from
// then on.
type Event struct {
	Kind   Kind
	Source Source
	// Owner is who brought the event: the client entry (secret or certificate) or
	// the group of entries that stand for each other, of a Gx connection its
	// peer's identity or group, of what is overheard the address that sent it.
	// Two owners that use one node's name are two nodes. Empty for sources whose
	// Node is itself the sender's address, and for other sites.
	Owner string
	// Node is the owner of the session: Origin-Host, NAS-Identifier or
	// NAS-IP-Address, GTP-C entity, PFCP Node ID. Empty only for NewsLost and
	// NumberKnown.
	Node string
	// Also is a second name that came beside Node in the same message
	// (NAS-IP-Address beside NAS-Identifier): the same node, if it comes with no
	// other one. Empty if there was none.
	Also string
	// Session is the session's id, unique within (Source, Owner, Node); empty for
	// events of a node.
	Session string

	// Observed says that the event was overheard on the wire: its node does not
	// know of us and will not repeat what we missed (rule T12).
	Observed bool

	// Arrived is when the edge received it, by our clock, before any queue of
	// ours. Zero: when the Registry decides about it.
	Arrived time.Time
	// Time is what the node's own clock says (Event-Timestamp, RFC 2869 section
	// 5.3): the time of the event or, as many a node has it, of its sending. Zero:
	// it tells none.
	Time time.Time
	// Delay is for how long the node has been trying to send it (Acct-Delay-Time,
	// RFC 2866 section 5.2), in whole seconds; Delayed says that it tells so, if
	// only zero.
	Delay   time.Duration
	Delayed bool
	// Age is how long the session had existed (Acct-Session-Time, RFC 2866
	// section 5.7), in whole seconds; Aged says that the node tells so, if only
	// zero.
	Age  time.Duration
	Aged bool
	// Link names the ordered transport that the event came by, one connection or
	// one capture, by a number that this process never uses again: what comes by
	// one Link happened in the order of coming. Zero: datagrams, in any order.
	Link uint64
	// Repeated says that the event may have been sent before (the T bit, RFC 6733
	// section 3).
	Repeated bool
	// Refused says that whoever had to grant the session did not, or did not answer
	// (RFC 6733 section 7.1): what becomes of it is not known, only that its node had
	// given it the addresses when it asked.
	Refused bool
	// Order is the place of the event within its session (CC-Request-Number plus
	// one, RFC 8506 section 8.2): what is greater is later. Zero: not known.
	Order uint32
	// OriginState is the Origin-State-Id that came with it (RFC 6733 section
	// 8.16): a greater one than the node's last tells of its restart. Of a
	// NodeRestart it is the node's new one, greater or not. Zero: none.
	OriginState uint32
	// Blind is how late an event may come whose node tells no time at all; zero
	// means the configured one.
	Blind time.Duration

	MSISDN MSISDN
	IMSI   IMSI
	IMEI   IMEI
	APN    string
	RAT    RAT

	// Addrs are addresses that the session holds. With Complete, the session
	// holds no other address of the families named in Addrs: IPv4, blocks of
	// ports, IPv6.
	Addrs    []Address
	Complete bool
	// Gone are addresses that the session gave up while it goes on; an IPv4
	// address without ports includes its blocks of ports.
	Gone []Address

	// Lease is how long the session counts without a refresh; zero means the
	// configured lease.
	Lease time.Duration
	// Contexts is the set of bearer contexts (bit n: NSAPI n) that the event
	// speaks for, zero if the network does not say. A stop that names contexts
	// without Last ends the session only when none is left (3GPP TS 29.061
	// clause 16.4.7.2, Session-Stop-Indicator).
	Contexts uint16
	Last     bool

	// The next four are of SourceFeed alone, where Node is another site and each
	// address of that site is a session. Domain names the address domain, which
	// elsewhere follows from the APN. Via is the owner of the session at the
	// site. Version is the site's number of the change that made the holder.
	// Doubt is why the site itself does not rely on the binding, ReasonBound if
	// it does; one of the reasons that come with ambiguous, stale or unknown.
	Domain  string
	Via     string
	Version uint64
	Doubt   Reason

	// Memo is what the source wants to find again after a restart of the
	// program, at most MaxMemo octets that only the source understands. It is
	// kept beside the session in the journal until the session ends, and belongs
	// to the Registry from then on. Nil changes nothing; events that end a
	// session, or are of a node, have none.
	Memo []byte

	// Ack is told about Token once the event is durable, or that it never will
	// be. Nil if nobody waits.
	Ack   Acknowledger
	Token uint64
}

// MaxMemo bounds Event.Memo; a longer one is not kept.
const MaxMemo = 1024

// An Acknowledger is told the fate of each submitted event exactly once: nil
// after the journal's commit, ErrCapacity if it was refused, ErrJournal or
// ErrClosed if it was given up. It is called from one goroutine of the
// Registry and must not block.
type Acknowledger interface {
	Acknowledge(token uint64, err error)
}

// A SubmitFunc offers an event to the Registry. It never blocks. On an error
// (ErrBusy, ErrClosed) the event was not taken and Ack will not be called.
type SubmitFunc func(Event) error

// busyWait is how long Wait waits before it offers an event again.
const busyWait = 2 * time.Millisecond

// Wait offers an event until the Registry has room for it, or ctx ends. It
// blocks meanwhile.
func (offer SubmitFunc) Wait(ctx context.Context, ev Event) error {
	for {
		err := offer(ev)
		if !errors.Is(err, ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(busyWait):
		}
	}
}

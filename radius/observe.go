package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// Why an observed request does not count.
var (
	// ErrUnknownClient: clients are configured, and it came from none of them.
	ErrUnknownClient = errors.New("not from a client")
	// ErrNotAuthentic: an authenticator is not of the client's secret, or one
	// that is required is missing.
	ErrNotAuthentic = errors.New("not authentic")
	// ErrNode: the client may not speak for the node.
	ErrNode = errNode
)

// An Observer reads the accounting that others exchange, as a [Server] reads
// its own: the same requests become the same events of the same nodes. It is
// owned by one goroutine and does no I/O.
type Observer struct {
	clients *clients // nil: anybody, unchecked
	anybody *client
	nodes   *nodes
	digest  *digester
	names   *names
	fields  fields
	request Request
	family  []string
}

// NewObserver makes an Observer. Without clients it takes what anybody sends
// and can check no authenticator; with clients it takes only what is theirs.
func NewObserver(list []Client) (*Observer, error) {
	o := &Observer{anybody: &client{}, nodes: newNodes(nil), digest: newDigester(), names: newNames()}
	if len(list) == 0 {
		return o, nil
	}
	var err error
	o.clients, err = newClients(list, func(name string) *clientCounts { return &clientCounts{name: name} })
	return o, err
}

func (o *Observer) clientOf(from netip.Addr) *client {
	if o.clients == nil {
		return o.anybody
	}
	return o.clients.lookup(from)
}

// Length is the length of the packet that the datagram starts with; what
// follows is padding. The error wraps [ErrMalformed].
func (o *Observer) Length(datagram []byte) (int, error) {
	p, err := newPacket(datagram)
	return len(p), err
}

// Check reports whether a datagram from that address is an Accounting-Request
// that counts once it is answered. The error wraps [ErrMalformed],
// [ErrUnknownClient] or [ErrNotAuthentic].
func (o *Observer) Check(datagram []byte, from netip.Addr) error {
	c := o.clientOf(from)
	if c == nil {
		return ErrUnknownClient
	}
	p, err := newPacket(datagram)
	switch {
	case err != nil:
		return err
	case p.code() != codeAccountingRequest:
		return errCode
	case o.clients == nil:
		return o.fields.collect(p)
	}
	if reason, err := check(o.digest, &o.fields, p, c); err != nil {
		if reason == dropMalformed {
			return err
		}
		return fmt.Errorf("%w: %w", ErrNotAuthentic, err)
	}
	return nil
}

// Answers reports whether a datagram is the Accounting-Response to a request
// that passed Check. Where no secret is known it is any with the request's
// Identifier.
func (o *Observer) Answers(response, request []byte, from netip.Addr) bool {
	c := o.clientOf(from)
	p, err := newPacket(response)
	q, errRequest := newPacket(request)
	if c == nil || err != nil || errRequest != nil || p.code() != codeAccountingResponse || p.id() != q.id() {
		return false
	}
	return o.clients == nil || o.digest.checkResponse(p, (*authenticator)(q.authenticator()), c.Secret)
}

// Decode makes events of a request that passed Check and was answered; arrived
// is when it came. A restart ends the sessions of every name that the NAS is
// known by, so that there may be several events; for a status that is no event
// there is none. They keep nothing of the datagram and are valid until the next
// call. The error wraps [ErrMalformed], [ErrUnknownClient] or [ErrNode].
func (o *Observer) Decode(datagram []byte, from netip.Addr, arrived time.Time, events []binding.Event) ([]binding.Event, Notes, error) {
	c := o.clientOf(from)
	if c == nil {
		return events, 0, ErrUnknownClient
	}
	p, err := newPacket(datagram)
	if err != nil {
		return events, 0, err
	}
	if err := o.fields.collect(p); err != nil {
		return events, 0, err
	}
	node, ok := o.nodes.heard(&o.fields, from, c, arrived)
	if !ok {
		return events, 0, ErrNode
	}
	origin := Origin{From: from, Arrived: arrived, MSISDNStrip: c.MSISDNStrip, names: o.names}
	if err := o.request.decode(&o.fields, &origin, node); err != nil {
		return events, 0, err
	}
	ev := o.request.Event
	switch ev.Kind {
	case 0:
		return events, o.request.Notes, nil
	case binding.NodeRestart:
		o.family = o.nodes.family(&o.fields, from, ev.Node, o.family[:0])
		for _, name := range o.family {
			if c.allows(name) {
				ev.Node = name
				events = append(events, ev)
			}
		}
		return events, o.request.Notes, nil
	}
	return append(events, ev), o.request.Notes, nil
}

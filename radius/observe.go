package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
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
// its own: the same requests become the same events, of the same nodes where a
// client has the same name or group here and there. It is owned by one goroutine
// and does no I/O.
type Observer struct {
	clients *clients // nil: anybody, unchecked
	anybody *client
	digest  *digester
	names   *names
	fields  fields
}

// NewObserver makes an Observer. Without clients it takes what anybody sends
// and can check no authenticator; with clients it takes only what is theirs.
func NewObserver(list []Client) (*Observer, error) {
	o := &Observer{anybody: &client{}, digest: newDigester(), names: newNames()}
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

// Decode reads a request that passed Check and was answered; arrived is when it
// was captured. Its event is owned by the client or, where none is configured,
// by the address that sent it. The Request keeps nothing of the datagram. The
// error wraps [ErrMalformed], [ErrUnknownClient] or [ErrNode].
func (o *Observer) Decode(datagram []byte, from netip.Addr, arrived time.Time) (r Request, err error) {
	c := o.clientOf(from)
	if c == nil {
		return Request{}, ErrUnknownClient
	}
	p, err := newPacket(datagram)
	if err != nil {
		return Request{}, err
	}
	if err := o.fields.collect(p); err != nil {
		return Request{}, err
	}
	who := o.names.nas(&o.fields, from)
	if !c.speaksFor(&who) {
		return Request{}, ErrNode
	}
	origin := c.origin(from, arrived, o.names)
	if o.clients == nil {
		origin.Owner = o.names.addr(from)
	}
	if err := r.decode(&o.fields, &origin, who); err != nil {
		return Request{}, err
	}
	return r, nil
}

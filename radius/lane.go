package radius

import (
	"errors"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// A lane is one way in which requests come: a UDP socket or a TLS connection.
// Its reader goroutine takes them in their order; its sender goroutine answers
// as outcomes come.
type lane struct {
	server *Server
	table  *transactions
	done   *completions
	// patience is how long a full queue is waited for: on TLS, where nobody
	// repeats, the wait holds back the peer.
	patience time.Duration
	// held is for how long TLS may have held a request, see Origin.Held.
	held time.Duration

	// Owned by the reader.
	digest  *digester
	names   *names
	fields  fields
	request Request
}

func newLane(s *Server, transactions int) *lane {
	return &lane{
		server: s, table: newTransactions(transactions, s.cfg.DuplicateWindow), done: newCompletions(),
		digest: newDigester(), names: newNames(),
	}
}

// Acknowledge takes the fate of an event from the Registry.
func (l *lane) Acknowledge(token uint64, err error) { l.settle(token, outcomeOf(err)) }

// settle hands an outcome to the sender.
func (l *lane) settle(token uint64, o outcome) {
	l.done.put(completion{token, o}, int(l.table.capacity))
}

// receive takes one datagram of a client, which arrived then. It reports whether
// it began a transaction, which will end; an error means that the datagram is
// not an authentic request.
func (l *lane) receive(
	datagram []byte, c *client, from netip.Addr, peer *sockaddr, asked *local, arrived time.Time,
) (began bool, err error) {
	s := l.server
	p, err := newPacket(datagram)
	if err != nil {
		s.drop(c, dropMalformed, from, err)
		return false, err
	}
	if reason, err := check(l.digest, &l.fields, p, c); err != nil {
		s.drop(c, reason, from, err)
		return false, err
	}
	c.counts.received(&l.fields, p)
	key := requestKey{peer: *peer, auth: authenticator(p.authenticator()), id: p.id(), code: p.code()}
	waits := 1
	if s.home != nil && p.code() == codeAccountingRequest {
		waits = 2
	}
	// A NAS that starts anew may repeat itself to the octet: the sessions since are
	// gone with each Accounting-On. One that is only a repetition costs those
	// sessions a doubt.
	each := p.code() == codeAccountingRequest && l.fields.restarts()
	token, v := l.table.begin(&key, asked, c, p, waits, each, arrived)
	switch v {
	case fresh:
		return l.process(token, p, c, from, arrived), nil
	case another:
		if s.home != nil {
			s.home.again(l, token, p)
		}
		l.restarted(token, c, from, arrived)
	case open:
		c.counts.dropped[dropInFlight].Add(1)
		if s.home != nil {
			s.home.again(l, token, p)
		}
	case answered:
		c.counts.repeats.Add(1)
		l.settle(token, outcomeRepeat)
	case full:
		s.drop(c, dropFull, from, errTableFull)
	}
	return false, nil
}

var (
	errTableFull     = errors.New("too many requests wait for their commit")
	errAuthenticator = errors.New("the Request Authenticator is not of this client's secret")
	errMessage       = errors.New("the Message-Authenticator is not of this client's secret")
	errNoMessage     = errors.New("no Message-Authenticator")
	errNode          = errors.New("the client may not speak for this node")
)

// check verifies the authenticators of a client's request and collects the
// fields.
func check(d *digester, f *fields, p packet, c *client) (dropReason, error) {
	auth := d.zero[:]
	switch p.code() {
	case codeAccountingRequest:
		if !d.checkRequest(p, c.Secret) {
			return dropAuthenticator, errAuthenticator
		}
	case codeStatusServer:
		auth = p.authenticator()
	default:
		return dropCode, errCode
	}
	if err := f.collect(p); err != nil {
		return dropMalformed, err
	}
	switch at := f.message; {
	case at != 0 && !d.checkMessage(p, at, auth, c.key):
		return dropMessage, errMessage
	case at == 0 && (c.RequireMessageAuthenticator || p.code() == codeStatusServer):
		return dropNoMessage, errNoMessage
	}
	return 0, nil
}

// process takes a request that is new. It reports whether the transaction goes
// on.
func (l *lane) process(token uint64, p packet, c *client, from netip.Addr, arrived time.Time) bool {
	s, who := l.server, l.names.nas(&l.fields, from)
	if p.code() == codeStatusServer {
		s.nodes.alive(c, who, arrived)
		l.settle(token, outcomeDurable)
		return true
	}
	if !c.speaksFor(&who) {
		l.table.forget(token)
		s.drop(c, dropNode, from, errNode)
		return false
	}
	s.nodes.heard(c, who, arrived)
	origin := l.origin(c, from, arrived)
	err := l.request.decode(&l.fields, &origin, who)
	if err != nil {
		s.drop(c, dropMalformed, from, err)
		if s.home == nil {
			l.table.forget(token)
			return false
		}
	}
	c.counts.noted(l.request.Notes)
	if s.home != nil {
		s.home.forward(l, token, p)
	}
	if err != nil || l.request.Event.Kind == 0 {
		l.settle(token, outcomeDurable)
	} else {
		l.offer(token, &l.request.Event)
	}
	return true
}

// origin is what a request of a client does not say about itself.
func (l *lane) origin(c *client, from netip.Addr, arrived time.Time) Origin {
	o := c.origin(from, arrived, l.names)
	o.Held = l.held
	return o
}

// restarted takes an Accounting-On or -Off once more, of a transaction that goes
// on.
func (l *lane) restarted(token uint64, c *client, from netip.Addr, arrived time.Time) {
	who := l.names.nas(&l.fields, from)
	origin := l.origin(c, from, arrived)
	if !c.speaksFor(&who) || l.request.decode(&l.fields, &origin, who) != nil {
		l.settle(token, outcomeDurable) // the clients changed meanwhile
		return
	}
	l.offer(token, &l.request.Event)
}

// offer submits an event; what becomes of it is settled exactly once.
func (l *lane) offer(token uint64, ev *binding.Event) {
	ev.Ack, ev.Token = l, token
	err := l.server.submit(*ev)
	for waited := time.Duration(0); errors.Is(err, binding.ErrBusy) && waited < l.patience; waited += busyPause {
		time.Sleep(busyPause)
		err = l.server.submit(*ev)
	}
	if err != nil {
		l.settle(token, outcomeOf(err))
	}
}

const busyPause = 5 * time.Millisecond

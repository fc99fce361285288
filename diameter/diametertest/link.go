package diametertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
)

// A link is one simulated PCEF and its connection, which is made again when it
// breaks.
type link struct {
	o     Options
	stats *stats
	room  chan struct{} // one for each request that waits

	// sending keeps requests in order; it is taken before mu, which is not held
	// while anything is written.
	sending sync.Mutex

	mu      sync.Mutex
	node    Node
	peer    *Peer // nil while there is none
	waiting map[*waitingRequest]struct{}
}

// A waitingRequest has no answer yet.
type waitingRequest struct {
	wire        []byte
	sent        bool
	first, last time.Time
	session     string
	typ         RequestType
	number      uint32
	endToEnd    uint32
}

// dialTime bounds one attempt to connect, closeTime the disconnection.
const (
	dialTime  = 2 * time.Second
	closeTime = time.Second
)

func newLink(o Options, node Node, stats *stats) *link {
	return &link{o: o, node: node, stats: stats, room: make(chan struct{}, o.Window), waiting: map[*waitingRequest]struct{}{}}
}

// dial connects and sends again what waits.
func (l *link) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, min(l.o.Timeout, dialTime))
	defer cancel()
	self, _ := l.now()
	var d dialer = &net.Dialer{}
	if l.o.TLS != nil {
		d = &tls.Dialer{Config: l.o.TLS}
	}
	p, err := dial(ctx, d, l.o.Server, self, answerReAuth)
	if err != nil {
		return err
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	l.mu.Lock()
	l.peer = p
	again := slices.SortedFunc(maps.Keys(l.waiting), func(a, b *waitingRequest) int { return a.first.Compare(b.first) })
	for _, w := range again {
		w.last = time.Now()
	}
	l.mu.Unlock()
	for _, w := range again {
		if w.sent {
			w.wire[4] |= diam.RetransmittedFlag
			l.stats.Retransmitted.Add(1)
		}
		l.transmit(p, w)
	}
	return nil
}

// answerReAuth agrees to what a PCRF asks for.
func answerReAuth(p *Peer, request Message) *diam.Message {
	if request.Header.CommandCode == diam.ReAuth {
		return p.Local.Answer(request, Success)
	}
	return p.Default(request)
}

// run keeps the connection up and gives up what waits for too long.
func (l *link) run(ctx context.Context) {
	tick := time.NewTicker(min(l.o.Timeout/4, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if l.broken() && l.dial(ctx) == nil {
				l.stats.reconnected.Add(1)
			}
			l.giveUp(now)
		}
	}
}

// broken reports that the connection has ended.
func (l *link) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peer != nil && l.peer.Err() != nil {
		l.peer = nil
	}
	return l.peer == nil
}

func (l *link) giveUp(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.waiting {
		if now.Sub(w.last) > l.o.Timeout {
			l.stats.Lost.Add(1)
			l.finish(w)
		}
	}
}

func (l *link) finish(w *waitingRequest) {
	delete(l.waiting, w)
	<-l.room
}

// send waits for room and sends one request, or returns the error of ctx.
func (l *link) send(ctx context.Context, s Session, typ RequestType, number uint32) error {
	select {
	case l.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	self, peer := l.now()
	m := s.Request(typ, number, self, l.destination(peer))
	m.Header.MessageLength = uint32(m.Len())
	wire, err := m.Serialize()
	if err != nil {
		<-l.room
		return fmt.Errorf("encode: %w", err)
	}
	at := time.Now()
	w := &waitingRequest{wire: wire, first: at, last: at, session: s.ID, typ: typ, number: number, endToEnd: m.Header.EndToEndID}
	l.mu.Lock()
	l.waiting[w] = struct{}{}
	l.mu.Unlock()
	l.stats.Sent.Add(1)
	if peer != nil {
		l.transmit(peer, w)
	}
	return nil
}

// now is who the node is, and its connection if there is one.
func (l *link) now() (Node, *Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.node, l.peer
}

func (l *link) destination(p *Peer) Node {
	to := l.o.To
	if to.Realm == "" && p != nil {
		to.Realm = p.Remote.Realm
	}
	return to
}

// transmit is called with sending held. What cannot be sent waits for the next
// connection.
func (l *link) transmit(p *Peer, w *waitingRequest) {
	err := p.StartRaw(w.wire, func(m Message, err error) {
		if err == nil {
			l.answered(w, m)
		}
	})
	w.sent = w.sent || err == nil
}

func (l *link) answered(w *waitingRequest, m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, waits := l.waiting[w]; !waits {
		l.stats.late.Add(1)
		return
	}
	l.stats.Answered.Add(1)
	l.stats.Latencies.Add(time.Since(w.first))
	l.stats.judged(m.Result(), w.wrong(m))
	l.finish(w)
}

// wrong says what is wrong with an answer, which came under the hop-by-hop id
// of the request, or nothing.
func (w *waitingRequest) wrong(m Message) string {
	typ, _ := m.Number(avp.CCRequestType)
	number, _ := m.Number(avp.CCRequestNumber)
	failed := m.Header.CommandFlags&diam.ErrorFlag != 0 || m.Result()/1000 != 2
	switch {
	case m.Header.CommandCode != diam.CreditControl || m.Header.ApplicationID != Gx:
		return fmt.Sprintf("command %d of application %d answers a CCR", m.Header.CommandCode, m.Header.ApplicationID)
	case m.Header.EndToEndID != w.endToEnd:
		return "another end-to-end identifier"
	case m.Header.CommandFlags&diam.ProxiableFlag == 0:
		return "the P bit is not the request's"
	case m.Result() == 0:
		return "no Result-Code"
	case m.Text(avp.OriginHost) == "" || m.Text(avp.OriginRealm) == "":
		return "no Origin-Host or Origin-Realm"
	case m.Text(avp.SessionID) != w.session:
		return fmt.Sprintf("Session-Id %q answers %q", m.Text(avp.SessionID), w.session)
	case !failed && (typ != uint32(w.typ) || number != w.number):
		return fmt.Sprintf("CC-Request-Type %d, CC-Request-Number %d answer %d, %d", typ, number, w.typ, w.number)
	}
	return ""
}

// drain waits until every request is answered or given up, but after the end
// of ctx for one timeout only.
func (l *link) drain(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var ended time.Time
	for len(l.room) > 0 {
		now := <-tick.C
		if ctx.Err() != nil && ended.IsZero() {
			ended = now
		}
		if !ended.IsZero() && now.Sub(ended) > l.o.Timeout {
			return
		}
	}
}

// restart is that of the node: when what was sent is answered, the connection
// breaks, and the next one comes with a larger Origin-State-Id.
func (l *link) restart(ctx context.Context) {
	l.drain(ctx)
	l.mu.Lock()
	p := l.peer
	l.node.OriginState = max(l.node.OriginState+1, uint32(time.Now().Unix()))
	l.mu.Unlock()
	if p != nil {
		p.Close()
	}
}

func (l *link) close() {
	_, p := l.now()
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	p.Disconnect(ctx, DoNotWantToTalkToYou) // closes in any case
}

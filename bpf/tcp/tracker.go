package tcp

import (
	"container/list"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/bpf/wire"
)

// A Side is one of the two ends of a connection, as long as it lasts.
type Side uint8

// Other is the other end.
func (s Side) Other() Side { return 1 - s }

// A Consumer takes what one connection carries. Its methods are called by
// whoever calls the Tracker.
type Consumer interface {
	// Midway tells that the end is heard from somewhere in its stream on; it
	// comes before its first Data.
	Midway(side Side)
	// Data is what an end sent next; at is when that came. The slice is valid
	// during the call.
	Data(side Side, at time.Time, b []byte)
	// Gap tells that octets are missing before the next Data of the end, which
	// came at that time.
	Gap(side Side, at time.Time)
	// Proven reports whether the connection turned out to be of the protocol
	// that is looked for. The others make room first.
	Proven() bool
	// Close is the last call.
	Close()
}

// Config of a Tracker. Zero values mean the defaults.
type Config struct {
	// Connections bounds those that are followed at a time, 1024 by default.
	Connections int
	// Memory bounds the octets that wait for holes, 32 MiB by default.
	Memory int
	// Patience is how long a hole is waited for, 2 s by default.
	Patience time.Duration
	// Idle is after how long without a segment a connection is forgotten, 10
	// minutes by default; an unproven one after a tenth of it.
	Idle time.Duration
}

func (c Config) withDefaults() Config {
	if c.Connections == 0 {
		c.Connections = 1024
	}
	if c.Memory == 0 {
		c.Memory = 32 << 20
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Second
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Minute
	}
	return c
}

// Counts are what a Tracker did. All atomic.
type Counts struct {
	Segments, Malformed, Opened, Midway, Gaps, Evicted, Refused, Connections atomic.Uint64
}

// Ends are the two sockets of a connection, by Side; the lesser is the first.
type Ends [2]netip.AddrPort

func endsOf(s *segment) (e Ends, from Side) {
	if s.src.Compare(s.dst) <= 0 {
		return Ends{s.src, s.dst}, 0
	}
	return Ends{s.dst, s.src}, 1
}

// A connection is one that is followed.
type connection struct {
	ends     Ends
	halves   [2]half
	consumer Consumer
	heard    time.Time
	place    *list.Element
	proven   bool
	// syn is the sequence number of a SYN that does not fit what is known; the
	// SYN ACK to it tells that a new connection took over the sockets.
	syn    [2]uint32
	hasSYN [2]bool
}

// A Tracker follows connections. It is owned by one goroutine and does no I/O.
type Tracker struct {
	cfg    Config
	open   func(Ends) Consumer
	byEnds map[Ends]*connection
	// Connections, the last heard first.
	proven, unproven *list.List
	held             int
	Counts           Counts
}

// New makes a Tracker, which asks open for the Consumer of each connection.
func New(cfg Config, open func(Ends) Consumer) *Tracker {
	return &Tracker{cfg: cfg.withDefaults(), open: open, byEnds: map[Ends]*connection{}, proven: list.New(), unproven: list.New()}
}

// Packet takes a segment, and keeps nothing of it. Its error wraps
// ErrMalformed.
func (t *Tracker) Packet(p *wire.Packet) error {
	s, err := parse(p)
	if err != nil {
		t.Counts.Malformed.Add(1)
		return err
	}
	t.Counts.Segments.Add(1)
	key, from := endsOf(&s)
	c := t.byEnds[key]
	if s.has(bitSYN) {
		c = t.synchronize(c, key, from, &s)
	} else if c == nil && len(s.payload) > 0 && !s.has(bitRST) {
		if c = t.add(key); c != nil {
			t.Counts.Midway.Add(1)
		}
	}
	if c == nil {
		return nil
	}
	t.touch(c, p.Time)
	if s.has(bitRST) {
		if h := &c.halves[from]; !h.known || h.ahead(s.seq) >= -1 && h.ahead(s.seq) < 1<<20 {
			t.finish(c)
		}
		return nil
	}
	t.take(c, from, &s, p.Time)
	return nil
}

// take gives a segment to its direction.
func (t *Tracker) take(c *connection, from Side, s *segment, now time.Time) {
	h, other := &c.halves[from], &c.halves[from.Other()]
	before := h.heldBytes + other.heldBytes
	if s.has(bitACK) {
		other.acked, other.hasAcked = s.ack, true
		other.overdue(now, t.cfg.Patience, t.output(c, from.Other()))
	}
	out := t.output(c, from)
	if len(s.payload) > 0 && !s.has(bitSYN) {
		h.take(s.seq, s.payload, now, out)
	}
	if s.has(bitFIN) {
		h.end, h.hasEnd = s.seq+uint32(len(s.payload)), true
	}
	h.overdue(now, t.cfg.Patience, out)
	t.held += h.heldBytes + other.heldBytes - before
	for t.held > t.cfg.Memory && len(h.held) > 0 {
		t.held -= h.heldBytes
		h.skip(out)
		t.held += h.heldBytes
	}
	if h.done() && other.done() {
		t.finish(c)
	}
}

// synchronize takes a SYN or SYN ACK. The connection is the one that it belongs
// to, or nil.
func (t *Tracker) synchronize(c *connection, key Ends, from Side, s *segment) *connection {
	if !s.has(bitACK) {
		if c == nil {
			if c = t.add(key); c != nil {
				c.halves[from].begin(s.seq)
			}
		} else if h := &c.halves[from]; !h.hasFirst || h.first != s.seq {
			c.syn[from], c.hasSYN[from] = s.seq, true
		}
		return c
	}
	to := from.Other()
	switch {
	case c == nil: // the SYN was not seen
	case c.halves[from].hasFirst && c.halves[from].first == s.seq:
		return c
	case c.halves[to].hasFirst && c.halves[to].first+1 == s.ack && !c.halves[from].known:
		c.halves[from].begin(s.seq)
		return c
	case c.hasSYN[to] && c.syn[to]+1 == s.ack:
		t.finish(c)
	default:
		return c
	}
	if c = t.add(key); c != nil {
		c.halves[from].begin(s.seq)
		c.halves[to].begin(s.ack - 1)
	}
	return c
}

// add makes a connection, in the place of the one unproven that was not heard
// for the longest if there are too many. It is nil where all are proven.
func (t *Tracker) add(key Ends) *connection {
	if len(t.byEnds) >= t.cfg.Connections {
		oldest := t.unproven.Back()
		if oldest == nil {
			t.Counts.Refused.Add(1)
			return nil
		}
		t.Counts.Evicted.Add(1)
		t.finish(oldest.Value.(*connection))
	}
	c := &connection{ends: key, consumer: t.open(key)}
	c.place = t.unproven.PushFront(c)
	t.byEnds[key] = c
	t.Counts.Opened.Add(1)
	t.Counts.Connections.Store(uint64(len(t.byEnds)))
	return c
}

func (t *Tracker) touch(c *connection, now time.Time) {
	c.heard = now
	if !c.proven && c.consumer.Proven() {
		t.unproven.Remove(c.place)
		c.place, c.proven = t.proven.PushFront(c), true
		return
	}
	t.listOf(c).MoveToFront(c.place)
}

func (t *Tracker) listOf(c *connection) *list.List {
	if c.proven {
		return t.proven
	}
	return t.unproven
}

// finish forgets a connection; what waits for a hole is given before.
func (t *Tracker) finish(c *connection) {
	for side := range Side(2) {
		h := &c.halves[side]
		t.held -= h.heldBytes
		for len(h.held) > 0 {
			h.skip(t.output(c, side))
		}
	}
	t.listOf(c).Remove(c.place)
	delete(t.byEnds, c.ends)
	t.Counts.Connections.Store(uint64(len(t.byEnds)))
	c.consumer.Close()
}

// Advance gives up holes and connections whose time is over.
func (t *Tracker) Advance(now time.Time) {
	t.sweep(t.unproven, now, t.cfg.Idle/10)
	t.sweep(t.proven, now, t.cfg.Idle)
}

func (t *Tracker) sweep(l *list.List, now time.Time, idle time.Duration) {
	for e := l.Back(); e != nil; {
		c := e.Value.(*connection)
		e = e.Prev()
		if now.Sub(c.heard) >= idle {
			t.finish(c)
			continue
		}
		t.overdue(c, now, t.cfg.Patience)
	}
}

func (t *Tracker) overdue(c *connection, now time.Time, patience time.Duration) {
	for side := range Side(2) {
		h := &c.halves[side]
		t.held -= h.heldBytes
		h.overdue(now, patience, t.output(c, side))
		t.held += h.heldBytes
	}
}

// Flush gives up all holes: nothing more will come, or there was none for long.
func (t *Tracker) Flush(now time.Time) {
	for _, l := range [2]*list.List{t.proven, t.unproven} {
		for e := l.Back(); e != nil; e = e.Prev() {
			t.overdue(e.Value.(*connection), now, 0)
		}
	}
}

// An output is one direction of a connection's Consumer.
type output struct {
	consumer Consumer
	side     Side
	counts   *Counts
}

func (t *Tracker) output(c *connection, side Side) output {
	return output{c.consumer, side, &t.Counts}
}

func (o output) data(at time.Time, b []byte) { o.consumer.Data(o.side, at, b) }

func (o output) gap(at time.Time) {
	o.counts.Gaps.Add(1)
	o.consumer.Gap(o.side, at)
}

func (o output) midway() { o.consumer.Midway(o.side) }

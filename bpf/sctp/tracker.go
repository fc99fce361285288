package sctp

import (
	"container/list"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/bpf/pairing"
	"github.com/simbind/simbind/bpf/wire"
)

// A Side is one of the two ends of an association, as long as it lasts.
type Side uint8

// Other is the other end.
func (s Side) Other() Side { return 1 - s }

// A Consumer takes what one association carries. Its methods are called by
// whoever calls the Tracker.
type Consumer interface {
	// Message is one that an end sent; at is when its last part came. The slice
	// is valid during the call.
	Message(side Side, at time.Time, b []byte)
	// Missed tells that chunks were not captured.
	Missed(at time.Time)
	// Proven reports whether the association turned out to be of the protocol
	// that is looked for. The others make room first.
	Proven() bool
	// Close is the last call.
	Close()
}

// Config of a Tracker. Zero values mean the defaults.
type Config struct {
	// Associations bounds those that are followed at a time, 1024 by default.
	Associations int
	// Memory bounds the octets that wait for the rest of their message, 32 MiB
	// by default.
	Memory int
	// Patience is how long a hole is waited for, 2 s by default.
	Patience time.Duration
	// Idle is after how long without a packet an association is forgotten, 10
	// minutes by default; an unproven one after a tenth of it.
	Idle time.Duration
}

func (c Config) withDefaults() Config {
	if c.Associations == 0 {
		c.Associations = 1024
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
	Packets, Malformed, Chunks, Repeated, OtherPayload, Opened, Midway, Gaps, Evicted, Refused, Associations atomic.Uint64
}

// Ends are the two sockets, by Side, between which an association was first
// heard; the lesser is the first. It may have others.
type Ends [2]netip.AddrPort

func endsOf(p *wire.Packet) (e Ends, from Side) {
	if p.Src.Compare(p.Dst) <= 0 {
		return Ends{p.Src, p.Dst}, 0
	}
	return Ends{p.Dst, p.Src}, 1
}

// A direction names one direction of an association wherever its packets go:
// the Verification Tag, which its receiver chose, and the ports.
type direction struct {
	tag      uint32
	src, dst uint16
}

// An association is one that is followed.
type association struct {
	ends     Ends // of the packet that told of it
	halves   [2]*half
	consumer Consumer
	heard    time.Time
	place    *list.Element
	proven   bool
}

// An initiation is an INIT that waits for its INIT ACK.
type initiation struct {
	tsn  uint32
	from Side
}

// initPatience is how long an INIT ACK is waited for.
const initPatience = 30 * time.Second

// A Tracker follows associations. It is owned by one goroutine and does no I/O.
type Tracker struct {
	cfg         Config
	open        func(Ends) Consumer
	byEnds      map[Ends]*association
	byDirection map[direction]*half
	initiations *pairing.Table[direction, initiation]
	// Associations, the last heard first.
	proven, unproven *list.List
	held             int
	Counts           Counts
}

// New makes a Tracker, which asks open for the Consumer of each association.
func New(cfg Config, open func(Ends) Consumer) *Tracker {
	cfg = cfg.withDefaults()
	return &Tracker{
		cfg: cfg, open: open, byEnds: map[Ends]*association{}, byDirection: map[direction]*half{},
		initiations: pairing.New[direction, initiation](cfg.Associations, initPatience, nil), proven: list.New(), unproven: list.New(),
	}
}

// Packet takes a packet, and keeps nothing of it. Its error wraps ErrMalformed;
// chunks before the one that cannot be read are taken.
func (t *Tracker) Packet(p *wire.Packet) error {
	t.Counts.Packets.Add(1)
	if len(p.Header) < commonHeaderLen {
		t.Counts.Malformed.Add(1)
		return ErrMalformed
	}
	key := direction{binary.BigEndian.Uint32(p.Header[4:]), p.Src.Port(), p.Dst.Port()}
	rest := p.Payload
	for n := 0; len(rest) > 0 && n < maxChunks; n++ {
		c, after, err := cut(rest)
		if err == nil {
			err = t.chunk(p, key, &c)
		}
		if err != nil {
			t.Counts.Malformed.Add(1)
			return err
		}
		rest = after
	}
	return nil
}

func (t *Tracker) chunk(p *wire.Packet, key direction, c *chunk) error {
	t.Counts.Chunks.Add(1)
	switch c.typ {
	case chunkData:
		return t.data(p, key, c)
	case chunkInit:
		tag, tsn, err := c.initiation()
		if err != nil {
			return err
		}
		_, from := endsOf(p)
		t.initiations.Expire(p.Time)
		t.initiations.Put(p.Time, direction{tag, key.dst, key.src}, initiation{tsn, from})
	case chunkInitAck:
		return t.acknowledged(p, key, c)
	case chunkAbort, chunkShutdownAck, chunkShutdownComplete:
		if c.flags&flagReflected != 0 && c.typ != chunkShutdownAck {
			key = direction{key.tag, key.dst, key.src}
		}
		if h := t.byDirection[key]; h != nil {
			t.finish(h.association)
		}
	}
	return nil
}

// acknowledged takes an INIT ACK: from here on both tags are known.
func (t *Tracker) acknowledged(p *wire.Packet, key direction, c *chunk) error {
	tag, tsn, err := c.initiation()
	if err != nil {
		return err
	}
	if t.byDirection[key] != nil {
		return nil // once more
	}
	e, from := endsOf(p)
	a := t.add(e)
	if a == nil {
		return nil
	}
	a.heard = p.Time
	h := t.join(a, from, key)
	h.known, h.next = true, tsn
	other := t.join(a, from.Other(), direction{tag, key.dst, key.src})
	if init := t.initiations.Get(key); init != nil && init.from == from.Other() {
		other.known, other.next = true, init.tsn
		t.initiations.Delete(key)
	}
	return nil
}

// data takes a DATA chunk.
func (t *Tracker) data(p *wire.Packet, key direction, c *chunk) error {
	f, err := c.fragment()
	if err != nil {
		return err
	}
	h := t.half(p, key)
	if h == nil {
		return nil
	}
	a, now := h.association, p.Time
	t.touch(a, now)
	fresh, moved := h.note(f.tsn, now)
	switch {
	case !fresh:
		t.Counts.Repeated.Add(1)
	case f.payload != ppidDiameter && f.payload != ppidNone:
		t.Counts.OtherPayload.Add(1)
	case f.begins && f.ends:
		a.consumer.Message(h.side, now, f.data)
	default:
		t.fragment(h, f, now)
	}
	gaps := t.overdue(h, now, t.cfg.Patience)
	if moved || gaps > 0 {
		t.Counts.Gaps.Add(uint64(max(gaps, 1)))
		a.consumer.Missed(now)
	}
	return nil
}

// fragment takes a part of a message.
func (t *Tracker) fragment(h *half, f fragment, now time.Time) {
	t.held -= h.heldBytes
	message, whole := h.take(f, now)
	t.held += h.heldBytes
	if whole {
		h.association.consumer.Message(h.side, now, message)
	}
	if h.heldBytes > maxHeld || len(h.held) > maxFragments || t.held > t.cfg.Memory {
		t.held -= h.heldBytes
		h.drop()
		t.Counts.Gaps.Add(1)
		h.association.consumer.Missed(now)
	}
}

// overdue keeps account of what is held while holes are given up.
func (t *Tracker) overdue(h *half, now time.Time, patience time.Duration) int {
	t.held -= h.heldBytes
	gaps := h.overdue(now, patience)
	t.held += h.heldBytes
	return gaps
}

// half is the direction of a packet with data. One that is not known is of an
// association that was there before, or whose INIT ACK was not seen; the other
// direction between the same sockets is of the same.
func (t *Tracker) half(p *wire.Packet, key direction) *half {
	if h := t.byDirection[key]; h != nil {
		return h
	}
	if key.tag == 0 {
		return nil
	}
	e, from := endsOf(p)
	a := t.byEnds[e]
	if a == nil || a.halves[from] != nil {
		if a = t.add(e); a == nil {
			return nil
		}
		a.heard = p.Time
		t.Counts.Midway.Add(1)
	}
	return t.join(a, from, key)
}

func (t *Tracker) join(a *association, side Side, key direction) *half {
	h := &half{association: a, side: side, direction: key}
	if former := t.byDirection[key]; former != nil && former.association != a {
		t.finish(former.association)
	}
	a.halves[side], t.byDirection[key] = h, h
	return h
}

// add makes an association, in the place of the one unproven that was not heard
// for the longest if there are too many. It is nil where all are proven.
func (t *Tracker) add(e Ends) *association {
	if t.proven.Len()+t.unproven.Len() >= t.cfg.Associations {
		oldest := t.unproven.Back()
		if oldest == nil {
			t.Counts.Refused.Add(1)
			return nil
		}
		t.Counts.Evicted.Add(1)
		t.finish(oldest.Value.(*association))
	}
	a := &association{ends: e, consumer: t.open(e)}
	a.place = t.unproven.PushFront(a)
	t.byEnds[e] = a
	t.Counts.Opened.Add(1)
	t.Counts.Associations.Store(uint64(t.proven.Len() + t.unproven.Len()))
	return a
}

func (t *Tracker) touch(a *association, now time.Time) {
	a.heard = now
	if !a.proven && a.consumer.Proven() {
		t.unproven.Remove(a.place)
		a.place, a.proven = t.proven.PushFront(a), true
		return
	}
	t.listOf(a).MoveToFront(a.place)
}

func (t *Tracker) listOf(a *association) *list.List {
	if a.proven {
		return t.proven
	}
	return t.unproven
}

// finish forgets an association.
func (t *Tracker) finish(a *association) {
	for _, h := range a.halves {
		if h == nil {
			continue
		}
		t.held -= h.heldBytes
		h.drop()
		if t.byDirection[h.direction] == h {
			delete(t.byDirection, h.direction)
		}
	}
	t.listOf(a).Remove(a.place)
	if t.byEnds[a.ends] == a {
		delete(t.byEnds, a.ends)
	}
	t.Counts.Associations.Store(uint64(t.proven.Len() + t.unproven.Len()))
	a.consumer.Close()
}

// Advance gives up holes, fragments and associations whose time is over.
func (t *Tracker) Advance(now time.Time) {
	t.initiations.Expire(now)
	t.sweep(t.unproven, now, t.cfg.Idle/10)
	t.sweep(t.proven, now, t.cfg.Idle)
}

func (t *Tracker) sweep(l *list.List, now time.Time, idle time.Duration) {
	for e := l.Back(); e != nil; {
		a := e.Value.(*association)
		e = e.Prev()
		for _, h := range a.halves {
			if h == nil {
				continue
			}
			if gaps := t.overdue(h, now, t.cfg.Patience); gaps > 0 {
				t.Counts.Gaps.Add(uint64(gaps))
				a.consumer.Missed(now)
			}
		}
		if now.Sub(a.heard) >= idle {
			t.finish(a)
		}
	}
}

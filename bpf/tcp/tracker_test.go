package tcp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/bpf/wire"
)

var (
	client = netip.MustParseAddrPort("192.0.2.10:40000")
	server = netip.MustParseAddrPort("192.0.2.1:3868")
	began  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// A listener writes down what it is told of one connection.
type listener struct {
	// runs are the octets of each end, cut where something is missing.
	runs   [2][][]byte
	times  []time.Time
	midway [2]bool
	gaps   int
	proven bool
	closed bool
}

func (l *listener) Midway(side Side) { l.midway[side] = true }
func (l *listener) Data(side Side, at time.Time, b []byte) {
	last := &l.runs[side][len(l.runs[side])-1]
	*last = append(*last, b...)
	l.times = append(l.times, at)
}
func (l *listener) Gap(side Side, _ time.Time) {
	l.gaps++
	l.runs[side] = append(l.runs[side], nil)
}
func (l *listener) Proven() bool { return l.proven }
func (l *listener) Close()       { l.closed = true }

// said is what an end said, with "|" where something is missing.
func (l *listener) said(side Side) string {
	return string(bytes.Join(l.runs[side], []byte("|")))
}

// A rig is a Tracker and the connections that it told of.
type rig struct {
	*Tracker
	now  time.Time
	told []*listener
}

func newRig(cfg Config) *rig {
	r := &rig{now: began}
	r.Tracker = New(cfg, func(Ends) Consumer {
		l := &listener{runs: [2][][]byte{{nil}, {nil}}}
		r.told = append(r.told, l)
		return l
	})
	return r
}

// put shows a segment and then overwrites it.
func (r *rig) put(src, dst netip.AddrPort, bits byte, seq, ack uint32, payload string) {
	header := make([]byte, 20)
	binary.BigEndian.PutUint16(header, src.Port())
	binary.BigEndian.PutUint16(header[2:], dst.Port())
	binary.BigEndian.PutUint32(header[4:], seq)
	binary.BigEndian.PutUint32(header[8:], ack)
	header[12], header[13] = 5<<4, bits
	data := []byte(payload)
	_ = r.Packet(&wire.Packet{Time: r.now, Src: src, Dst: dst, Proto: wire.ProtoTCP, Header: header, Payload: data})
	clear(header)
	for i := range data {
		data[i] = '#'
	}
	r.now = r.now.Add(time.Millisecond)
}

func (r *rig) ask(bits byte, seq uint32, payload string) {
	r.put(client, server, bits|bitACK, seq, 0, payload)
}

// The client is the greater of the two ends here.
const clientSide, serverSide = Side(1), Side(0)

// shake opens the connection with sequence numbers 100 and 500.
func (r *rig) shake() {
	r.put(client, server, bitSYN, 100, 0, "")
	r.put(server, client, bitSYN|bitACK, 500, 101, "")
}

func TestStreams(t *testing.T) {
	for claim, c := range map[string]struct {
		run  func(r *rig)
		want string
	}{
		"in order":                        {func(r *rig) { r.ask(0, 101, "ab"); r.ask(0, 103, "cd") }, "abcd"},
		"out of order":                    {func(r *rig) { r.ask(0, 103, "cd"); r.ask(0, 105, "ef"); r.ask(0, 101, "ab") }, "abcdef"},
		"repeated":                        {func(r *rig) { r.ask(0, 101, "ab"); r.ask(0, 101, "ab"); r.ask(0, 103, "c") }, "abc"},
		"repeated in other pieces":        {func(r *rig) { r.ask(0, 101, "ab"); r.ask(0, 102, "bcd"); r.ask(0, 101, "abcde") }, "abcde"},
		"what came first counts":          {func(r *rig) { r.ask(0, 103, "cd"); r.ask(0, 102, "XXXe"); r.ask(0, 101, "a") }, "aXcde"},
		"held pieces overlap":             {func(r *rig) { r.ask(0, 103, "c"); r.ask(0, 105, "e"); r.ask(0, 102, "bcdef"); r.ask(0, 101, "a") }, "abcdef"},
		"a hole is waited for":            {func(r *rig) { r.ask(0, 101, "a"); r.ask(0, 103, "c") }, "a"},
		"but not for ever":                {func(r *rig) { r.ask(0, 101, "a"); r.ask(0, 103, "c"); r.Advance(r.now.Add(time.Minute / 2)) }, "a|c"},
		"or to the end of a capture":      {func(r *rig) { r.ask(0, 101, "a"); r.ask(0, 103, "c"); r.ask(0, 105, "e"); r.Flush(r.now) }, "a|c|e"},
		"two holes are two":               {func(r *rig) { r.ask(0, 102, "b"); r.ask(0, 104, "d"); r.Flush(r.now); r.ask(0, 105, "e") }, "|b|de"},
		"a probe is no octet":             {func(r *rig) { r.ask(0, 101, "ab"); r.ask(0, 102, "?"); r.ask(0, 103, "c") }, "abc"},
		"a segment beyond reach is none":  {func(r *rig) { r.ask(0, 101, "a"); r.ask(0, 1<<30, "XX"); r.ask(0, 102, "b") }, "ab"},
		"a SYN for another does not harm": {func(r *rig) { r.ask(0, 101, "a"); r.put(client, server, bitSYN, 9999, 0, ""); r.ask(0, 102, "b") }, "ab"},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(Config{})
			r.shake()
			c.run(r)
			if got := r.told[0].said(clientSide); got != c.want || len(r.told) != 1 {
				t.Errorf("%q of %d connections, want %q", got, len(r.told), c.want)
			}
		})
	}
}

func TestWhatTheReceiverHasWillNotComeAgain(t *testing.T) {
	r := newRig(Config{})
	r.shake()
	r.ask(0, 101, "a")
	r.ask(0, 103, "c")
	r.put(server, client, bitACK, 501, 104, "")
	r.ask(0, 104, "d")
	if got := r.told[0].said(clientSide); got != "a" {
		t.Errorf("%q at once: captures are not in order", got)
	}
	r.now = r.now.Add(disorder)
	r.put(server, client, bitACK, 501, 105, "")
	if got := r.told[0].said(clientSide); got != "a|cd" {
		t.Errorf("%q", got)
	}
}

func TestSequenceNumbersWrap(t *testing.T) {
	r := newRig(Config{})
	r.put(client, server, bitSYN, 0xFFFFFFFD, 0, "")
	r.ask(0, 0, "cd")
	r.ask(0, 0xFFFFFFFE, "ab")
	if got := r.told[0].said(clientSide); got != "abcd" {
		t.Errorf("%q", got)
	}
}

func TestMidway(t *testing.T) {
	r := newRig(Config{})
	r.ask(0, 7000, "x")
	r.put(server, client, bitACK, 8000, 7001, "y")
	l := r.told[0]
	if l.midway != [2]bool{true, true} || l.said(clientSide) != "x" || l.said(serverSide) != "y" || l.gaps != 0 {
		t.Errorf("%+v", l)
	}
}

func TestTheTrueStreamIsFoundAgain(t *testing.T) {
	r := newRig(Config{})
	r.shake()
	r.ask(0, 101, "a")
	r.ask(0, 101+1<<20, "XX") // somebody's forgery
	r.Advance(r.now.Add(30 * time.Second))
	seq := uint32(102)
	for range 2 * maxBehind {
		r.ask(0, seq, "bb")
		seq += 2
	}
	if got := r.told[0].said(clientSide); !bytes.HasSuffix([]byte(got), []byte("bbbb")) {
		t.Errorf("%q", got)
	}
}

func TestSocketsAreUsedAgain(t *testing.T) {
	for claim, end := range map[string]func(r *rig){
		"after both ended": func(r *rig) {
			r.ask(bitFIN, 102, "")
			r.put(server, client, bitACK|bitFIN, 501, 103, "")
		},
		"after a reset":                   func(r *rig) { r.put(server, client, bitRST, 501, 0, "") },
		"after a crash that was not seen": func(*rig) {},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(Config{})
			r.shake()
			r.ask(0, 101, "a")
			end(r)
			r.put(client, server, bitSYN, 9000, 0, "")
			r.put(server, client, bitSYN|bitACK, 9500, 9001, "")
			r.ask(0, 9001, "b")
			if len(r.told) != 2 || !r.told[0].closed || r.told[0].said(clientSide) != "a" || r.told[1].said(clientSide) != "b" || r.told[1].gaps != 0 {
				t.Errorf("%d connections", len(r.told))
			}
		})
	}
	t.Run("a reset out of place does not", func(t *testing.T) {
		r := newRig(Config{})
		r.shake()
		r.put(server, client, bitRST, 501+1<<30, 0, "")
		if r.told[0].closed {
			t.Error("closed")
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(Config{Connections: 4})
	from := func(i int) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), uint16(50000+i)) }
	r.put(from(0), server, bitSYN, 1, 0, "")
	r.told[0].proven = true
	for i := range 8 {
		r.put(from(i), server, bitSYN, 1, 0, "")
	}
	if len(r.byEnds) != 4 || r.told[0].closed || !r.told[1].closed {
		t.Errorf("%d connections; the proven one is closed: %v", len(r.byEnds), r.told[0].closed)
	}
	for _, l := range r.told {
		l.proven = true
	}
	for i := 5; i < 8; i++ {
		r.put(from(i), server, bitACK, 2, 0, "x")
	}
	r.put(from(9), server, bitSYN, 1, 0, "")
	if r.Counts.Refused.Load() != 1 || len(r.byEnds) != 4 {
		t.Errorf("%d refused, %d connections", r.Counts.Refused.Load(), len(r.byEnds))
	}
	r.Advance(r.now.Add(time.Hour))
	if len(r.byEnds) != 0 || r.proven.Len()+r.unproven.Len() != 0 {
		t.Errorf("%d connections after an hour", len(r.byEnds))
	}
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	r := newRig(Config{Memory: 1 << 20})
	block := string(make([]byte, 1000))
	for i := range 64 {
		from := netip.AddrPortFrom(client.Addr(), uint16(50000+i))
		r.put(from, server, bitSYN, 1, 0, "")
		for j := range uint32(100) {
			r.put(from, server, bitACK, 10+1100*j, 0, block)
		}
	}
	total := 0
	for _, c := range r.byEnds {
		for i := range c.halves {
			sum := 0
			for _, p := range c.halves[i].held {
				sum += len(p.data)
			}
			if sum != c.halves[i].heldBytes {
				t.Fatalf("%d octets are held, and %d are counted", sum, c.halves[i].heldBytes)
			}
			total += sum
		}
	}
	if total != r.held || total > 1<<20 {
		t.Errorf("%d octets are held, and %d are counted", total, r.held)
	}
}

// TestDamagedStreams cuts a stream into random segments, which are repeated,
// disordered and lost. What comes of it is pieces of the stream, in order, each
// octet once, and all of it if nothing was lost.
func TestDamagedStreams(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, round))
		damage(t, rng, fmt.Sprintf("seed %d round %d", seed, round))
	}
}

func damage(t *testing.T, rng *rand.Rand, which string) {
	stream := make([]byte, 1+rng.IntN(1<<13)) // no octets in a row come twice
	for i := range stream {
		stream[i] = byte(rng.Uint32())
	}
	first := rng.Uint32()
	type cut struct{ from, to int }
	var cuts []cut
	for at := 0; at < len(stream); {
		to := min(at+1+rng.IntN(700), len(stream))
		cuts = append(cuts, cut{max(at-rng.IntN(3)*rng.IntN(40), 0), to})
		at = to
	}
	lossy := rng.IntN(2) == 0
	var sent []cut
	lost := false
	for _, c := range cuts {
		switch n := rng.IntN(20); {
		case n == 0 && lossy:
			lost = true
		case n < 3:
			sent = append(sent, c, c)
		default:
			sent = append(sent, c)
		}
	}
	for range rng.IntN(len(sent) + 1) {
		i := rng.IntN(len(sent))
		j := min(i+rng.IntN(4), len(sent)-1)
		sent[i], sent[j] = sent[j], sent[i]
	}
	r := newRig(Config{})
	r.put(client, server, bitSYN, first, 0, "")
	for _, c := range sent {
		r.ask(0, first+1+uint32(c.from), string(stream[c.from:c.to]))
	}
	r.Flush(r.now)
	at := 0
	for i, run := range r.told[0].runs[clientSide] {
		found := bytes.Index(stream[at:], run)
		if found < 0 || i == 0 && found != 0 {
			t.Fatalf("%s: a run of %d octets is not what was sent", which, len(run))
		}
		at += found + len(run)
	}
	if got := slices.Concat(r.told[0].runs[clientSide]...); !lost && !bytes.Equal(got, stream) {
		t.Fatalf("%s: %d octets of %d, and none was lost", which, len(got), len(stream))
	}
}

func FuzzTracker(f *testing.F) {
	f.Add([]byte{0x12, 0, 0, 0, 1, 3, 'a', 'b', 'c', 2, 0, 0, 0, 9, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		r := newRig(Config{Connections: 3, Memory: 4096})
		for len(script) >= 6 {
			bits, seq, n := script[0], binary.BigEndian.Uint32(script[1:]), int(script[5])
			script = script[6:]
			n = min(n, len(script))
			src, dst := client, server
			if bits&0x40 != 0 {
				src = netip.AddrPortFrom(src.Addr(), uint16(seq)&7+1)
			}
			if bits&0x80 != 0 {
				src, dst = dst, src
			}
			r.put(src, dst, bits&0x3F, seq, ^seq, string(script[:n]))
			script = script[n:]
			if r.held < 0 || r.held > 4096 || len(r.byEnds) > 3 || r.proven.Len()+r.unproven.Len() != len(r.byEnds) {
				t.Fatalf("%d octets held, %d connections", r.held, len(r.byEnds))
			}
		}
		r.Flush(r.now)
		if r.held != 0 {
			t.Fatalf("%d octets are still held", r.held)
		}
		r.Advance(r.now.Add(time.Hour))
		for _, l := range r.told {
			if !l.closed {
				t.Fatal("a connection was not closed")
			}
		}
	})
}

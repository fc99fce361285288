package sctp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/bpf/wire"
)

var (
	client = netip.MustParseAddrPort("192.0.2.10:3868")
	server = netip.MustParseAddrPort("192.0.2.1:3868")
	began  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// Tags of the directions to the server and to the client.
const toServer, toClient = 0xAAAA0001, 0xBBBB0002

// A listener writes down what it is told of one association.
type listener struct {
	said   [2][]string
	missed int
	proven bool
	closed bool
}

func (l *listener) Message(side Side, _ time.Time, b []byte) {
	l.said[side] = append(l.said[side], string(b))
}
func (l *listener) Missed(time.Time) { l.missed++ }
func (l *listener) Proven() bool     { return l.proven }
func (l *listener) Close()           { l.closed = true }

// The client is the greater of the two ends here.
const clientSide, serverSide = Side(1), Side(0)

type rig struct {
	*Tracker
	now  time.Time
	told []*listener
}

func newRig(cfg Config) *rig {
	r := &rig{now: began}
	r.Tracker = New(cfg, func(Ends) Consumer {
		l := &listener{}
		r.told = append(r.told, l)
		return l
	})
	return r
}

// put shows a packet of chunks and then overwrites it.
func (r *rig) put(src, dst netip.AddrPort, tag uint32, chunks ...[]byte) error {
	header := make([]byte, commonHeaderLen)
	binary.BigEndian.PutUint16(header, src.Port())
	binary.BigEndian.PutUint16(header[2:], dst.Port())
	binary.BigEndian.PutUint32(header[4:], tag)
	payload := slices.Concat(chunks...)
	err := r.Packet(&wire.Packet{Time: r.now, Src: src, Dst: dst, Proto: wire.ProtoSCTP, Header: header, Payload: payload})
	for i := range payload {
		payload[i] = '#'
	}
	r.now = r.now.Add(time.Millisecond)
	return err
}

func (r *rig) ask(chunks ...[]byte)    { _ = r.put(client, server, toServer, chunks...) }
func (r *rig) answer(chunks ...[]byte) { _ = r.put(server, client, toClient, chunks...) }

// raw is a chunk with its padding.
func raw(typ, flags byte, value []byte) []byte {
	b := append([]byte{typ, flags, byte((len(value) + 4) >> 8), byte(len(value) + 4)}, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func dataChunk(flags byte, tsn uint32, stream, sequence uint16, ppid uint32, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = binary.BigEndian.AppendUint32(b, ppid)
	return raw(chunkData, flags, append(b, data...))
}

// Chunks of stream 1, ordered, with the TSN as the number of the message unless
// another is given.
func whole(tsn uint32, data string) []byte { return dataChunk(3, tsn, 1, uint16(tsn), 46, data) }
func part(flags byte, tsn uint32, sequence uint16, data string) []byte {
	return dataChunk(flags, tsn, 1, sequence, 46, data)
}

func initChunk(typ byte, tag, tsn uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, tag)
	b = binary.BigEndian.AppendUint32(b, 65536)
	b = append(b, 0, 10, 0, 10)
	return raw(typ, 0, binary.BigEndian.AppendUint32(b, tsn))
}

// shake opens the association: the client's first TSN is 100, the server's 500.
func (r *rig) shake() {
	_ = r.put(client, server, 0, initChunk(chunkInit, toClient, 100))
	r.answer(initChunk(chunkInitAck, toServer, 500))
}

const begin, middle, end, unordered = flagBegin, 0, flagEnd, flagUnordered

func TestMessages(t *testing.T) {
	for claim, c := range map[string]struct {
		run    func(r *rig)
		want   string
		missed int
	}{
		"in order":             {func(r *rig) { r.ask(whole(100, "a")); r.ask(whole(101, "b")) }, "a b", 0},
		"bundled":              {func(r *rig) { r.ask(whole(100, "a"), whole(101, "bcd"), whole(102, "e")) }, "a bcd e", 0},
		"between other chunks": {func(r *rig) { r.ask(raw(3, 0, make([]byte, 12)), whole(100, "a"), raw(4, 0, []byte{1})) }, "a", 0},
		"repeated":             {func(r *rig) { r.ask(whole(100, "a")); r.ask(whole(100, "a"), whole(101, "b")); r.ask(whole(101, "b")) }, "a b", 0},
		"out of order":         {func(r *rig) { r.ask(whole(101, "b")); r.ask(whole(100, "a")) }, "b a", 0},
		"in parts": {func(r *rig) {
			r.ask(part(begin, 100, 0, "a"))
			r.ask(part(middle, 101, 0, "b"), part(end, 102, 0, "c"))
		}, "abc", 0},
		"in parts out of order": {func(r *rig) {
			r.ask(part(end, 102, 0, "c"))
			r.ask(part(begin, 100, 0, "a"))
			r.ask(part(middle, 101, 0, "b"))
		}, "abc", 0},
		"in parts, some twice": {func(r *rig) { r.ask(part(begin, 100, 0, "a")); r.ask(part(begin, 100, 0, "a"), part(end, 101, 0, "b")) }, "ab", 0},
		"unordered": {func(r *rig) {
			r.ask(dataChunk(begin|unordered, 100, 1, 7, 46, "a"), dataChunk(end|unordered, 101, 1, 9, 46, "b"))
		}, "ab", 0},
		"of several streams":           {func(r *rig) { r.ask(dataChunk(3, 100, 1, 0, 46, "a"), dataChunk(3, 101, 2, 0, 46, "b")) }, "a b", 0},
		"parts of two messages":        {func(r *rig) { r.ask(part(begin, 100, 0, "a"), part(end, 101, 1, "b")) }, "", 0},
		"parts of two streams":         {func(r *rig) { r.ask(dataChunk(begin, 100, 1, 0, 46, "a"), dataChunk(end, 101, 2, 0, 46, "b")) }, "", 0},
		"two beginnings":               {func(r *rig) { r.ask(part(begin, 100, 0, "a"), part(begin, 101, 0, "b"), part(end, 102, 0, "c")) }, "bc", 0},
		"without a payload identifier": {func(r *rig) { r.ask(dataChunk(3, 100, 1, 0, 0, "a")) }, "a", 0},
		"of another payload":           {func(r *rig) { r.ask(dataChunk(3, 100, 1, 0, 47, "DTLS"), whole(101, "a")) }, "a", 0},
		"around a lost one":            {func(r *rig) { r.ask(whole(100, "a")); r.ask(whole(102, "c")); r.Advance(r.now.Add(5 * time.Second)) }, "a c", 1},
		"around a lost part": {func(r *rig) {
			r.ask(part(begin, 100, 0, "a"))
			r.ask(part(end, 102, 0, "c"), part(begin, 103, 1, "d"))
			r.Advance(r.now.Add(5 * time.Second))
			r.ask(part(end, 104, 1, "e"))
		}, "de", 1},
		"not one that comes after all": {func(r *rig) {
			r.ask(whole(101, "b"))
			r.Advance(r.now.Add(5 * time.Second))
			r.ask(whole(100, "a"))
		}, "b", 1},
		"on another path": {func(r *rig) {
			r.ask(whole(100, "a"))
			_ = r.put(netip.MustParseAddrPort("198.51.100.10:3868"), netip.MustParseAddrPort("198.51.100.1:3868"), toServer, whole(101, "b"))
		}, "a b", 0},
		"none in a torn chunk": {func(r *rig) { r.ask(whole(100, "a"), whole(101, "bbbbbbbb")[:18]) }, "a", 0},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(Config{})
			r.shake()
			c.run(r)
			if len(r.told) != 1 {
				t.Fatalf("%d associations", len(r.told))
			}
			l := r.told[0]
			if got := strings.Join(l.said[clientSide], " "); got != c.want || l.missed != c.missed {
				t.Errorf("%q and %d missed, want %q and %d", got, l.missed, c.want, c.missed)
			}
		})
	}
}

func TestBothDirectionsAreOneAssociation(t *testing.T) {
	for claim, open := range map[string]func(r *rig){"from its beginning": (*rig).shake, "midway": func(*rig) {}} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(Config{})
			open(r)
			r.ask(whole(100, "a"))
			r.answer(whole(500, "b"))
			if len(r.told) != 1 || len(r.told[0].said[clientSide]) != 1 || len(r.told[0].said[serverSide]) != 1 || r.told[0].missed != 0 {
				t.Errorf("%d associations", len(r.told))
			}
		})
	}
}

func TestTSNsWrap(t *testing.T) {
	r := newRig(Config{})
	r.ask(part(begin, 0xFFFFFFFF, 0, "a"))
	r.ask(part(end, 1, 0, "c"), part(middle, 0, 0, "b"))
	if got := r.told[0].said[clientSide]; len(got) != 1 || got[0] != "abc" {
		t.Errorf("%q", got)
	}
}

func TestAssociationsEnd(t *testing.T) {
	for claim, end := range map[string]func(r *rig){
		"aborted":                      func(r *rig) { r.ask(raw(chunkAbort, 0, nil)) },
		"aborted by one without a tag": func(r *rig) { _ = r.put(server, client, toServer, raw(chunkAbort, flagReflected, nil)) },
		"shut down":                    func(r *rig) { r.answer(raw(chunkShutdownAck, 0, nil)) },
		"shut down quietly":            func(r *rig) { r.ask(raw(chunkShutdownComplete, 0, nil)) },
		"silent":                       func(r *rig) { r.Advance(r.now.Add(time.Hour)) },
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(Config{})
			r.shake()
			r.ask(whole(100, "a"))
			end(r)
			if !r.told[0].closed || len(r.byEnds) != 0 || len(r.byDirection) != 0 || r.unproven.Len() != 0 {
				t.Errorf("closed: %v", r.told[0].closed)
			}
		})
	}
	t.Run("not by a stranger", func(t *testing.T) {
		r := newRig(Config{})
		r.shake()
		_ = r.put(client, server, 12345, raw(chunkAbort, 0, nil))
		if r.told[0].closed {
			t.Error("closed")
		}
	})
	t.Run("and begin anew", func(t *testing.T) {
		r := newRig(Config{})
		r.shake()
		r.ask(whole(100, "a"))
		_ = r.put(client, server, 0, initChunk(chunkInit, toClient+1, 7))
		_ = r.put(server, client, toClient+1, initChunk(chunkInitAck, toServer+1, 9))
		_ = r.put(client, server, toServer+1, whole(7, "b"))
		_ = r.put(server, client, toClient+1, whole(9, "c"))
		if l := r.told[len(r.told)-1]; len(r.told) != 2 || len(l.said[clientSide]) != 1 || len(l.said[serverSide]) != 1 {
			t.Errorf("%d associations", len(r.told))
		}
	})
}

func TestAssociationsAreBounded(t *testing.T) {
	r := newRig(Config{Associations: 4})
	from := func(i int) netip.AddrPort { return netip.AddrPortFrom(client.Addr(), uint16(50000+i)) }
	for i := range 9 {
		_ = r.put(from(i), server, uint32(i)+1, whole(1, "a"))
		r.told[0].proven = true
		_ = r.put(from(0), server, 1, whole(uint32(i)+2, "a"))
	}
	if r.told[0].closed || !r.told[1].closed || len(r.byDirection) != 4 || len(r.byEnds) != 4 {
		t.Errorf("%d directions, %d pairs", len(r.byDirection), len(r.byEnds))
	}
	for _, l := range r.told {
		l.proven = true
	}
	for i := 6; i < 9; i++ {
		_ = r.put(from(i), server, uint32(i)+1, whole(2, "a"))
	}
	_ = r.put(from(20), server, 21, whole(1, "a"))
	if r.Counts.Refused.Load() != 1 {
		t.Errorf("%d refused", r.Counts.Refused.Load())
	}
}

func TestFragmentsAreBounded(t *testing.T) {
	r := newRig(Config{Memory: 1 << 20})
	block := string(make([]byte, 1000))
	for i := range uint32(64) {
		for j := range uint32(300) {
			_ = r.put(client, server, i+1, part(begin, j, uint16(j), block))
		}
	}
	total := 0
	for _, h := range r.byDirection {
		sum := 0
		for _, f := range h.held {
			sum += len(f.data)
		}
		if sum != h.heldBytes {
			t.Fatalf("%d octets are held, and %d are counted", sum, h.heldBytes)
		}
		total += sum
	}
	if total != r.held || total > 1<<20 || total == 0 {
		t.Errorf("%d octets are held, and %d are counted", total, r.held)
	}
	r.Advance(r.now.Add(time.Minute / 2))
	if r.held != 0 {
		t.Errorf("%d octets are held after their time", r.held)
	}
}

// TestDamagedAssociations sends random messages, whole and in parts, in packets
// that are repeated, disordered and lost. What comes of it is messages that were
// sent, each once, and all of them if nothing was lost.
func TestDamagedAssociations(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, round))
		damage(t, rng, fmt.Sprintf("seed %d round %d", seed, round))
	}
}

func damage(t *testing.T, rng *rand.Rand, which string) {
	first := rng.Uint32()
	tsn := first
	var messages []string
	var packets [][][]byte
	var bundle [][]byte
	var sequences [4]uint16
	for n := range 40 {
		message := fmt.Sprintf("message %d %s", n, strings.Repeat("x", rng.IntN(60)))
		messages = append(messages, message)
		stream, flags := uint16(rng.IntN(4)), byte(rng.IntN(2))*flagUnordered
		rest, f := message, byte(flagBegin)
		for len(rest) > 0 {
			size := len(rest)
			if rng.IntN(2) == 0 {
				size = 1 + rng.IntN(len(rest))
			}
			if size == len(rest) {
				f |= flagEnd
			}
			bundle = append(bundle, dataChunk(flags|f, tsn, stream, sequences[stream], 46, rest[:size]))
			rest, f = rest[size:], 0
			tsn++
			if rng.IntN(3) > 0 {
				packets, bundle = append(packets, bundle), nil
			}
		}
		sequences[stream]++
	}
	packets = append(packets, bundle)
	lossy, lost := rng.IntN(2) == 0, false
	var sent [][][]byte
	for _, p := range packets {
		switch n := rng.IntN(20); {
		case n == 0 && lossy:
			lost = true
		case n < 3:
			sent = append(sent, p, p)
		default:
			sent = append(sent, p)
		}
	}
	for range rng.IntN(len(sent)) {
		i := rng.IntN(len(sent))
		j := min(i+rng.IntN(5), len(sent)-1)
		sent[i], sent[j] = sent[j], sent[i]
	}
	r := newRig(Config{})
	_ = r.put(client, server, 0, initChunk(chunkInit, toClient, first))
	r.answer(initChunk(chunkInitAck, toServer, 500))
	for _, p := range sent {
		r.ask(p...)
		if rng.IntN(20) == 0 {
			r.now = r.now.Add(100 * time.Millisecond)
			r.Advance(r.now)
		}
	}
	r.Advance(r.now.Add(5 * time.Second))
	left := slices.Clone(messages)
	for _, said := range r.told[0].said[clientSide] {
		i := slices.Index(left, said)
		if i < 0 {
			t.Fatalf("%s: %q was not sent, or came twice", which, said)
		}
		left[i] = ""
	}
	if got := len(r.told[0].said[clientSide]); !lost && got != len(messages) {
		t.Fatalf("%s: %d of %d messages, and nothing was lost", which, got, len(messages))
	}
}

func FuzzTracker(f *testing.F) {
	f.Add(uint32(toServer), whole(100, "a"), whole(101, "b"))
	f.Add(uint32(toServer), part(begin, 100, 0, "a"), part(end, 101, 0, "b"))
	f.Add(uint32(0), initChunk(chunkInit, toClient, 100), initChunk(chunkInitAck, toServer, 500))
	f.Add(uint32(toServer), raw(chunkAbort, 0, nil), raw(chunkShutdownAck, 0, nil))
	f.Fuzz(func(t *testing.T, tag uint32, first, second []byte) {
		r := newRig(Config{Associations: 2, Memory: 4096})
		for i, chunks := range [][]byte{first, second, first, second} {
			src, dst := client, server
			if i == 1 {
				src, dst = dst, src
			}
			_ = r.put(src, dst, tag+uint32(i/3), chunks)
			if r.held < 0 || r.held > 4096 || r.proven.Len()+r.unproven.Len() > 2 || len(r.byEnds) > 2 || len(r.byDirection) > 4 {
				t.Fatalf("%d octets held, %d pairs, %d directions", r.held, len(r.byEnds), len(r.byDirection))
			}
		}
		r.Advance(r.now.Add(time.Hour))
		for _, l := range r.told {
			if !l.closed {
				t.Fatal("an association was not closed")
			}
		}
		if r.held != 0 || len(r.byDirection) != 0 {
			t.Fatalf("%d octets and %d directions are left", r.held, len(r.byDirection))
		}
	})
}

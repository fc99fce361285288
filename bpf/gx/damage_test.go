package gx

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter/diametertest"
)

// A message is one of a conversation.
type message struct {
	asked  bool // by the gateway
	octets []byte
}

// converse makes a random conversation of sessions that begin, change and end,
// several at a time, with other messages between.
func converse(t testing.TB, rng *rand.Rand) []message {
	type progress struct {
		n, step int
		pending []byte // the answer to come
	}
	var all []message
	var open []*progress
	hopByHop := uint32(100)
	for n := 0; n < 12 || len(open) > 0; {
		switch {
		case n < 12 && (len(open) == 0 || rng.IntN(3) == 0):
			open = append(open, &progress{n: n})
			n++
		case rng.IntN(10) == 0:
			all = append(all, message{true, base(t, commandWatchdog, true, "pgw1.lab", 0)}, message{false, base(t, commandWatchdog, false, "pcrf.lab", 9)})
		default:
			i := rng.IntN(len(open))
			p := open[i]
			if p.pending != nil {
				all = append(all, message{false, p.pending})
				if p.pending = nil; p.step == 3 {
					open = slices.Delete(open, i, i+1)
				}
				continue
			}
			hopByHop++
			typ := []diametertest.RequestType{initial, diametertest.Update, termination}[p.step]
			request := ccr(t, session(p.n), typ, uint32(p.step), hopByHop)
			result := uint32(2001)
			if rng.IntN(12) == 0 && p.step == 1 {
				result = 5012
			}
			p.step++
			p.pending = cca(t, request, result)
			all = append(all, message{true, request})
		}
	}
	return all
}

// truth are the events of a conversation that is captured whole.
func truth(t testing.TB, all []message) []string {
	r := newRig(t, Options{})
	r.shake()
	for _, m := range all {
		if m.asked {
			r.ask(m.octets)
		} else {
			r.answer(m.octets)
		}
	}
	return r.told()
}

// A piece is what one packet carries: a part of one end's stream.
type piece struct {
	asked    bool
	from, to int
}

// TestDamagedConversations cuts conversations into random segments, which are
// repeated, disordered and lost. The events are some of the true ones, each at
// most once and none after the end of its session; and all of them if nothing
// was lost.
func TestDamagedConversations(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	total, found := 0, 0
	for round := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, round))
		which := fmt.Sprintf("seed %d round %d", seed, round)
		all := converse(t, rng)
		want := truth(t, all)
		if len(want) < 24 {
			t.Fatalf("%s: only %d true events", which, len(want))
		}
		got, lost := throughTCP(t, rng, all)
		judge(t, which, got, want, lost)
		total, found = total+len(want), found+len(got)
	}
	if found < total/2 {
		t.Errorf("%d of %d events came through", found, total)
	}
}

// judge compares what a damaged conversation gave with the truth.
func judge(t *testing.T, which string, events []binding.Event, want []string, lost bool) {
	t.Helper()
	left := slices.Clone(want)
	ended := map[string]uint32{}
	links := map[uint64]bool{}
	got := 0
	for _, ev := range events {
		if ev.Kind == binding.NewsLost {
			continue
		}
		got++
		links[ev.Link] = true
		i := slices.Index(left, describe(ev))
		if i < 0 {
			t.Fatalf("%s: %q is not true, or came twice", which, describe(ev))
		}
		left[i] = ""
		// What comes after the end of its session says that it was before.
		if end, ok := ended[ev.Session]; ok && ev.Order >= end {
			t.Fatalf("%s: %q is number %d, and the session ended with %d", which, describe(ev), ev.Order, end)
		}
		if ev.Kind == binding.SessionStop {
			ended[ev.Session] = ev.Order
		}
	}
	if got > 0 && (len(links) != 1 || links[0]) {
		t.Fatalf("%s: one connection has the numbers %v", which, links)
	}
	if !lost && got != len(want) {
		t.Fatalf("%s: %d of %d events, and nothing was lost", which, got, len(want))
	}
}

func throughTCP(t *testing.T, rng *rand.Rand, all []message) (events []binding.Event, lost bool) {
	var streams [2][]byte
	side := func(asked bool) int {
		if asked {
			return 1
		}
		return 0
	}
	var pieces []piece
	// Each message is cut anywhere; some segments hold more than one.
	var unsent [2]int
	for _, m := range all {
		s := side(m.asked)
		streams[s] = append(streams[s], m.octets...)
		if rng.IntN(4) == 0 {
			continue
		}
		for at := unsent[s]; at < len(streams[s]); {
			to := min(at+1+rng.IntN(500), len(streams[s]))
			pieces = append(pieces, piece{m.asked, at, to})
			at, unsent[s] = to, to
		}
	}
	for s, stream := range streams {
		if unsent[s] < len(stream) {
			pieces = append(pieces, piece{s == 1, unsent[s], len(stream)})
		}
	}
	lossy := rng.IntN(3) > 0
	var sent []piece
	for _, p := range pieces {
		switch n := rng.IntN(25); {
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
	r := newRig(t, Options{})
	r.shake()
	for _, p := range sent {
		src, dst := pcrf, pcef
		if p.asked {
			src, dst = pcef, pcrf
		}
		r.segment(src, dst, 0x10, first(src)+uint32(p.from), streams[side(p.asked)][p.from:p.to])
		if rng.IntN(50) == 0 {
			r.now = r.now.Add(100 * time.Millisecond)
			r.Advance(r.now)
		}
	}
	r.Advance(r.now.Add(10 * time.Second))
	return r.events, lost
}

// first is the sequence number of the first octet of an end.
func first(src netip.AddrPort) uint32 {
	if src == pcef {
		return 1001
	}
	return 2001
}

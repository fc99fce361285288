package gx

import (
	"encoding/binary"
	"testing"

	"github.com/simbind/simbind/binding"
)

// checkEvent: an event says who, of which session, and nothing that it must not.
func checkEvent(t *testing.T, ev binding.Event) {
	t.Helper()
	ofSession := ev.Kind == binding.SessionStart || ev.Kind == binding.SessionUpdate || ev.Kind == binding.SessionStop
	if !ev.Observed || ev.Source != binding.SourceGx || ev.Arrived.IsZero() || ofSession && ev.Link == 0 ||
		ev.Kind != binding.NewsLost && (ev.Node == "" || ev.Owner == "") || ofSession != (ev.Session != "") {
		t.Errorf("an event that says nothing: %+v", ev)
	}
}

// FuzzTCP takes a script of segments: of which end, how far from the last, how
// long, and the octets.
func FuzzTCP(f *testing.F) {
	request := ccr(f, session(1), initial, 0, 7)
	answer := cca(f, request, 2001)
	f.Add(append(append(script(0x80, 0, request[:100]), script(0x80, 0, request[100:])...), script(0, 0, answer)...))
	f.Add(append(script(0x80, 4, request), script(0, 0, answer)...))
	f.Add(append(script(0, 0, answer), script(0x80, 0, request)...))
	f.Fuzz(func(t *testing.T, s []byte) {
		r := newRig(t, Options{Pending: 4, Connections: 2})
		for len(s) >= 4 {
			from, skip, n := s[0], int32(int8(s[1])), int(binary.BigEndian.Uint16(s[2:]))
			s = s[4:]
			n = min(n, len(s))
			src, dst := pcrf, pcef
			if from&0x80 != 0 {
				src, dst = pcef, pcrf
			}
			r.next[src] += uint32(skip)
			r.send(src, dst, s[:n])
			s = s[n:]
		}
		r.Advance(r.now.Add(1 << 33))
		for _, ev := range r.events {
			checkEvent(t, ev)
		}
		if r.open.Len() > 4 {
			t.Errorf("%d wait", r.open.Len())
		}
	})
}

func script(from, skip byte, octets []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{from, skip}, uint16(len(octets))), octets...)
}

// FuzzFramer: whatever comes, in whatever pieces, messages that are passed on
// can be read to their end, and what is kept is bounded.
func FuzzFramer(f *testing.F) {
	request := ccr(f, session(1), initial, 0, 7)
	f.Add(append([]byte{1, 2, 3}, request...), uint16(50), true)
	f.Add(request, uint16(7), false)
	f.Fuzz(func(t *testing.T, stream []byte, piece uint16, lost bool) {
		fr := framer{lost: lost}
		var c counts
		total := 0
		for rest := stream; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			fr.add(rest[:n], &c, func(message []byte) {
				if total += len(message); len(message) < 20 || int(binary.BigEndian.Uint32(message)&0xFFFFFF) != len(message) {
					t.Errorf("a message of %d octets: %x", len(message), message)
				}
			})
			rest = rest[n:]
		}
		if total > len(stream) || len(fr.rest) > 1<<16+int(piece)+1 {
			t.Errorf("%d octets of messages and %d kept, of %d", total, len(fr.rest), len(stream))
		}
	})
}

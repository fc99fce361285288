package diameter

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// What leaves a relay is what came, but for its identifier, the T bit and one
// Route-Record more.
func FuzzForward(f *testing.F) {
	for _, v := range allVectors(f) {
		f.Add(v.message, uint32(7), true)
	}
	for _, h := range hostileShapes() {
		f.Add(h.message, uint32(0xFFFFFFFF), false)
	}
	s := New(Config{OriginHost: "simbind.lab", OriginRealm: "lab"}, nil, discard())
	f.Fuzz(func(t *testing.T, message []byte, hopByHop uint32, again bool) {
		m, err := newFrame(message)
		if err != nil {
			return
		}
		before := bytes.Clone(m)
		r := s.readRoute(m)
		prefix := []byte("what waits already")
		out := appendForwarded(bytes.Clone(prefix[:16]), m, hopByHop, again, r.whole, "pgw1.lab")
		if !bytes.Equal(before, m) || !bytes.Equal(out[:16], prefix[:16]) {
			t.Fatal("something else was changed")
		}
		sent := frame(out[16:])
		if n, err := frameLength(sent, MaxMessage+64); err != nil || n != len(sent) || sent.hopByHop() != hopByHop {
			t.Fatalf("%x: %v", sent, err)
		}
		tail := sent[len(m):]
		if r.whole {
			w := newWalk()
			a, rest, err := w.next(tail)
			if err != nil || len(rest) > 0 || !a.is(0, avpRouteRecord) || string(a.data) != "pgw1.lab" {
				t.Fatalf("after the message comes %x", tail)
			}
		} else if len(tail) > 0 {
			t.Fatalf("after a message that cannot be read comes %x", tail)
		}
		body := bytes.Clone(sent[:len(m)])
		copy(body[1:4], m[1:4])
		binary.BigEndian.PutUint32(body[12:], m.hopByHop())
		if again {
			body[4] = body[4]&^flagRetransmit | m[4]&flagRetransmit
		}
		if !bytes.Equal(body, m) {
			t.Fatalf("%x left as %x", m, sent)
		}
	})
}

// FuzzStream cuts a stream in any pieces into the same messages.
func FuzzStream(f *testing.F) {
	var all []byte
	for _, v := range allVectors(f) {
		all = append(all, v.message...)
	}
	f.Add(all, byte(13))
	for _, h := range hostileShapes() {
		f.Add(h.message, byte(1))
	}
	f.Add([]byte{1, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, byte(3))
	f.Fuzz(func(t *testing.T, stream []byte, piece byte) {
		whole, whyWhole := cutAll(bytes.NewReader(stream))
		pieces, whyPieces := cutAll(&pieceReader{stream, int(piece)%97 + 1})
		if !bytes.Equal(whole, pieces) || (whyWhole == nil) != (whyPieces == nil) {
			t.Fatalf("%d octets of messages (%v), in pieces %d (%v)", len(whole), whyWhole, len(pieces), whyPieces)
		}
		if !bytes.HasPrefix(stream, whole) {
			t.Fatal("what came out is not what went in")
		}
	})
}

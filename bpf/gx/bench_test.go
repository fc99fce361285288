package gx

import (
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

// BenchmarkExchange is one Credit-Control-Request with its answer, each in a
// segment of its own.
func BenchmarkExchange(b *testing.B) {
	request := ccr(b, session(1), initial, 0, 7)
	answer := cca(b, request, 2001)
	f := New(func(binding.Event) {}, Options{})
	header := func(seq uint32) []byte {
		return []byte{0, 0, 0, 0, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq), 0, 0, 0, 0, 5 << 4, 0x10, 0, 0, 0, 0, 0, 0}
	}
	var asked, answered uint32
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := [4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
		for _, m := range [][]byte{request, answer} {
			copy(m[12:], id[:]) // Hop-by-Hop
			copy(m[16:], id[:]) // End-to-End
		}
		f.Packet(&wire.Packet{Time: began, Src: pcef, Dst: pcrf, Proto: wire.ProtoTCP, Header: header(asked), Payload: request})
		f.Packet(&wire.Packet{Time: began, Src: pcrf, Dst: pcef, Proto: wire.ProtoTCP, Header: header(answered), Payload: answer})
		asked, answered = asked+uint32(len(request)), answered+uint32(len(answer))
	}
	if f.counts[paired].Load() < uint64(b.N) {
		b.Errorf("%d of %d exchanges counted", f.counts[paired].Load(), b.N)
	}
}

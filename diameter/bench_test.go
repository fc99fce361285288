package diameter_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// BenchmarkTerminate is the edge alone: the Registry takes everything and
// acknowledges it in groups.
func BenchmarkTerminate(b *testing.B) {
	acks := make(chan binding.Event, 1<<16)
	go func() {
		for ev := range acks {
			ev.Ack.Acknowledge(ev.Token, nil)
		}
	}()
	defer close(acks)
	s := start(b, diameter.Config{InFlight: 1 << 16}, func(ev binding.Event) error {
		if ev.Ack != nil {
			acks <- ev
		}
		return nil
	})
	w := connect(b, s.addr(), "pgw1.lab", 0)
	const window = 256
	var batch bytes.Buffer
	for i := range window {
		if _, err := w.ccr("pgw1.lab;1;2", 2, uint32(i), subscriber(7)...).WriteTo(&batch); err != nil {
			b.Fatal(err)
		}
	}
	w.write(serialize(b, w.ccr("pgw1.lab;1;2", 2, 0)))
	answer := len(w.raw())
	b.SetBytes(int64(batch.Len() / window))
	b.ReportAllocs()
	b.ResetTimer()
	buf := make([]byte, window*answer)
	for range b.N/window + 1 {
		w.write(batch.Bytes())
		if _, err := io.ReadFull(w.conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}

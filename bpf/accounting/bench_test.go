package accounting

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

// BenchmarkExchange is one Accounting-Request with its response, both of them
// authenticated.
func BenchmarkExchange(b *testing.B) {
	p, err := session.Request(radiustest.Start, []byte(secret))
	request, response := encoded(b, p, err, 7)
	f := New(func(binding.Event) {}, Options{Clients: []radius.Client{client}, Timeout: time.Second})
	now := began
	b.ReportAllocs()
	for b.Loop() {
		f.Packet(&wire.Packet{Time: now, Src: nas, Dst: server, Payload: request})
		f.Packet(&wire.Packet{Time: now, Src: server, Dst: nas, Payload: response})
		now = now.Add(2 * time.Second) // the last one is forgotten
	}
	if f.counts[paired].Load() < uint64(b.N) {
		b.Errorf("%d of %d exchanges counted", f.counts[paired].Load(), b.N)
	}
}

package feed

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// An endlessOutbox makes changes up to a number, as fast as they are read.
type endlessOutbox struct {
	top   uint64
	chunk []binding.Change // reused
	notfy chan struct{}
}

func (o *endlessOutbox) ReadOutbox(after uint64, limit int) ([]binding.Change, error) {
	n := min(uint64(limit), o.top-after)
	for i := range n {
		o.chunk[i].Seq = after + 1 + i
	}
	return o.chunk[:n], nil
}

func (o *endlessOutbox) TrimOutbox(uint64) error       { return nil }
func (o *endlessOutbox) OutboxNotify() <-chan struct{} { return o.notfy }

// BenchmarkPublish is the whole way of a change: read, encoded, sent, stored in
// a file by a server in this process, acknowledged. cpu-µs/change is the time
// of the process, with the server and the garbage collector.
func BenchmarkPublish(b *testing.B) {
	cfg := embeddedConfig(b)
	cfg.Embedded.Listen = ""
	benchmarkPublish(b, cfg)
}

// BenchmarkPublishToAServer is the same with the server in another process on
// this machine: cpu-µs/change is what publishing alone costs.
func BenchmarkPublishToAServer(b *testing.B) {
	addr, _ := startProcess(b, b.TempDir(), "127.0.0.1:0")
	benchmarkPublish(b, clusterConfig("nats://"+addr))
}

func benchmarkPublish(b *testing.B, cfg Config) {
	outbox := &endlessOutbox{top: uint64(b.N), notfy: make(chan struct{})}
	for i := range batchMax {
		outbox.chunk = append(outbox.chunk, change(uint64(i+1)))
	}
	began, cpu := time.Now(), processTime()
	f := start(b, cfg, outbox, nil)
	f.awaitDelivered(outbox.top)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "changes/s")
	b.ReportMetric(float64((processTime()-cpu).Nanoseconds())/1e3/float64(b.N), "cpu-µs/change")
}

func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkShadow holds a change of the stream and one of ours against each
// other: what a member that stands by does for each change.
func BenchmarkShadow(b *testing.B) {
	s := &shadow{
		incarnation: "i", unlike: map[spot]*unlike{}, enc: encoder{site: "lab", incarnation: "i", privacy: Clear},
		told: func(binding.Place) binding.Change { return binding.Change{} }, now: time.Now,
	}
	enc := encoder{site: "lab", incarnation: "i", privacy: Clear}
	for seq := uint64(1); b.Loop(); seq++ {
		c := change(seq)
		c.Kind = binding.Bound
		told, err := parseChange("lab", enc.appendChange(nil, &c))
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(s.hear(&told, seq), s.own(&c)); err != nil {
			b.Fatal(err)
		}
	}
	if len(s.unlike) != 0 {
		b.Errorf("%d places differ", len(s.unlike))
	}
}

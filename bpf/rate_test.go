package bpf

import (
	"syscall"
	"testing"
	"time"
)

// TestTheDefaultBufferHoldsASecondOfSignalling sends 100 000 packets as fast as
// the machine does. All fit into the default buffer, so that nothing may be
// lost however late the reader is. The rate and the CPU are only logged.
func TestTheDefaultBufferHoldsASecondOfSignalling(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const packets = 100_000
	veth(t, "core0", "core1")
	tap := runTap(t, Config{Interfaces: []string{"core0"}})
	tap.observer.forget.Store(true)
	w, f := openWire(t, "core1"), over4(udp(2123, 2123, gtpv2(33)...))
	before, start := cpuTime(t), time.Now()
	for range packets {
		w.send(f)
	}
	sent := time.Since(start)
	eventually(t, "all arrive", func() bool { return tap.observer.n.Load() == packets })
	took, cpu := time.Since(start), cpuTime(t)-before
	if s := tap.State(); s.Matched != packets || s.Delivered != packets || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("sent at %.0f/s, all read after %v; CPU of sender, kernel and reader together: %v a packet", packets/sent.Seconds(), took, cpu/packets)
}

// cpuTime is what this process has used.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

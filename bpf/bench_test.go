package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
)

// BenchmarkFilter is what the kernel's half costs a packet, by what becomes of
// it. A test run of the kernel adds its own overhead, some tens of nanoseconds.
func BenchmarkFilter(b *testing.B) {
	for _, bc := range []struct {
		what  string
		frame frame
	}{
		{"user plane", over4(udp(2152, 2152, make([]byte, 1200)...))},
		{"other TCP over IPv6", ether(typeIPv6, ip6(protoTCP, tcp(40000, 443, ack, make([]byte, 1200)...)))},
		{"selected, the ring is full", over4(udp(2123, 2123, append(gtpv2(33), make([]byte, 200)...)...))},
	} {
		b.Run(bc.what, func(b *testing.B) {
			k := needsKernel(b, Config{RingBuffer: minRingBuffer})
			if _, err := k.objects.Ingress.Run(&ebpf.RunOptions{Data: bc.frame, Repeat: uint32(b.N)}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

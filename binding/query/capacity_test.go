package query

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkCapacity is BenchmarkAgainstRedis with a client that only counts
// bytes. redis-benchmark takes replies apart, which costs it more than either
// server spends on them, so with pipelining it measures itself.
//
//	go test ./binding/query -run '^$' -bench Capacity -benchtime 1x
func BenchmarkCapacity(b *testing.B) {
	redis, _ := startRedis(b)
	_, ours := start(b, newFake(1_000_000), func(s *Server) { s.cfg.Priority = os.Getenv("QUERY_PRIORITY") })
	get := appendRequest(nil, "GET", "10.45.0.70")
	verify := appendRequest(nil, "VERIFY", "10.45.0.70", "+491700000070")
	for _, load := range []struct{ clients, pipeline, requests int }{{1, 1, 15_000}, {50, 1, 50_000}, {50, 16, 300_000}, {1, 16, 100_000}} {
		b.Run(fmt.Sprintf("c%d/P%d", load.clients, load.pipeline), func(b *testing.B) {
			var their, our []float64
			for b.Loop() {
				for range 9 {
					their = append(their, blast(b, redis, get, load.clients, load.pipeline, load.requests))
					our = append(our, blast(b, ours, verify, load.clients, load.pipeline, load.requests))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(their), "redis-GET/s")
			b.ReportMetric(median(our), "VERIFY/s")
			b.ReportMetric(median(our)/median(their), "ratio")
		})
	}
}

// blast has each of some connections send one batch after the other, and
// returns the requests per second.
func blast(t testing.TB, socket string, request []byte, clients, pipeline, requests int) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(epoll)
	due := map[int]int{} // bytes still to come, by connection
	batch := bytes.Repeat(request, pipeline)
	for range clients {
		fd, err := unixSocket()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
			t.Fatal(err)
		}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatal(err)
		}
		due[fd] = 0
	}
	size := replySize(t, socket, request) * pipeline
	events, in := make([]unix.EpollEvent, clients), make([]byte, 64<<10)
	begin := time.Now()
	for fd := range due {
		due[fd] = size
		write(fd, batch)
	}
	for done := 0; done < requests; {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			got, errno := read(fd, in)
			if got <= 0 {
				t.Fatal("the server hung up: ", errno)
			}
			if due[fd] -= got; due[fd] == 0 {
				due[fd] = size
				done += pipeline
				write(fd, batch)
			}
		}
	}
	return float64(requests) / time.Since(begin).Seconds()
}

func replySize(t testing.TB, socket string, request []byte) int {
	c := dialRaw(t, socket)
	c.Write(request)
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	return n
}

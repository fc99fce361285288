package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/simbind/simbind/radius/radiustest"
)

// A fakeServer answers accounting with an independent implementation, but for
// every so manieth request when it comes first.
type fakeServer struct {
	conn  net.PacketConn
	every int

	mu       sync.Mutex
	seen     map[[16]byte]bool
	sessions map[string][]radiustest.Status
	requests int
}

func startFakeServer(t *testing.T, every int) *fakeServer {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{conn: conn, every: every, seen: map[[16]byte]bool{}, sessions: map[string][]radiustest.Status{}}
	done := make(chan struct{})
	go func() { defer close(done); f.serve(t) }()
	t.Cleanup(func() { conn.Close(); <-done })
	return f
}

func (f *fakeServer) serve(t *testing.T) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := f.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if !layeh.IsAuthenticRequest(buffer[:n], []byte(secret)) {
			t.Error("a request is not authentic")
			continue
		}
		p, err := layeh.Parse(buffer[:n], []byte(secret))
		if err != nil {
			t.Error(err)
			continue
		}
		if !f.take(p) {
			continue
		}
		answer, err := p.Response(layeh.CodeAccountingResponse).Encode()
		if err != nil {
			t.Error(err)
			continue
		}
		f.conn.WriteTo(answer, from)
	}
}

func (f *fakeServer) take(p *layeh.Packet) (answer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.seen[p.Authenticator] {
		f.seen[p.Authenticator] = true
		f.requests++
		if f.every > 0 && f.requests%f.every == 0 {
			return false
		}
	}
	id := rfc2866.AcctSessionID_GetString(p)
	f.sessions[id] = append(f.sessions[id], radiustest.Status(rfc2866.AcctStatusType_Get(p)))
	return true
}

func TestEachSessionIsSentInOrderAndLossesAreRepaired(t *testing.T) {
	f := startFakeServer(t, 50)
	load := newTraffic(f.conn.LocalAddr().String(), wholeLife, guests(), 100)
	load.sockets, load.window = 2, 16
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sum, err := load.send(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if sum.sessions != 100 || sum.sent != 300 || sum.answered != 300 || sum.repeated < 6 || sum.bad != 0 || sum.latency.count != 300 {
		t.Errorf("got %d sessions, %d sent, %d answered, %d repeated, %d bad", sum.sessions, sum.sent, sum.answered, sum.repeated, sum.bad)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	want := []radiustest.Status{radiustest.Start, radiustest.Interim, radiustest.Stop}
	for n := range uint64(100) {
		if id := fmt.Sprintf("%016d", guests().id+n); !slices.Equal(f.sessions[id], want) {
			t.Errorf("session %d: %v", n, f.sessions[id])
		}
	}
}

func TestTheRateIsKept(t *testing.T) {
	f := startFakeServer(t, 0)
	load := newTraffic(f.conn.LocalAddr().String(), busyHour, guests(), 0)
	load.sockets, load.rate, load.residents = 2, 1000, 10
	load.until = time.Now().Add(500 * time.Millisecond)
	sum, err := load.send(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// A slow machine may stay behind. What began is completed.
	if most := uint64(1000*sum.elapsed.Seconds()) + 2; sum.sent > most || sum.sent == 0 || sum.answered != sum.sent {
		t.Errorf("%d sent and %d answered in %v", sum.sent, sum.answered, sum.elapsed)
	}
}

func TestTrafficGivesUpWithItsContext(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0") // which never answers
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := newTraffic(conn.LocalAddr().String(), startOnly, guests(), 10).send(ctx); err == nil {
		t.Error("nothing was answered, and it is no error")
	}
}

func TestAPacketSaysWhoItIsOf(t *testing.T) {
	template, err := newTemplate()
	if err != nil {
		t.Fatal(err)
	}
	wire := append([]byte(nil), template.wire...)
	who, n, s := residents(), uint64(123_456), newSigner()
	template.patch(wire, 77, radiustest.Interim, who, n, 5, time.Unix(1_790_000_000, 0))
	s.sign(wire)
	if !layeh.IsAuthenticRequest(wire, []byte(secret)) {
		t.Error("the request is not authentic")
	}
	p, err := layeh.Parse(wire, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := netip.AddrFromSlice(rfc2865.FramedIPAddress_Get(p))
	if addr != who.addr(n) || addr.String() != "10.1.226.65" {
		t.Errorf("Framed-IP-Address %v", addr)
	}
	if got := rfc2865.CallingStationID_GetString(p); "+"+got != who.number(n) || got != "491700123457" {
		t.Errorf("Calling-Station-Id %v", got)
	}
	if got := rfc2866.AcctSessionID_GetString(p); got != "0000000000123456" || p.Identifier != 77 {
		t.Errorf("Acct-Session-Id %v, identifier %d", got, p.Identifier)
	}
	if got := radiustest.Status(rfc2866.AcctStatusType_Get(p)); got != radiustest.Interim {
		t.Errorf("Acct-Status-Type %v", got)
	}
	answer, err := p.Response(layeh.CodeAccountingResponse).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !s.answers(answer, wire) {
		t.Error("an authentic answer is refused")
	}
	answer[4] ^= 1
	if s.answers(answer, wire) {
		t.Error("a forged answer is taken")
	}
}

func TestPopulationsDoNotMeet(t *testing.T) {
	a, b := residents(), guests()
	if a.pool.Overlaps(b.pool) {
		t.Error("the pools overlap")
	}
	if last := a.msisdn + maxSessions; last >= b.msisdn {
		t.Errorf("the last resident has %d", last)
	}
	if first, last := a.addr(0), a.addr(maxSessions-1); !a.pool.Contains(first) || !a.pool.Contains(last) || first == last {
		t.Errorf("residents are from %v to %v", first, last)
	}
}

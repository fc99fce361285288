package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	layeh "layeh.com/radius"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/diameter/diametertest"
)

// accounting is a RADIUS server of others that answers every request.
func accounting(t *testing.T, secret string) (address string, seen *atomic.Int64) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen = new(atomic.Int64)
	server := &layeh.PacketServer{
		SecretSource: layeh.StaticSecretSource([]byte(secret)),
		Handler: layeh.HandlerFunc(func(w layeh.ResponseWriter, r *layeh.Request) {
			seen.Add(1)
			w.Write(r.Response(layeh.CodeAccountingResponse))
		}),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(conn) }()
	t.Cleanup(func() {
		conn.Close()
		server.Shutdown(context.Background())
		if err := <-done; err != nil && !errors.Is(err, layeh.ErrServerShutdown) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("accounting server: %v", err)
		}
	})
	return conn.LocalAddr().String(), seen
}

func TestSimulateCountsWhatIsAnswered(t *testing.T) {
	server, seen := accounting(t, "testing123")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("testing123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]string{{"--secret", "testing123"}, {"--secret-file", file}} {
		seen.Store(0)
		args := []string{"simulate", "radius", "-o", "json", "--server", server, "--subscribers", "20", "--rate", "1000", "--hold", "20ms"}
		s := newSession(append(args, secret...)...)
		if code := s.run(); code != exitYes {
			t.Fatalf("exit %d: %s", code, &s.err)
		}
		var got accounted
		if err := json.Unmarshal(s.out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Sent != 40 || got.Answered != 40 || got.Lost != 0 || got.Attached != 0 || got.P99Micros < got.P50Micros {
			t.Errorf("20 subscribers came and went: %+v", got)
		}
		if n := seen.Load(); n < 40 {
			t.Errorf("the server saw %d requests", n)
		}
	}
}

func TestSimulateFailsWhenRequestsAreLost(t *testing.T) {
	server, _ := accounting(t, "another")
	s := newSession("simulate", "radius", "--server", server, "--secret", "testing123", "--subscribers", "2", "--rate", "1000", "--timeout", "20ms")
	if code := s.run(); code != exitNo {
		t.Errorf("exit %d, want %d", code, exitNo)
	}
	if got := s.err.String(); !strings.Contains(got, "radius.clients") {
		t.Errorf("says %q, want what to look at", got)
	}
	if !strings.Contains(s.out.String(), "lost      2\n") {
		t.Errorf("printed\n%s", &s.out)
	}
}

func TestSimulateEndsOnAnInterrupt(t *testing.T) {
	server, seen := accounting(t, "testing123")
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	s := newSession("simulate", "radius", "--server", server, "--secret", "testing123", "--duration", "10m", "--rate", "1000")
	code := make(chan int, 1)
	go func() { code <- run(ctx, s.env) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for seen.Load() == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no request came")
		}
	}
	interrupt()
	if got := <-code; got != exitYes {
		t.Errorf("exit %d: %s", got, &s.err)
	}
	if !strings.Contains(s.out.String(), "answered") {
		t.Errorf("no summary: %q", &s.out)
	}
}

func TestSimulateRefusesNonsense(t *testing.T) {
	for _, args := range []string{
		"simulate", "simulate sms", "simulate radius", "simulate radius --secret a --secret-file b",
		"simulate radius --secret a --pool ten", "simulate radius --secret a --pool6 10.0.0.0/8",
		"simulate radius --secret a --rate 0", "simulate radius --secret a --subscribers 0", "simulate radius --secret a --hold -1s",
		"simulate gx --rate 0", "simulate gx --connections 0", "simulate gx --restart -1s", "simulate gx --origin-host=", "simulate gx --pool ten",
		"simulate gx --tls-cert a.crt", "simulate gx --tls-ca a.crt", "simulate gx --tls-ca /none --tls-cert /none --tls-key /none",
	} {
		s := newSession(strings.Fields(args)...)
		if code := s.run(); code != exitUsage {
			t.Errorf("%s: exit %d, want %d", args, code, exitUsage)
		}
	}
}

func TestProgressKeepsToOneLineOnATerminal(t *testing.T) {
	report := func(terminal bool) string {
		s := newSession()
		s.terminal = terminal
		show := (&cli{env: s.env}).progressPrinter()
		for second := range 25 {
			show(crowdtest.Progress{Elapsed: time.Duration(second) * time.Second})
		}
		return s.err.String()
	}
	if got := report(true); strings.Contains(got, "\n") || strings.Count(got, clearLine) != 25 {
		t.Errorf("on a terminal: %q", got)
	}
	if got := report(false); strings.Count(got, "\n") != 2 || strings.Contains(got, "\x1b") {
		t.Errorf("in a log: %q", got)
	}
}

// policy is a PCRF of others.
func policy(t *testing.T, result uint32) *diametertest.PCRF {
	t.Helper()
	s, err := diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{
		Record: true, Result: func(diametertest.Message) uint32 { return result },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestSimulateGxCountsWhatIsAnswered(t *testing.T) {
	server := policy(t, diametertest.Success)
	s := newSession("simulate", "gx", "-o", "json", "--server", server.Addr(), "--subscribers", "20", "--rate", "1000", "--hold", "20ms", "--connections", "2")
	if code := s.run(); code != exitYes {
		t.Fatalf("exit %d: %s", code, &s.err)
	}
	var got reported
	if err := json.Unmarshal(s.out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Sent != 40 || got.Answered != 40 || got.Results[2001] != 40 || got.Lost+got.Wrong+got.Refused != 0 || got.Attached != 0 || got.P99Micros < got.P50Micros {
		t.Errorf("20 subscribers came and went: %+v", got)
	}
	if n := len(server.Exchanges()); n != 40 {
		t.Errorf("the server saw %d requests", n)
	}
}

func TestSimulateGxFailsWhenRequestsAreRefused(t *testing.T) {
	s := newSession("simulate", "gx", "--server", policy(t, diametertest.TooBusy).Addr(), "--subscribers", "2", "--rate", "1000")
	if code := s.run(); code != exitNo {
		t.Errorf("exit %d, want %d", code, exitNo)
	}
	if got := s.err.String(); !strings.Contains(got, "2 requests were refused") {
		t.Errorf("says %q", got)
	}
	if !strings.Contains(s.out.String(), "3004: 2") {
		t.Errorf("printed\n%s", &s.out)
	}
}

func TestSimulateGxSaysThatNobodyListens(t *testing.T) {
	s := newSession("simulate", "gx", "--server", "127.0.0.1:1")
	if code := s.run(); code != exitNo || !strings.Contains(s.err.String(), "127.0.0.1:1") {
		t.Errorf("exit %d: %s", code, &s.err)
	}
}

func TestSimulatePlaysBothEndsForTheTap(t *testing.T) {
	for _, args := range [][]string{
		{"gtp", "--from", "127.0.0.1:0", "--to", "127.0.0.1:0"},
		{"gtp", "--version", "1", "--from", "127.0.0.1:0", "--to", "127.0.0.1:0"},
		{"pfcp", "--from", "127.0.0.1:0", "--to", "127.0.0.1:0", "--pool6", "2001:db8:cafe::/48", "--anonymous"},
		{"pfcp", "--no-msisdn", "--from", "127.0.0.1:0", "--to", "127.0.0.1:0"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			line := append([]string{"simulate"}, args...)
			s := newSession(append(line, "-o", "json", "--subscribers", "20", "--rate", "2000", "--hold", "20ms")...)
			if code := s.run(); code != exitYes {
				t.Fatalf("exit %d: %s", code, &s.err)
			}
			var got outcome
			if err := json.Unmarshal(s.out.Bytes(), &got); err != nil || got.Sent != 40 || got.Answered != 40 || got.Lost != 0 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for _, args := range [][]string{{"gtp", "--version", "3"}, {"gtp", "--from", "lo"}, {"pfcp", "--timeout", "0s"}} {
		if s := newSession(append([]string{"simulate"}, args...)...); s.run() != exitUsage {
			t.Errorf("%q is accepted: %s", args, &s.err)
		}
	}
}

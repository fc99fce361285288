package radius_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

// serveVariable has the test binary serve alone, so that its CPU time is that
// of the server.
const serveVariable = "SIMBIND_RADIUS_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		if err := serveAlone(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveAlone prints its address and serves until its input ends. Each event is
// acknowledged at once.
func serveAlone() error {
	ctx, cancel := context.WithCancel(context.Background())
	submit := func(ev binding.Event) error {
		if ev.Ack != nil {
			ev.Ack.Acknowledge(ev.Token, nil)
		}
		return nil
	}
	s := radius.New(radius.Config{
		Listen:  []string{"127.0.0.1:0"},
		Clients: []radius.Client{{Name: "load", Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: []byte(secret)}},
	}, submit, slog.New(slog.DiscardHandler))
	go func() {
		<-s.Ready()
		fmt.Println(s.Addrs()[0])
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return s.Run(ctx)
}

// BenchmarkRequests is one request and its answer, with 8 sockets of 32
// requests each against a server process of its own.
func BenchmarkRequests(b *testing.B) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), serveVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	b.ResetTimer()
	sum, err := radiustest.Load(ctx, radiustest.LoadOptions{
		Server: strings.TrimSpace(address), Secret: []byte(secret), Requests: b.N, Sessions: 1_000_000,
	})
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(sum.PerSecond(), "req/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "server-µs/req")
	b.ReportMetric(float64(sum.Retransmitted), "repeated")
	b.ReportMetric(float64(sum.P99.Microseconds()), "p99-µs")
}

package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

const testDeadline = time.Minute

// until polls for a condition, for as long as the machine may be busy.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(testDeadline)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// A running is a Feed whose Run is under way.
type running struct {
	*Feed
	t    testing.TB
	stop func() error // ends Run and returns its error
}

// start runs a Feed; the test's end stops it.
func start(t testing.TB, cfg Config, outbox Outbox, asker Asker) *running {
	t.Helper()
	return run(t, New(cfg, outbox, asker, testLog(t)))
}

func run(t testing.TB, f *Feed) *running {
	t.Helper()
	f.reconnectWait = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return &running{f, t, stop}
}

func (r *running) awaitDelivered(seq uint64) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("change %d is delivered (problem: %s)", seq, r.State().Problem), func() bool { return r.State().Delivered >= seq && r.Ready() })
}

func (r *running) awaitProblem(text string) {
	r.t.Helper()
	seen := map[string]bool{}
	defer func() {
		if r.t.Failed() {
			r.t.Logf("problems seen: %q", slices.Collect(maps.Keys(seen)))
		}
	}()
	until(r.t, "problem "+text, func() bool {
		problem := r.State().Problem
		seen[problem] = true
		return strings.Contains(problem, text)
	})
}

var testDiscard = slog.New(slog.DiscardHandler)

func testLog(t testing.TB) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	return testDiscard
}

type writer struct{ t testing.TB }

func (w writer) Write(b []byte) (int, error) { w.t.Logf("%s", b); return len(b), nil }

// embeddedConfig is a site with its own server and a listener on loopback.
func embeddedConfig(t testing.TB) Config {
	cfg := Config{Site: "lab", Journal: binding.JournalMeta{Incarnation: "abc"}, PublishMSISDN: Clear}
	cfg.Embedded.Listen = "127.0.0.1:0"
	cfg.Embedded.StoreDir = t.TempDir()
	return cfg
}

// clusterConfig is a site that publishes to an operator's server.
func clusterConfig(url string) Config {
	return Config{Site: "lab", Journal: binding.JournalMeta{Incarnation: "abc"}, PublishMSISDN: Clear, URL: url}
}

// An operator is a NATS server of its own, which can be stopped and started
// again on its port and files.
type operator struct {
	t    testing.TB
	opts server.Options
	srv  *server.Server
}

func newOperator(t testing.TB, change func(*server.Options)) *operator {
	o := &operator{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	}}
	if change != nil {
		change(&o.opts)
	}
	o.start()
	t.Cleanup(o.stop)
	return o
}

// start starts the server. Its port may be that of somebody's connection for a
// while, if it had been stopped.
func (o *operator) start() {
	o.t.Helper()
	for deadline := time.Now().Add(testDeadline); ; {
		opts := o.opts
		srv, err := server.NewServer(&opts)
		if err != nil {
			o.t.Fatal(err)
		}
		go srv.Start()
		if srv.ReadyForConnections(testDeadline / 4) {
			o.srv, o.opts.Port = srv, srv.Addr().(*net.TCPAddr).Port
			return
		}
		srv.Shutdown()
		srv.WaitForShutdown()
		if time.Now().After(deadline) {
			o.t.Fatal("nats server is not ready")
		}
	}
}

func (o *operator) stop() {
	o.srv.Shutdown()
	o.srv.WaitForShutdown()
}

func (o *operator) url() string { return o.srv.ClientURL() }

// client connects like any stock client.
func client(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append(opts, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func jetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A received is one message of the stream as a consumer sees it.
type received struct {
	subject, id string
	payload     []byte
}

// readAll consumes the whole stream.
func readAll(t testing.TB, nc *nats.Conn) []received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testDeadline)
	defer cancel()
	js := jetStream(t, nc)
	stream, err := js.Stream(ctx, DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	n := int(stream.CachedInfo().State.Msgs)
	consumer, err := js.OrderedConsumer(ctx, DefaultStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	var list []received
	for len(list) < n {
		msg, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(list), n, err)
		}
		list = append(list, received{msg.Subject(), msg.Headers().Get(nats.MsgIdHdr), msg.Data()})
	}
	return list
}

// wantChanges checks that the messages are the changes first to last, each
// once, in order, in full.
func wantChanges(t testing.TB, got []received, incarnation string, first, last uint64) {
	t.Helper()
	if len(got) != int(last-first+1) {
		t.Errorf("%d messages, want %d", len(got), last-first+1)
	}
	enc := encoder{site: "lab", incarnation: incarnation, privacy: Clear}
	for i, m := range got {
		seq := first + uint64(i)
		c := change(seq)
		if want := fmt.Sprintf("lab-%s-%d", incarnation, seq); m.id != want {
			t.Fatalf("message %d has id %q, want %q", i, m.id, want)
		}
		if want := "simbind.v1.lab.change." + c.Kind.String(); m.subject != want {
			t.Fatalf("message %d has subject %q, want %q", i, m.subject, want)
		}
		if want := enc.appendChange(nil, &c); string(m.payload) != string(want) {
			t.Fatalf("message %d: %s, want %s", i, m.payload, want)
		}
	}
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	_, werr := file.WriteString(text)
	if err := errors.Join(werr, file.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

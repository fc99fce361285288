package feed

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestAServerThatRestartsInTheMiddleLosesAndRepeatsNothing(t *testing.T) {
	op := newOperator(t, nil)
	outbox := newFakeOutbox()
	f := start(t, clusterConfig(op.url()), outbox, nil)
	outbox.fill(1, 300)
	f.awaitDelivered(300)

	stop := make(chan struct{})
	var filler sync.WaitGroup
	filler.Add(1)
	last := uint64(300)
	go func() { // changes keep coming, whatever the server does
		defer filler.Done()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				outbox.fill(last+1, last+5)
				last += 5
			}
		}
	}()
	for range 3 {
		delivered := f.State().Delivered
		until(t, "some changes are delivered", func() bool { return f.State().Delivered > delivered })
		op.stop()
		until(t, "the outage is noticed", func() bool { return !f.Ready() && !f.State().Connected })
		op.start()
	}
	close(stop)
	filler.Wait()
	f.awaitDelivered(last)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, last)
}

func TestNATSMayBeAwayAtTheStart(t *testing.T) {
	op := newOperator(t, nil)
	op.stop()
	outbox := newFakeOutbox()
	outbox.fill(1, 10)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitProblem("no connection")
	if st := f.State(); st.Connected || f.Ready() || st.Delivered != 0 {
		t.Errorf("state %+v", st)
	}
	until(t, "it is known since when changes wait", func() bool { return f.State().Behind.Equal(change(1).At) })
	op.start()
	f.awaitDelivered(10)
	until(t, "nothing waits", func() bool { return f.State().Behind.IsZero() })
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 10)
}

// A frozen is a proxy that can stop to forward without closing anything, like a
// server that hangs.
type frozen struct {
	net.Listener
	to string
	mu sync.RWMutex // held for writing while frozen
}

func newFrozen(t *testing.T, to string) *frozen {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &frozen{Listener: l, to: to}
	go p.serve()
	return p
}

func (p *frozen) serve() {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		go p.pump(in, out)
		go p.pump(out, in)
	}
}

func (p *frozen) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.RLock()
		_, err = to.Write(buf[:n])
		p.mu.RUnlock()
		if err != nil {
			return
		}
	}
}

func TestAServerThatHangsBlocksNobody(t *testing.T) {
	op := newOperator(t, nil)
	proxy := newFrozen(t, op.srv.Addr().String())
	outbox := newFakeOutbox()
	cfg := clusterConfig("nats://" + proxy.Addr().String())
	f := New(cfg, outbox, nil, testLog(t))
	f.timeout = 300 * time.Millisecond
	r := run(t, f)
	outbox.fill(1, 10)
	r.awaitDelivered(10)

	proxy.mu.Lock()
	outbox.fill(11, 3000) // never waits
	r.awaitProblem("no answer")
	if since := f.State().Behind; !since.Equal(change(11).At) {
		t.Errorf("behind since %v, want the oldest waiting change, %v", since, change(11).At)
	}
	proxy.mu.Unlock()
	r.awaitDelivered(3000)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 3000)
}

func TestRunEndsWhileTheServerHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := start(t, clusterConfig("nats://"+l.Addr().String()), newFakeOutbox(), nil)
	if err := f.stop(); err != nil {
		t.Error(err)
	}
}

func TestAFullStreamIsVisibleAndSkipsNothing(t *testing.T) {
	op := newOperator(t, nil)
	js := jetStream(t, client(t, op.url()))
	cfg := jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{streamSubjects}, Discard: jetstream.DiscardNew, MaxMsgs: 600, AllowBatchPublish: true,
	}
	create(t, js, cfg)
	outbox := newFakeOutbox()
	outbox.fill(1, 1000)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitProblem("maximum messages exceeded")
	if f.Ready() {
		t.Error("ready although the stream is full")
	}
	if !strings.Contains(strings.Join(f.State().Warnings, "\n"), "discard new") {
		t.Errorf("warnings %q", f.State().Warnings)
	}
	if outbox.size() != 1000 {
		t.Errorf("%d changes are left in the outbox", outbox.size())
	}
	cfg.MaxMsgs = -1
	update(t, js, cfg)
	f.awaitDelivered(1000)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 1000)
}

func TestTheOutboxMayFail(t *testing.T) {
	op := newOperator(t, nil)
	outbox := newFakeOutbox()
	f := start(t, clusterConfig(op.url()), outbox, nil)
	until(t, "ready", f.Ready)
	outbox.breakWith(errDisk)
	outbox.fill(1, 10)
	f.awaitProblem("disk is gone")
	outbox.breakWith(nil)
	f.awaitDelivered(10)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 10)
}

func TestAMessageBeyondMaxPayloadIsVisible(t *testing.T) {
	op := newOperator(t, nil)
	op.opts.MaxPayload = 1024
	op.stop()
	op.start()
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	long := change(4)
	long.Node = strings.Repeat("n", 2000)
	outbox.add(long, change(5))
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitProblem("maximum payload exceeded")
	if outbox.size() != 5 {
		t.Errorf("%d changes are left in the outbox", outbox.size())
	}
	op.opts.MaxPayload = 0
	op.stop()
	op.start()
	f.awaitDelivered(5)
}

func TestChangesThatAreNowhereAreCounted(t *testing.T) {
	op := newOperator(t, nil)
	outbox := newFakeOutbox()
	outbox.fill(1, 10)
	first := start(t, clusterConfig(op.url()), outbox, nil)
	first.awaitDelivered(10)
	_ = first.stop()

	outbox = newFakeOutbox()
	outbox.fill(21, 30) // 11 to 20 were trimmed and never stored
	cfg := clusterConfig(op.url())
	cfg.Journal.Seq = 30
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(30)
	if lost := f.health.count().lost; lost != 10 {
		t.Errorf("%d changes counted as lost, want 10", lost)
	}
}

func create(t testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, js jetstream.JetStream, cfg jetstream.StreamConfig) {
	t.Helper()
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

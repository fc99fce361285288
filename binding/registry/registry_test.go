package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// acks collects what edges would hear.
type acks struct {
	mu   sync.Mutex
	errs map[uint64]error
}

func (a *acks) Acknowledge(token uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errs[token] = err
}

func (a *acks) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.errs)
}

type lockedJournal struct {
	mu sync.Mutex
	*memJournal
}

func (j *lockedJournal) Commit(b *binding.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memJournal.Commit(b)
}

func (j *lockedJournal) rows() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.sessions)
}

func (j *lockedJournal) Touch(ms int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memJournal.Touch(ms)
}

func (j *lockedJournal) setFail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

func TestRun_PeersAreAnsweredAfterTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &lockedJournal{memJournal: newMemJournal()}
		c := Config{Capacity: 4096}.withDefaults()
		m := table.New(c.sizes(), make([]uint64, table.Words(c.sizes())))
		r := newRegistry(c, m, j, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		heard := &acks{errs: map[uint64]error{}}
		submit := func(token uint64, addr string) {
			ev := binding.Event{
				Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas", Session: addr, MSISDN: simA.MSISDN,
				Addrs: addresses(addr), Arrived: time.Now(), Ack: heard, Token: token,
			}
			if err := r.Submit(ev); err != nil {
				t.Fatal(err)
			}
		}
		watch, _ := r.Watch(8)
		submit(1, ue1)
		synctest.Wait()
		if heard.len() != 1 || j.rows() != 1 {
			t.Errorf("%d answers, %d rows", heard.len(), j.rows())
		}
		if ch := <-watch; ch.Kind != binding.Bound || ch.Now.MSISDN != simA.MSISDN {
			t.Errorf("watched %+v", ch)
		}

		j.setFail(errors.New("no space left on device"))
		submit(2, ue2)
		time.Sleep(10 * time.Second) // the bubble's clock
		if heard.len() != 1 {
			t.Error("a peer was answered although the journal is down")
		}
		q := binding.Query{Addr: netip.MustParseAddr(ue2)}
		if a := r.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Verdict != binding.Match {
			t.Errorf("while the journal is down: %v", a)
		}
		if st := r.Status(); st.Healthy || len(st.Problems) != 1 {
			t.Errorf("status %+v", st)
		}
		time.Sleep(2 * time.Minute)
		if a := r.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Reason != binding.ReasonNotIngesting {
			t.Errorf("after the trust gap: %v %v", a.Verdict, a.Reason)
		}
		j.setFail(nil)
		time.Sleep(2 * time.Second)
		if heard.len() != 2 || j.rows() != 2 {
			t.Errorf("after recovery %d answers, %d rows", heard.len(), j.rows())
		}
		if a := r.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Reason != binding.ReasonUnconfirmed {
			t.Errorf("after recovery: %v %v", a.Verdict, a.Reason)
		}

		if err := r.Release(ctx, q, "stolen phone", "uid=0"); err != nil {
			t.Error(err)
		}
		if a := r.Verify(q, binding.Number{MSISDN: simA.MSISDN}); a.Reason != binding.ReasonReleased {
			t.Errorf("after the release: %v", a)
		}
		submit(3, "10.0.0.3")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if heard.len() != 3 || heard.errs[3] != nil {
			t.Errorf("what was submitted before the end: %v", heard.errs)
		}
		if err := r.Submit(binding.Event{}); !errors.Is(err, binding.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		for open := true; open && len(watch) > 0; {
			_, open = <-watch
		}
		select {
		case _, open := <-watch:
			t.Errorf("a watcher that kept up is told that it lagged (open: %v)", open)
		default:
		}
	})
}

func TestSubmitNeverBlocks(t *testing.T) {
	g := newRig(t, Config{Capacity: 64, Queue: 2})
	for i := range 3 {
		err := g.Submit(binding.Event{Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "nas",
			Session: fmt.Sprint(i)})
		if want := i == 2; errors.Is(err, binding.ErrBusy) != want {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

func TestWatchersThatLagLoseTheirChannel(t *testing.T) {
	g := newRig(t, Config{Capacity: 64})
	slow, _ := g.Watch(1)
	quick, cancel := g.Watch(10)
	g.hub.publish(make([]binding.Change, 3), g.counters)
	if n := len(slow); n != 1 {
		t.Errorf("%d changes wait", n)
	}
	<-slow
	if _, open := <-slow; open {
		t.Error("the slow one's channel is still open")
	}
	if len(quick) != 3 {
		t.Errorf("the quick one has %d", len(quick))
	}
	cancel()
	cancel()
}

func mustIMSI(s string) binding.IMSI {
	i, err := binding.ParseIMSI(s)
	if err != nil {
		panic(err)
	}
	return i
}

func mustIMEI(s string) binding.IMEI {
	i, err := binding.ParseIMEI(s)
	if err != nil {
		panic(err)
	}
	return i
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/registry"
)

// A fakeJournal loads nothing until it may, and commits only what err allows.
type fakeJournal struct {
	load chan struct{}
	err  error
}

func (j fakeJournal) Commit(*binding.Batch) error { return j.err }
func (j fakeJournal) Load(binding.Loader) error   { <-j.load; return nil }
func (j fakeJournal) Meta() binding.JournalMeta   { return binding.JournalMeta{Incarnation: "a"} }
func (j fakeJournal) Touch(int64) error           { return nil }

// healthOf runs a registry on the journal.
func healthOf(t *testing.T, j fakeJournal) *health {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	registry, err := registry.New(registry.Config{Site: "test", Capacity: 10}, j, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); registry.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return &health{registry: registry, feed: feed.New(feed.Config{}, nil, nil, log)}
}

func ask(handler http.HandlerFunc) (int, string) {
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func TestWhileTheJournalLoadsItIsHealthyAndNotReady(t *testing.T) {
	j := fakeJournal{load: make(chan struct{})}
	h := healthOf(t, j)
	if code, body := ask(h.healthz); code != 200 || !strings.Contains(body, `"warnings":["nats: not connected yet","the journal is still being loaded"]`) {
		t.Errorf("/healthz: %d %s", code, body)
	}
	if code, body := ask(h.readyz); code != 503 || !strings.Contains(body, `"problems":["the journal is still being loaded"]`) {
		t.Errorf("/readyz: %d %s", code, body)
	}
	close(j.load)
	eventually(t, "loaded", func() bool { return !h.registry.Status().Warming })
	if code, body := ask(h.readyz); code != 503 || !strings.Contains(body, "the edges do not listen") {
		t.Errorf("/readyz before the edges: %d %s", code, body)
	}
	h.started.Store(true)
	if code, body := ask(h.readyz); code != 200 {
		t.Errorf("/readyz: %d %s", code, body)
	}
}

func TestAJournalThatCannotCommitIsUnhealthy(t *testing.T) {
	// A stop waits for such a journal; not in real time here.
	synctest.Test(t, func(t *testing.T) {
		j := fakeJournal{load: make(chan struct{}), err: errors.New("no space left on device")}
		close(j.load)
		h := healthOf(t, j)
		addr, err := binding.IPv4(netip.MustParseAddr("10.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		err = h.registry.Submit(binding.Event{
			Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: "n", Session: "s", MSISDN: 447700900001,
			Addrs: []binding.Address{addr}, Arrived: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "a problem", func() bool {
			code, body := ask(h.healthz)
			return code == 503 && strings.Contains(body, `"ok":false`) && strings.Contains(body, "no space left on device")
		})
	})
}

package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf"
)

// A health answers /healthz and /readyz. Its fields are set before it is asked.
type health struct {
	registry *registry.Registry
	feed     *feed.Feed
	tap      *bpf.Tap    // nil if it is off
	book     *phonebook  // nil if it is off
	started  atomic.Bool // every part has started, and none was told to stop
}

// A healthReply is the body of both.
type healthReply struct {
	OK bool `json:"ok"`
	// Problems are why not.
	Problems []string `json:"problems"`
	// Warnings deserve an operator's look and make no answer untrue.
	Warnings []string `json:"warnings"`
}

// healthz is 200 while lookups are answered truthfully from fresh news: the
// journal commits, there is room, the queue moves. NATS being away is only a
// warning: what is not published waits in the outbox. So is a tap that is off or
// loses packets: what it knew is not trusted any more. So is warming: an address
// that is not loaded yet says so.
func (h *health) healthz(w http.ResponseWriter, _ *http.Request) {
	status, published := h.registry.Status(), h.feed.State()
	warnings := published.Warnings
	if published.Problem != "" {
		warnings = append(warnings, "nats: "+published.Problem)
	}
	if h.book != nil {
		if words := describeDirectory(h.book.State()); words != answering {
			warnings = append(warnings, "directory: "+words)
		}
	}
	if h.tap != nil {
		warnings = append(warnings, tapWarnings(h.tap)...)
	}
	if status.Warming {
		warnings = append(warnings, "the journal is still being loaded")
	}
	reply(w, status.Problems, warnings)
}

// readyz is 200 from when the journal is loaded and every edge listens, until
// the daemon is told to stop.
func (h *health) readyz(w http.ResponseWriter, _ *http.Request) {
	var problems []string
	switch {
	case h.registry.Status().Warming:
		problems = append(problems, "the journal is still being loaded")
	case !h.started.Load():
		problems = append(problems, "starting or stopping: the edges do not listen")
	}
	reply(w, problems, nil)
}

func reply(w http.ResponseWriter, problems, warnings []string) {
	r := healthReply{OK: len(problems) == 0, Problems: append([]string{}, problems...), Warnings: append([]string{}, warnings...)}
	w.Header().Set("Content-Type", "application/json")
	if !r.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // fails only if the asker is gone
}

package main

import (
	"log/slog"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/bpf/observe"
)

// newTap makes the tap and the observer of what it sees.
func newTap(cfg bpf.Config, submit binding.SubmitFunc, log *slog.Logger) *bpf.Tap {
	observer := observe.New(submit)
	return bpf.New(cfg, observer, submit, log)
}

// describeTap adds the tap's account of itself to the status.
func describeTap(t *bpf.Tap, status *binding.Status) {
	state := t.State()
	status.Edges["tap"] = state.String()
	status.Counters["tap_matched"] = state.Matched
	status.Counters["tap_delivered"] = state.Delivered
	status.Counters["tap_lost"] = state.Lost
}

// tapWarnings are what /healthz says about the tap. It being off makes no
// answer untrue: what it knew is not trusted any more.
func tapWarnings(t *bpf.Tap) []string {
	var list []string
	state := t.State()
	if state.Problem != "" {
		list = append(list, "tap: "+state.Problem)
	}
	for _, w := range state.Warnings {
		list = append(list, "tap: "+w)
	}
	return list
}

package main

import (
	"log/slog"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/bpf/observe"
)

// newTap makes the tap and the observer of what it sees, which follows each
// protocol on the ports that the tap selects and knows again, from the journal,
// the sessions of before a restart.
func newTap(cfg bpf.Config, registry *registry.Registry, log *slog.Logger) (*bpf.Tap, *observe.Standard) {
	ports := cfg.Ports
	observer := observe.NewStandard(registry.Submit, observe.Settings{
		GTPC: ports.GTP, PFCP: ports.PFCP, RADIUS: ports.RADIUS, Diameter: ports.Diameter,
		Accounting: cfg.Accounting.Clients, MSISDNStrip: cfg.MSISDNStrip, Groups: cfg.Groups, Silence: cfg.Silence,
	})
	registry.Recall(observer.Recall)
	return bpf.New(cfg, observer, registry.Submit, log), observer
}

// describeTap adds the tap's account of itself to the status.
func describeTap(t *bpf.Tap, status *binding.Status) {
	state := t.State()
	status.Edges["tap"] = state.String()
	status.Counters["tap_matched"] = state.Matched
	status.Counters["tap_delivered"] = state.Delivered
	status.Counters["tap_lost"] = state.Lost
	status.Counters["tap_events_waiting"] = uint64(state.EventsWaiting)
	status.Counters["tap_events_lost"] = state.EventsLost
	status.Counters["tap_news_lost"] = state.Notified
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

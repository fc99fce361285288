package main

import (
	"log/slog"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/wire"
)

// newTap makes the tap and the observer of what it sees, which follows each
// protocol on the ports that the tap selects.
func newTap(cfg bpf.Config, submit binding.SubmitFunc, log *slog.Logger) (*bpf.Tap, *observe.Observer) {
	observer := observe.New(submit)
	tap := bpf.New(cfg, observer, submit, log)
	ports := tap.Ports()
	observer.Follow(gtp.New(observer.Emit, gtp.Options{}), udp(ports.GTP)...)
	observer.Follow(pfcp.New(observer.Emit, pfcp.Options{}), udp(ports.PFCP)...)
	return tap, observer
}

func udp(numbers []uint16) []observe.Port {
	var list []observe.Port
	for _, n := range numbers {
		list = append(list, observe.Port{Proto: wire.ProtoUDP, Number: n})
	}
	return list
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

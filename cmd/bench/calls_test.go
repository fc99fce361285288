package main

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/bpf/wire"
)

func TestCallsAreUnderstoodAndTheLastOnesStay(t *testing.T) {
	c, err := newCalls(5000)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.frames) < 4000 || len(c.frames) > 5000 || c.stay() <= 0 {
		t.Errorf("%d frames of %d subscribers", len(c.frames), c.subscribers)
	}
	events := map[binding.Kind]int{}
	o := observe.NewStandard(func(ev binding.Event) error { events[ev.Kind]++; return nil }, observe.Settings{})
	for _, f := range c.frames {
		o.Frame(&wire.Frame{Time: time.Now(), Link: wire.LinkEthernet, Data: f, Length: len(f)})
	}
	if got := o.GTP.Counts(); got.Unpaired+got.Repeated+got.Unresolved+got.Malformed > 0 || int(got.Messages) != len(c.frames) || got.Sessions != c.subscribers-c.stay() {
		t.Errorf("%+v", got)
	}
	if events[binding.SessionStart] != c.subscribers || events[binding.SessionStop] != c.stay() || events[binding.SessionUpdate] < (callRefreshes-1)*c.stay() {
		t.Errorf("%v", events)
	}
}

package observe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

// An echo makes an event of each packet.
type echo struct {
	emit  Emit
	heard int
}

func (e *echo) Packet(p *wire.Packet) {
	e.heard++
	e.emit(binding.Event{Kind: binding.SessionStop, Session: string(p.Payload)})
}
func (e *echo) Advance(time.Time)                      {}
func (e *echo) Recall(_ binding.Source, b []byte) bool { return len(b) > 0 }

func packetTo(port uint16, payload string) *wire.Packet {
	return &wire.Packet{
		Src: netip.MustParseAddrPort("10.0.0.1:40000"), Dst: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port),
		Proto: wire.ProtoUDP, Payload: []byte(payload),
	}
}

func TestEventsWaitForTheRegistryInOrder(t *testing.T) {
	busy := false
	var got []string
	o := New(func(ev binding.Event) error {
		if busy {
			return binding.ErrBusy
		}
		got = append(got, ev.Session)
		return nil
	})
	e := &echo{emit: o.Emit}
	o.Follow(e, Port{wire.ProtoUDP, 2123})
	o.Packet(packetTo(2123, "a"))
	busy = true
	o.Packet(packetTo(2123, "b"))
	o.Packet(packetTo(2123, "c"))
	o.Packet(packetTo(9, "not followed"))
	if c := o.Counts(); c.Waiting != 2 || c.Strange != 1 || c.Packets != 3 {
		t.Fatalf("counts: %+v", c)
	}
	busy = false
	o.Advance(time.Unix(1, 0))
	if len(got) != 3 || got[0] != "a" || got[1] != "b" || got[2] != "c" || o.Counts().EventsLost != 0 {
		t.Fatalf("events: %q, counts %+v", got, o.Counts())
	}
}

func TestTheBacklogIsBoundedAndItsLossCounted(t *testing.T) {
	o := New(func(binding.Event) error { return binding.ErrBusy })
	o.Follow(&echo{emit: o.Emit}, Port{wire.ProtoUDP, 2123})
	for range backlogMax + 10 {
		o.Emit(binding.Event{})
	}
	if c := o.Counts(); c.Waiting != backlogMax || c.EventsLost != 10 {
		t.Fatalf("counts: %+v", c)
	}
}

func TestAMemoGoesToWhoCanReadIt(t *testing.T) {
	o := New(func(binding.Event) error { return nil })
	o.Follow(&echo{})
	o.Recall(binding.SourceGTPv2, []byte{1})
	o.Recall(binding.SourceGTPv2, nil)
	if c := o.Counts(); c.Recalled != 1 || c.Unreadable != 1 {
		t.Fatalf("counts: %+v", c)
	}
}

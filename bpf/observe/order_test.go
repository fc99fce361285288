package observe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wmnsk/go-pfcp/ie"
	"github.com/wmnsk/go-pfcp/message"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
	"github.com/simbind/simbind/bpf/wire"
)

// A site is an Observer, and a Registry that takes so much at a time.
type site struct {
	*Standard
	now    time.Time
	room   int
	events []binding.Event
}

func newSite() *site {
	s := &site{now: time.Unix(1_790_000_000, 0), room: 1 << 20}
	s.Standard = NewStandard(func(ev binding.Event) error {
		if s.room == 0 {
			return binding.ErrBusy
		}
		s.room--
		s.events = append(s.events, ev)
		return nil
	}, Settings{})
	return s
}

var smf, upf = netip.MustParseAddr("10.0.0.4"), netip.MustParseAddr("10.0.0.7")

func (s *site) say(from, to netip.Addr, b []byte) {
	s.now = s.now.Add(time.Millisecond)
	s.Packet(&wire.Packet{
		Time: s.now, Src: netip.AddrPortFrom(from, 8805), Dst: netip.AddrPortFrom(to,
			8805), Proto: wire.ProtoUDP, Payload: b,
	})
}

// heartbeat has the user plane tell since when it runs.
func (s *site) heartbeat(t *testing.T, started time.Time) {
	t.Helper()
	b, err := pfcptest.Encode(message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(started), nil))
	if err != nil {
		t.Fatal(err)
	}
	s.say(upf, smf, b)
}

// TestARegistryThatIsBusyHearsOfARestartInOrder: of a user plane that restarts,
// the sessions that are restored come after the ends of the old ones, and
// nothing is lost, however little the Registry takes at a time.
func TestARegistryThatIsBusyHearsOfARestartInOrder(t *testing.T) {
	const n = 3000
	s := newSite()
	core := pfcptest.New(smf, upf, "internet")
	plan := crowdtest.Plan{}.WithDefaults()
	attach := func(i int) {
		list, err := core.Take(crowdtest.Step{Kind: crowdtest.Attach, Subscriber: i}, plan.Subscriber(i))
		if err != nil {
			t.Fatal(err)
		}
		s.say(smf, upf, list[0].Request)
		s.say(upf, smf, list[0].Response)
	}
	began := time.Unix(1_700_000_000, 0)
	s.heartbeat(t, began)
	for i := range n {
		attach(i)
	}
	s.events, s.room = nil, 0
	s.heartbeat(t, began.Add(time.Hour))
	restarted := s.now
	for i := n - 1; i >= 0; i-- {
		s.room = 1
		attach(i)
	}
	for range 3 {
		s.room = n
		s.Advance(s.now)
	}
	if c := s.Counts(); len(s.events) != 2*n || c.EventsLost != 0 || c.Waiting != 0 {
		t.Fatalf("%d events, %+v", len(s.events), c)
	}
	begun := map[binding.Address]bool{}
	for i, ev := range s.events {
		if !ev.Observed || ev.Link == 0 || ev.Link != s.events[0].Link || ev.Owner != smf.String() {
			t.Fatalf("%+v", ev)
		}
		switch {
		case ev.Kind == binding.SessionStop && (i >= n || !ev.Arrived.Equal(restarted)):
			t.Fatalf("event %d: %+v", i, ev)
		case ev.Kind == binding.SessionStart:
			if i < n || begun[ev.Addrs[0]] {
				t.Fatalf("event %d: %+v", i, ev)
			}
			begun[ev.Addrs[0]] = true
		}
	}
}

func TestEachCaptureHasANumberOfItsOwn(t *testing.T) {
	seen := map[uint64]bool{}
	for range 3 {
		s := newSite()
		core := pfcptest.New(smf, upf, "internet")
		list, err := core.Take(crowdtest.Step{Kind: crowdtest.Attach, Subscriber: 1},
			crowdtest.Plan{}.WithDefaults().Subscriber(1))
		if err != nil {
			t.Fatal(err)
		}
		s.say(smf, upf, list[0].Request)
		s.say(upf, smf, list[0].Response)
		seen[s.events[0].Link] = true
	}
	if len(seen) != 3 {
		t.Errorf("three captures have %d numbers", len(seen))
	}
}

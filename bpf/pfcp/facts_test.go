package pfcp_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/wmnsk/go-pfcp/ie"
	"github.com/wmnsk/go-pfcp/message"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
	"github.com/simbind/simbind/bpf/sender"
)

// What an event tells of its time, its order and its place in the network.

var stamp = time.Unix(1_700_000_000, 0)

// heartbeat has a function tell its Recovery Time Stamp.
func (s *scene) heartbeat(from netip.Addr, started time.Time) {
	s.t.Helper()
	to := upf
	if from == upf {
		to = smf
	}
	s.send(from, to, message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(started), nil))
}

// session has a control plane function make a session under a Node ID.
func (s *scene) session(cp netip.Addr, id *ie.IE, seid uint64, ue netip.Addr) {
	s.t.Helper()
	seq := uint32(s.now.UnixMilli()) & 0xffffff
	s.send(cp, upf, message.NewSessionEstablishmentRequest(0, 0, 0, seq, 0, id, pfcptest.FSEID(seid, cp), user(),
		rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue, netip.Prefix{}, true))))
	s.send(upf, cp, message.NewSessionEstablishmentResponse(0, 0, seid, seq, 0, node(upf),
		ie.NewCause(ie.CauseRequestAccepted), pfcptest.FSEID(1<<32|seid, upf)))
}

func TestAnEventHasTheTimeAndTheNumberOfTheCapture(t *testing.T) {
	s := newScene(t, pfcp.Options{Link: 7})
	s.heartbeat(smf, stamp)
	s.session(smf, node(smf), 1, ue4)
	at := s.now
	s.heartbeat(smf, stamp.Add(time.Hour))
	for _, ev := range s.events {
		if !ev.Time.IsZero() || ev.Link != 7 || ev.Owner != smf.String() || ev.Node != smf.String() {
			t.Errorf("%+v", ev)
		}
	}
	if first := s.events[0]; !first.Arrived.Equal(at) {
		t.Errorf("%+v", first)
	}
	s.expect(bound, "node-restart")
}

func TestASessionBelongsToTheFunctionThatAskedForIt(t *testing.T) {
	shared := func() *ie.IE { return ie.NewNodeID("", "", "smf.lab") }
	prefixes := []netip.Prefix{netip.PrefixFrom(smf, 32), netip.PrefixFrom(smf2, 32)}
	for claim, c := range map[string]struct {
		groups sender.Groups
		owners []string
	}{
		"two functions of one Node ID are two nodes": {nil, []string{smf.String(), smf2.String()}},
		"unless they are a group": {sender.Groups{{Name: "set", Addresses: prefixes}},
			[]string{"set", "set"}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, pfcp.Options{Groups: c.groups})
			s.session(smf, shared(), 1, ue4)
			s.session(smf2, shared(), 2, netip.MustParseAddr("10.45.0.8"))
			for i, ev := range s.events {
				if ev.Owner != c.owners[i] || ev.Node != "smf.lab" {
					t.Errorf("%+v", ev)
				}
			}
			// The restart of one is not the other's.
			s.told()
			s.heartbeat(smf, stamp)
			s.heartbeat(smf2, stamp)
			s.heartbeat(smf, stamp.Add(time.Hour))
			want := []string{"node-restart"}
			if c.groups != nil {
				want = []string{"session-stop"}
			}
			for _, ev := range s.events {
				if ev.Owner != c.owners[0] {
					t.Errorf("%+v", ev)
				}
			}
			s.expect(want...)
		})
	}
}

func TestATakeoverLeavesASessionItsName(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(smf2, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2, 0, node(smf2), pfcptest.FSEID(0x6a, smf2)))
	s.send(upf, smf2, message.NewSessionModificationResponse(0, 0, 0x6a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	memo := s.events[0].Memo
	again := newScene(t, pfcp.Options{})
	if !again.follower.Recall(binding.SourcePFCP, memo) {
		t.Fatal("the memo was not read")
	}
	for _, s := range []*scene{s, again} {
		s.heartbeat(smf, stamp)
		s.heartbeat(smf, stamp.Add(time.Hour)) // of who began it
		s.heartbeat(smf2, stamp)
		s.heartbeat(smf2, stamp.Add(time.Hour)) // of who has it
		last := s.events[len(s.events)-1]
		if last.Kind != binding.SessionStop || last.Owner != smf.String() || last.Node != smf.String() {
			t.Errorf("%+v", last)
		}
	}
	s.expect("session-update", "session-stop")
	again.expect("session-stop")
}

// A function may ask for sessions from another address than the one that it
// keeps associations from.
func TestARestartEndsWhatAFunctionHasAtItsOtherAddresses(t *testing.T) {
	second := netip.MustParseAddr("10.0.0.44")
	for claim, c := range map[string]struct {
		own  bool // the other address tells a Recovery Time Stamp of its own
		want []string
	}{
		"an address without a stamp of its own": {false, []string{"session-stop"}},
		"not a function of its own":             {true, []string{}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, pfcp.Options{})
			s.send(smf, upf, message.NewAssociationSetupRequest(9, node(smf), ie.NewRecoveryTimeStamp(stamp)))
			s.send(upf, smf, message.NewAssociationSetupResponse(9, node(upf), ie.NewCause(ie.CauseRequestAccepted)))
			s.session(second, node(smf), 1, ue4)
			s.expect(bound)
			if c.own {
				s.heartbeat(second, stamp)
			}
			s.heartbeat(smf, stamp.Add(time.Hour))
			s.expect(c.want...)
		})
	}
}

// A memo of an earlier version has no owner; nor does the session in the journal.
func TestAMemoWithoutAnOwnerIsRead(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attachQuietly()
	first := s.events[0]
	memo := first.Memo[:len(first.Memo)-len(smf.String())-2]
	again := newScene(t, pfcp.Options{})
	if !again.follower.Recall(binding.SourcePFCP, memo) {
		t.Fatal("the memo was not read")
	}
	again.send(smf, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 4, 0))
	again.send(upf, smf, message.NewSessionDeletionResponse(0, 0, 0x5a, 4, 0, ie.NewCause(ie.CauseRequestAccepted)))
	if last := again.events[0]; last.Kind != binding.SessionStop || last.Owner != "" || last.Node != first.Node ||
		last.Session != first.Session {
		t.Errorf("%+v", last)
	}
}

// attachQuietly is attach, of which the event is left to the caller.
func (s *scene) attachQuietly() {
	s.t.Helper()
	s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
	s.send(upf, smf, established(1))
}

// A UPF that restarts has its sessions restored at once, under the same
// addresses.
func TestAUserPlaneThatRestartedHasNewSessionsAfterTheOldOnes(t *testing.T) {
	const n = 1000
	for claim, room := range map[string]bool{"with room for all": true, "while the Registry is busy": false} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, pfcp.Options{Room: func() bool { return room }})
			s.heartbeat(upf, stamp)
			ue := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 45, byte(i >> 8), byte(i)}) }
			for i := range n {
				s.session(smf, node(smf), uint64(i)+1, ue(i))
			}
			s.events = nil
			s.heartbeat(upf, stamp.Add(time.Hour))
			restarted := s.now
			for i := n - 1; i >= 0; i-- {
				s.session(smf, node(smf), uint64(i)+1, ue(i))
			}
			room = true
			s.follower.Advance(s.now)
			if len(s.events) != 2*n {
				t.Fatalf("%d events", len(s.events))
			}
			for i, ev := range s.events {
				if i < n && (ev.Kind != binding.SessionStop || !ev.Arrived.Equal(restarted)) ||
					i >= n && (ev.Kind != binding.SessionStart || !ev.Arrived.After(restarted)) {
					t.Fatalf("event %d: %+v", i, ev)
				}
			}
		})
	}
}

func TestADeletionWithoutAnAnswerWasWhenItWasAskedFor(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.session(smf, node(smf), 1, ue4)
	first := s.events[0]
	s.send(smf, upf, message.NewSessionSetDeletionRequest(5, node(smf), nil))
	asked := s.now
	s.session(smf, node(smf), 2, netip.MustParseAddr("10.45.0.8"))
	s.events = nil
	s.follower.Advance(s.now.Add(time.Minute))
	if len(s.events) != 1 || s.events[0].Session != first.Session || !s.events[0].Arrived.Equal(asked) {
		t.Errorf("events %+v, want the end of %s at %v", s.events, first.Session, asked)
	}
}

// pass lets time pass, second by second, as the tap does.
func (s *scene) pass(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(time.Second)
		s.follower.Advance(s.now)
	}
}

func TestAFunctionThatFallsSilentIsDown(t *testing.T) {
	beat := func(s *scene, from netip.Addr, n int) {
		for range n {
			s.pass(time.Minute)
			s.heartbeat(from, stamp)
		}
	}
	for claim, c := range map[string]struct {
		say  func(s *scene)
		want []string
	}{
		"three heartbeats stay out": {func(s *scene) { beat(s, smf, 4); s.pass(4 * time.Minute) },
			[]string{"node-down"}},
		"and up with its next word": {func(s *scene) {
			beat(s, smf, 4)
			s.pass(4 * time.Minute)
			s.heartbeat(smf,
				stamp)
		}, []string{"node-down", "node-up"}},
		"not while who took its sessions over is heard": {func(s *scene) {
			beat(s, smf, 4)
			s.send(smf2, upf, message.NewSessionModificationRequest(0, 0, 1<<32|1, 2, 0, pfcptest.FSEID(0x6a, smf2)))
			s.send(upf, smf2, message.NewSessionModificationResponse(0, 0, 0x6a, 2, 0,
				ie.NewCause(ie.CauseRequestAccepted)))
			beat(s, smf2, 20)
		}, []string{"session-update"}},
		"a user plane function has no sessions of its own": {func(s *scene) { beat(s, upf, 4); s.pass(time.Hour) },
			[]string{}},
		"without a rhythm nobody knows": {func(s *scene) { s.pass(time.Hour) }, []string{}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, pfcp.Options{Silence: 5 * time.Minute})
			s.session(smf, node(smf), 1, ue4)
			s.expect(bound)
			c.say(s)
			for _, ev := range s.events {
				if ev.Owner != smf.String() || ev.Node != smf.String() {
					t.Errorf("%+v", ev)
				}
			}
			if got := s.told(); !slices.Equal(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func TestNodesAreBounded(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	for i := range 1<<14 + 10 {
		cp := netip.AddrFrom4([4]byte{172, 16 + byte(i>>16), byte(i >> 8), byte(i)})
		s.session(cp, ie.NewNodeID("", "", fmt.Sprintf("smf%d.lab", i)), uint64(i)+1, ue4)
	}
	if len(s.events) != 1<<14+10 {
		t.Errorf("%d sessions were told", len(s.events))
	}
	if c := s.follower.Counts(); c.Refused == 0 {
		t.Errorf("%+v", c)
	}
}

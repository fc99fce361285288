package pfcp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wmnsk/go-pfcp/ie"
	"github.com/wmnsk/go-pfcp/message"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
	"github.com/simbind/simbind/bpf/wire"
)

var (
	smf = netip.MustParseAddr("10.0.0.4")
	upf = netip.MustParseAddr("10.0.0.7")
	ue4 = netip.MustParseAddr("10.45.0.7")
	ue6 = netip.MustParsePrefix("2001:db8:cafe:7::/64")
)

// A scene is a Follower and what it told.
type scene struct {
	t        *testing.T
	follower *pfcp.Follower
	now      time.Time
	events   []binding.Event
}

func newScene(t *testing.T, o pfcp.Options) *scene {
	s := &scene{t: t, now: time.Unix(1_790_000_000, 0)}
	s.follower = pfcp.New(func(ev binding.Event) { s.events = append(s.events, ev) }, o)
	return s
}

// say lets a datagram pass. Its buffer is overwritten afterwards: nothing that
// is kept may alias it.
func (s *scene) say(from, to netip.Addr, data []byte) {
	s.t.Helper()
	s.now = s.now.Add(10 * time.Millisecond)
	b := slices.Clone(data)
	s.follower.Packet(&wire.Packet{
		Time: s.now, Src: netip.AddrPortFrom(from, 8805), Dst: netip.AddrPortFrom(to, 8805), Proto: wire.ProtoUDP, Payload: b,
	})
	for i := range b {
		b[i] = 0xff
	}
}

func (s *scene) send(from, to netip.Addr, m message.Message) {
	s.t.Helper()
	b, err := pfcptest.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	s.say(from, to, b)
}

// told gives the events since the last call, in short.
func (s *scene) told() []string {
	list := []string{}
	for _, ev := range s.events {
		line := ev.Kind.String()
		for _, a := range ev.Addrs {
			line += " " + a.String()
		}
		for _, a := range ev.Gone {
			line += " without " + a.String()
		}
		list = append(list, strings.TrimSpace(line+" "+ev.MSISDN.String()))
	}
	s.events = nil
	return list
}

func (s *scene) expect(want ...string) {
	s.t.Helper()
	if got := s.told(); !slices.Equal(got, want) {
		s.t.Fatalf("told %q, want %q; counts %+v", got, want, s.follower.Counts())
	}
}

func node(addr netip.Addr) *ie.IE { return ie.NewNodeID(addr.String(), "", "") }

func user() *ie.IE { return ie.NewUserID(5, "001010000000001", "", "491700000001", "") }

// rule is a Create PDR with what its PDI says.
func rule(id uint16, far uint32, source uint8, address *ie.IE) *ie.IE {
	return ie.NewCreatePDR(ie.NewPDRID(id), ie.NewPDI(ie.NewSourceInterface(source), address), ie.NewFARID(far))
}

func establish(seq uint32, more ...*ie.IE) message.Message {
	return message.NewSessionEstablishmentRequest(0, 0, 0, seq, 0, append([]*ie.IE{node(smf), pfcptest.FSEID(0x5a, smf)}, more...)...)
}

func established(seq uint32, more ...*ie.IE) message.Message {
	return message.NewSessionEstablishmentResponse(0, 0, 0x5a, seq, 0,
		append([]*ie.IE{node(upf), ie.NewCause(ie.CauseRequestAccepted), pfcptest.FSEID(0x5b, upf)}, more...)...)
}

// attach makes a session of a user with one address.
func (s *scene) attach() {
	s.t.Helper()
	s.send(smf, upf, establish(1, user(),
		rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true)), rule(2, 2, pfcptest.Access, pfcptest.UEIP(ue4, netip.Prefix{}, false))))
	s.send(upf, smf, established(1))
	s.expect(bound)
}

const bound = "session-start 10.45.0.7 +491700000001"

func TestASessionBindsAndEnds(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(smf, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 2, 0))
	s.expect()
	s.send(upf, smf, message.NewSessionDeletionResponse(0, 0, 0x5a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.expect("session-stop")
}

func TestOnlyAddressesOfUEsCount(t *testing.T) {
	cp := netip.MustParseAddr("10.9.9.9")
	for name, c := range map[string]struct {
		rules []*ie.IE
		want  []string
	}{
		"packets from the control plane":  {[]*ie.IE{rule(1, 1, pfcptest.CPFunc, pfcptest.UEIP(cp, netip.Prefix{}, false))}, nil},
		"packets from a server":           {[]*ie.IE{rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(cp, netip.Prefix{}, false))}, nil},
		"packets from access to a server": {[]*ie.IE{rule(1, 1, pfcptest.Access, pfcptest.UEIP(cp, netip.Prefix{}, true))}, nil},
		"packets for the control plane": {[]*ie.IE{
			rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(cp, netip.Prefix{}, true)),
			ie.NewCreateFAR(ie.NewFARID(1), ie.NewForwardingParameters(ie.NewDestinationInterface(3))),
		}, nil},
		"both families, the prefix without its interface": {[]*ie.IE{
			rule(1, 1, pfcptest.CoreIF, ie.NewUEIPAddress(7, "10.45.0.7", "2001:db8:cafe:7::2", 0, 0)),
		}, []string{"session-start 10.45.0.7 2001:db8:cafe:7::/64 +491700000001"}},
		"a delegated prefix": {[]*ie.IE{
			rule(1, 1, pfcptest.CoreIF, ie.NewUEIPAddress(1|4|8, "", "2001:db8:cafe:10::", 8, 0)),
		}, []string{"session-start 2001:db8:cafe::/56 +491700000001"}},
		"an explicit length": {[]*ie.IE{
			rule(1, 1, pfcptest.CoreIF, ie.NewUEIPAddress(1|4|64, "", "2001:db8:cafe:10::1", 0, 128)),
		}, []string{"session-start 2001:db8:cafe:10::1 +491700000001"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, pfcp.Options{})
			s.send(smf, upf, establish(1, append(c.rules, user())...))
			s.send(upf, smf, established(1))
			s.expect(c.want...)
		})
	}
}

func TestTheUserPlaneMayChooseTheAddress(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.send(smf, upf, establish(1, user(), rule(3, 1, pfcptest.CoreIF, ie.NewUEIPAddress(16|4, "", "", 0, 0))))
	s.send(upf, smf, established(1, ie.NewCreatedPDR(ie.NewPDRID(3), pfcptest.UEIP(ue4, netip.Prefix{}, false))))
	s.expect(bound)
}

func TestNothingBindsWithoutAnAcceptedResponse(t *testing.T) {
	for name, response := range map[string]message.Message{
		"rejected":     message.NewSessionEstablishmentResponse(0, 0, 0x5a, 1, 0, node(upf), ie.NewCause(ie.CauseRequestRejected)),
		"another SEID": message.NewSessionEstablishmentResponse(0, 0, 0x99, 1, 0, node(upf), ie.NewCause(ie.CauseRequestAccepted)),
		"another one":  established(2),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, pfcp.Options{})
			s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
			s.send(upf, smf, response)
			s.expect()
		})
	}
}

func TestRulesThatComeAndGoBringAndTakeAddresses(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(smf, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2, 0, rule(5, 1, pfcptest.CoreIF, pfcptest.UEIP(netip.Addr{}, ue6, true))))
	s.send(upf, smf, message.NewSessionModificationResponse(0, 0, 0x5a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.expect("session-update 2001:db8:cafe:7::/64")
	s.send(smf, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 3, 0, ie.NewRemovePDR(ie.NewPDRID(5))))
	s.send(upf, smf, message.NewSessionModificationResponse(0, 0, 0x5a, 3, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.expect("session-update without 2001:db8:cafe:7::/64")
}

func TestWhatEndsAnAssociationEndsItsSessions(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	setup := func(s *scene, more ...*ie.IE) {
		s.send(smf, upf, message.NewAssociationSetupRequest(9, append([]*ie.IE{node(smf)}, more...)...))
		s.send(upf, smf, message.NewAssociationSetupResponse(9, node(upf), ie.NewCause(ie.CauseRequestAccepted)))
	}
	for name, c := range map[string]struct {
		say  func(*scene)
		want []string
	}{
		"set up anew": {func(s *scene) { setup(s) }, []string{"session-stop"}},
		"set up with retention": {func(s *scene) {
			setup(s, ie.New(ie.PFCPSessionRetentionInformation, []byte{}))
		}, nil},
		"released": {func(s *scene) {
			s.send(upf, smf, message.NewAssociationReleaseRequest(9, node(upf)))
			s.send(smf, upf, message.NewAssociationReleaseResponse(9, node(smf), ie.NewCause(ie.CauseRequestAccepted)))
		}, []string{"session-stop"}},
		"the control plane restarted": {func(s *scene) {
			s.send(smf, upf, message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(began), nil))
			s.send(smf, upf, message.NewHeartbeatRequest(10, ie.NewRecoveryTimeStamp(began.Add(time.Hour)), nil))
		}, []string{"node-restart"}},
		"the user plane restarted": {func(s *scene) {
			s.send(upf, smf, message.NewHeartbeatResponse(9, ie.NewRecoveryTimeStamp(began)))
			s.send(upf, smf, message.NewHeartbeatResponse(10, ie.NewRecoveryTimeStamp(began.Add(time.Hour))))
		}, []string{"session-stop"}},
		"an overtaken heartbeat": {func(s *scene) {
			s.send(smf, upf, message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(began), nil))
			s.send(smf, upf, message.NewHeartbeatRequest(10, ie.NewRecoveryTimeStamp(began.Add(-time.Hour)), nil))
		}, nil},
		"all sessions deleted": {func(s *scene) {
			s.send(smf, upf, message.NewSessionSetDeletionRequest(9, node(smf), nil))
			s.send(upf, smf, message.NewSessionSetDeletionResponse(9, node(upf), ie.NewCause(ie.CauseRequestAccepted), nil))
		}, []string{"session-stop"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, pfcp.Options{})
			s.attach()
			c.say(s)
			s.expect(c.want...)
		})
	}
}

func TestASessionIsKnownAgainAfterARestartOfTheProgram(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, ue6, true))))
	s.send(upf, smf, established(1))
	session, memo := s.events[0].Session, s.events[0].Memo
	for _, cut := range [][]byte{nil, {9}, memo[:len(memo)/2], append(slices.Clone(memo), 0)} {
		if newScene(t, pfcp.Options{}).follower.Recall(binding.SourcePFCP, cut) {
			t.Errorf("%x was read", cut)
		}
	}
	again := newScene(t, pfcp.Options{})
	if !again.follower.Recall(binding.SourcePFCP, memo) {
		t.Fatal("the memo was not read")
	}
	again.send(smf, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 3, 0, ie.NewRemovePDR(ie.NewPDRID(1))))
	again.send(upf, smf, message.NewSessionModificationResponse(0, 0, 0x5a, 3, 0, ie.NewCause(ie.CauseRequestAccepted)))
	again.send(smf, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 4, 0))
	again.send(upf, smf, message.NewSessionDeletionResponse(0, 0, 0x5a, 4, 0, ie.NewCause(ie.CauseRequestAccepted)))
	if last := again.events[len(again.events)-1]; last.Session != session {
		t.Errorf("the session is %s, was %s", last.Session, session)
	}
	again.expect("session-update without 10.45.0.7 without 2001:db8:cafe:7::/64", "session-stop")
}

// digits are n random ones that an identity may have.
func digits(rng *rand.Rand, n int) string {
	b := []byte{byte('1' + rng.IntN(9))}
	for len(b) < n {
		b = append(b, byte('0'+rng.IntN(10)))
	}
	return string(b)
}

func TestIdentitiesOfAnyLengthComeOutAsTheyWentIn(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	core := pfcptest.New(smf, upf, "internet")
	s := newScene(t, pfcp.Options{})
	for n := range 900 {
		sub := crowdtest.Subscriber{
			MSISDN: digits(rng, 7+n%9), IMSI: digits(rng, 14+n%2), IMEISV: digits(rng, 15+n%2),
			IPv4: crowdtest.Addr(netip.MustParsePrefix("10.0.0.0/8"), uint64(n)+1),
		}
		if n%3 == 0 {
			sub.IPv6 = crowdtest.Slash64(netip.MustParsePrefix("2001:db8::/40"), uint64(n))
		}
		for _, kind := range []crowdtest.Kind{crowdtest.Attach, crowdtest.Detach} {
			list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: n}, sub)
			if err != nil {
				t.Fatal(err)
			}
			s.say(smf, upf, list[0].Request)
			s.say(upf, smf, list[0].Response)
		}
		ev := s.events[0]
		got := fmt.Sprintf("+%s %s %s %s %s %d", sub.MSISDN, sub.IMSI, sub.IMEISV, sub.IPv4, "internet", 2)
		want := fmt.Sprintf("%s %s %s %s %s %d", ev.MSISDN, ev.IMSI, ev.IMEI, ev.Addrs[0], ev.APN, len(s.events))
		if got != want || sub.IPv6.IsValid() && (len(ev.Addrs) != 2 || ev.Addrs[1].Prefix != sub.IPv6) {
			t.Fatalf("got %q, want %q: %+v", got, want, ev)
		}
		s.events = nil
	}
}

func FuzzFollower(f *testing.F) {
	core := pfcptest.New(smf, upf, "internet")
	sub := crowdtest.Plan{Pool6: netip.MustParsePrefix("2001:db8::/40")}.WithDefaults().Subscriber(1)
	for _, kind := range []crowdtest.Kind{crowdtest.Attach, crowdtest.Refresh, crowdtest.Detach, crowdtest.Restart} {
		list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: 1}, sub)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(list[0].Request, list[0].Response)
	}
	follower := pfcp.New(func(ev binding.Event) {
		if ev.Node == "" || ev.Kind == 0 {
			panic(fmt.Sprintf("half an event: %+v", ev))
		}
		if len(ev.Memo) > 0 && !pfcp.New(func(binding.Event) {}, pfcp.Options{}).Recall(ev.Source, ev.Memo) {
			panic("a memo cannot be read")
		}
	}, pfcp.Options{Sessions: 64, Requests: 64})
	at := time.Unix(1_790_000_000, 0)
	f.Fuzz(func(t *testing.T, request, response []byte) {
		at = at.Add(time.Second)
		a, b := netip.AddrPortFrom(smf, 8805), netip.AddrPortFrom(upf, 8805)
		follower.Packet(&wire.Packet{Time: at, Src: a, Dst: b, Proto: wire.ProtoUDP, Payload: request})
		follower.Packet(&wire.Packet{Time: at, Src: b, Dst: a, Proto: wire.ProtoUDP, Payload: response})
		if c := follower.Counts(); c.Sessions > 64 || c.Waiting > 64 {
			t.Fatalf("not bounded: %+v", c)
		}
	})
}

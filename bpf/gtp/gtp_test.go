package gtp_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/gtpv2/message"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/gtp/gtptest"
	"github.com/simbind/simbind/bpf/wire"
)

var (
	mme = netip.MustParseAddr("10.0.0.1")
	sgw = netip.MustParseAddr("10.0.0.2")
	pgw = netip.MustParseAddr("10.0.0.3")
	ue4 = netip.MustParseAddr("10.45.0.7")
)

// A scene is a Follower and what it told.
type scene struct {
	t        *testing.T
	follower *gtp.Follower
	now      time.Time
	events   []binding.Event
}

func newScene(t *testing.T, o gtp.Options) *scene {
	s := &scene{t: t, now: time.Unix(1_790_000_000, 0)}
	s.follower = gtp.New(func(ev binding.Event) { s.events = append(s.events, ev) }, o)
	return s
}

// say lets a datagram pass. Its buffer is overwritten afterwards: nothing that
// is kept may alias it.
func (s *scene) say(from, to netip.Addr, data []byte) {
	s.t.Helper()
	s.now = s.now.Add(10 * time.Millisecond)
	b := slices.Clone(data)
	s.follower.Packet(&wire.Packet{
		Time: s.now, Src: netip.AddrPortFrom(from, 2123), Dst: netip.AddrPortFrom(to, 2123), Proto: wire.ProtoUDP, Payload: b,
	})
	for i := range b {
		b[i] = 0xff
	}
}

func encode(t *testing.T, m message.Message) []byte {
	t.Helper()
	b, err := gtptest.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *scene) send(from, to netip.Addr, messages ...message.Message) {
	s.t.Helper()
	for _, m := range messages {
		s.say(from, to, encode(s.t, m))
	}
}

// told gives the events since the last call, in short.
func (s *scene) told() []string {
	list := []string{}
	for _, ev := range s.events {
		line := ev.Kind.String()
		for _, a := range ev.Addrs {
			line += " " + a.String()
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

const who, other = "001010000000001", "001010000000002"

func createRequest(seq uint32, imsi string, sender *ie.IE, more ...*ie.IE) message.Message {
	return message.NewCreateSessionRequest(0, seq, append([]*ie.IE{
		ie.NewIMSI(imsi), ie.NewMSISDN("491700000001"), ie.NewRATType(6), sender, ie.NewAccessPointName("internet"),
		ie.NewBearerContext(ie.NewEPSBearerID(5)),
	}, more...)...)
}

func createResponse(seq, teid uint32, more ...*ie.IE) message.Message {
	return message.NewCreateSessionResponse(teid, seq, append([]*ie.IE{
		ie.NewCause(16, 0, 0, 0, nil), ie.NewBearerContext(ie.NewEPSBearerID(5)),
	}, more...)...)
}

// gateway is the PGW's endpoint, which both interfaces name.
func gateway(teid uint32) *ie.IE { return gtptest.FTEID(gtptest.S5PGW, teid, pgw).WithInstance(1) }

func granted() *ie.IE { return gtptest.PAA(ue4, netip.Prefix{}) }

// attach lets a UE attach where only S5/S8 is seen.
func (s *scene) attach(seq uint32, imsi string) {
	s.t.Helper()
	s.send(sgw, pgw, createRequest(seq, imsi, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.send(pgw, sgw, createResponse(seq, 0x52, gateway(0x53), granted()))
}

// attachS11 lets the same be seen between MME and SGW.
func (s *scene) attachS11(seq uint32, at netip.Addr) {
	s.t.Helper()
	s.send(mme, at, createRequest(seq, who, gtptest.FTEID(gtptest.S11MME, 0x11, mme)))
	s.send(at, mme, createResponse(seq, 0x11, gtptest.FTEID(gtptest.S11SGW, 0x21, at), gateway(0x53), granted()))
}

func remove(teid, seq uint32, more ...*ie.IE) message.Message {
	return message.NewDeleteSessionRequest(teid, seq, append([]*ie.IE{ie.NewEPSBearerID(5)}, more...)...)
}

func removed(teid, seq uint32, cause uint8) message.Message {
	return message.NewDeleteSessionResponse(teid, seq, ie.NewCause(cause, 0, 0, 0, nil))
}

const bound = "session-start 10.45.0.7 +491700000001"

func TestASessionBindsOnItsAcceptedResponseAndEnds(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(sgw, pgw, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.expect()
	s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	ev := s.events[0]
	if ev.Node != pgw.String() || ev.IMSI.String() != who || ev.APN != "internet" || ev.Source != binding.SourceGTPv2 || len(ev.Memo) == 0 {
		t.Errorf("event %+v", ev)
	}
	s.expect(bound)
	s.send(sgw, pgw, remove(0x53, 2))
	s.expect()
	s.send(pgw, sgw, removed(0x52, 2, 16))
	s.expect("session-stop")
}

func TestWhatIsRepeatedIsToldOnce(t *testing.T) {
	s := newScene(t, gtp.Options{})
	for range 3 {
		s.attach(1, who)
	}
	s.expect(bound)
	if n := s.follower.Counts().Repeated; n != 4 {
		t.Errorf("%d repetitions counted, want 4", n)
	}
}

func TestNothingBindsWithoutAnAcceptedGrant(t *testing.T) {
	sender := gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)
	for name, response := range map[string]message.Message{
		"rejected":                message.NewCreateSessionResponse(0x52, 1, ie.NewCause(73, 0, 0, 0, nil), gateway(0x53), granted()),
		"another sequence number": createResponse(2, 0x52, gateway(0x53), granted()),
		"another TEID":            createResponse(1, 0x99, gateway(0x53), granted()),
		"the address is for DHCP": createResponse(1, 0x52, gateway(0x53), ie.NewPDNAddressAllocation("0.0.0.0")),
		"no address":              createResponse(1, 0x52, gateway(0x53)),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, gtp.Options{})
			s.send(sgw, pgw, createRequest(1, who, sender))
			s.send(pgw, sgw, response)
			s.expect()
		})
	}
	s := newScene(t, gtp.Options{})
	s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	s.expect()
}

func TestBothInterfacesShowOneSession(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(mme, sgw, createRequest(7, who, gtptest.FTEID(gtptest.S11MME, 0x11, mme)))
	s.attach(1, who)
	s.send(sgw, mme, createResponse(7, 0x11, gtptest.FTEID(gtptest.S11SGW, 0x21, sgw), gateway(0x53), granted()))
	if s.events[0].Session != s.events[1].Session || s.events[0].Node != s.events[1].Node {
		t.Errorf("two sessions: %+v", s.events)
	}
	s.expect(bound, "session-update 10.45.0.7 +491700000001")
	s.send(mme, sgw, remove(0x21, 8, ie.NewIndicationFromOctets(0x08)))
	s.send(sgw, pgw, remove(0x53, 2))
	s.send(pgw, sgw, removed(0x52, 2, 16))
	s.expect("session-stop")
	s.send(sgw, mme, removed(0x11, 8, 16))
	s.expect()
}

func TestAnSGWThatIsLeftEndsNothing(t *testing.T) {
	newSGW := netip.MustParseAddr("10.0.0.9")
	s := newScene(t, gtp.Options{})
	s.attachS11(1, sgw)
	s.expect(bound)
	// The MME takes another SGW; the PGW's endpoint stays, and no address is
	// said again. The old access is released without telling the PGW.
	s.send(mme, newSGW, createRequest(2, who, gtptest.FTEID(gtptest.S11MME, 0x12, mme), gateway(0x53)))
	s.send(newSGW, mme, createResponse(2, 0x12, gtptest.FTEID(gtptest.S11SGW, 0x91, newSGW)))
	s.expect("session-update +491700000001")
	s.send(mme, sgw, remove(0x21, 3))
	s.send(sgw, mme, removed(0x11, 3, 16))
	s.expect()
	s.send(mme, newSGW, remove(0x91, 4, ie.NewIndicationFromOctets(0x08)))
	s.send(newSGW, mme, removed(0x12, 4, 16))
	s.expect("session-stop")
}

func TestAHandoverThatKeepsTheAddressOutlivesItsOldAccess(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	first := s.events[0].Session
	s.expect(bound)
	epdg := netip.MustParseAddr("10.0.0.8")
	s.send(epdg, pgw, createRequest(1, who, gtptest.FTEID(30, 0x82, epdg), ie.NewIndicationFromOctets(0x20)))
	s.send(pgw, epdg, createResponse(1, 0x82, gtptest.FTEID(32, 0x99, pgw).WithInstance(1), granted()))
	s.expect(bound)
	s.send(pgw, sgw, message.NewDeleteBearerRequest(0x52, 5, ie.NewEPSBearerID(5), ie.NewCause(4, 0, 0, 0, nil)))
	s.send(sgw, pgw, message.NewDeleteBearerResponse(0x53, 5, ie.NewCause(16, 0, 0, 0, nil)))
	if len(s.events) != 1 || s.events[0].Session != first {
		t.Errorf("events %+v, want the end of %s alone", s.events, first)
	}
}

func TestModifyBearerRefreshesAndMovesTheSGW(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	newSGW := netip.MustParseAddr("10.0.0.9")
	s.send(newSGW, pgw, message.NewModifyBearerRequest(0x53, 1, gtptest.FTEID(gtptest.S5SGW, 0x92, newSGW)))
	s.send(pgw, newSGW, message.NewModifyBearerResponse(0x92, 1, ie.NewCause(16, 0, 0, 0, nil)))
	s.expect(bound, "session-update")
	// The PGW speaks to the new SGW now.
	s.send(pgw, newSGW, message.NewDeleteBearerRequest(0x92, 9, ie.NewEPSBearerID(5)))
	s.send(newSGW, pgw, message.NewDeleteBearerResponse(0x53, 9, ie.NewCause(16, 0, 0, 0, nil)))
	s.expect("session-stop")
}

func TestADedicatedBearerEndsNothing(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	s.send(pgw, sgw, message.NewDeleteBearerRequest(0x52, 5, ie.NewEPSBearerID(6).WithInstance(1)))
	s.send(sgw, pgw, message.NewDeleteBearerResponse(0x53, 5, ie.NewCause(16, 0, 0, 0, nil)))
	s.expect(bound)
}

func TestARestartCounterOfTheGatewayEndsItsSessions(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	s.send(pgw, sgw, message.NewEchoResponse(3, ie.NewRecovery(7)))
	s.send(sgw, pgw, message.NewEchoRequest(4, ie.NewRecovery(1)))
	s.send(sgw, pgw, message.NewEchoRequest(5, ie.NewRecovery(2))) // the SGW restarts
	s.expect(bound)
	s.send(pgw, sgw, message.NewEchoResponse(6, ie.NewRecovery(8)))
	s.expect("node-restart")
	s.send(pgw, sgw, message.NewEchoResponse(6, ie.NewRecovery(7))) // overtaken
	s.expect()
	s.send(sgw, pgw, remove(0x53, 9))
	s.send(pgw, sgw, removed(0x52, 9, 64))
	s.expect()
}

func TestATEIDThatIsGivenAgainEndsItsFormerSession(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	s.attach(2, other)
	s.expect(bound, "session-stop", bound)
}

func TestAReleaseWithoutAnAnswerEnds(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	s.send(sgw, pgw, remove(0x53, 2))
	s.expect(bound)
	s.follower.Advance(s.now.Add(time.Minute))
	s.expect("session-stop")
}

func TestPiggybackedAndGluedMessagesAreRead(t *testing.T) {
	s := newScene(t, gtp.Options{})
	request := encode(t, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.say(sgw, pgw, append(encode(t, message.NewEchoRequest(9, ie.NewRecovery(1))), request...))
	response := encode(t, createResponse(1, 0x52, gateway(0x53), granted()))
	response[0] |= 0x10 // P: another message follows
	s.say(pgw, sgw, append(response, encode(t, message.NewDeleteBearerRequest(0x52, 5, ie.NewEPSBearerID(5)))...))
	s.send(sgw, pgw, message.NewDeleteBearerResponse(0x53, 5, ie.NewCause(16, 0, 0, 0, nil)))
	s.expect(bound, "session-stop")
}

func TestASessionIsKnownAgainAfterARestartOfTheProgram(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(mme, sgw, createRequest(7, who, gtptest.FTEID(gtptest.S11MME, 0x11, mme)))
	s.attach(1, who)
	s.send(sgw, mme, createResponse(7, 0x11, gtptest.FTEID(gtptest.S11SGW, 0x21, sgw), gateway(0x53), granted()))
	session, memo := s.events[1].Session, s.events[1].Memo
	for _, cut := range [][]byte{nil, {9}, memo[:len(memo)/2], append(slices.Clone(memo), 0)} {
		if newScene(t, gtp.Options{}).follower.Recall(binding.SourceGTPv2, cut) {
			t.Errorf("%x was read", cut)
		}
	}
	again := newScene(t, gtp.Options{})
	if !again.follower.Recall(binding.SourceGTPv2, memo) {
		t.Fatal("the memo was not read")
	}
	again.send(sgw, pgw, remove(0x53, 2))
	again.send(pgw, sgw, removed(0x52, 2, 16))
	if len(again.events) != 1 || again.events[0].Session != session {
		t.Errorf("events %+v, want the end of %s", again.events, session)
	}
	late := newScene(t, gtp.Options{})
	late.send(sgw, pgw, remove(0x53, 2))
	late.send(pgw, sgw, removed(0x52, 2, 16))
	late.expect()
	if late.follower.Counts().Unresolved != 1 {
		t.Error("a session that nobody knows was not counted")
	}
}

func TestTheLeastHeardSessionMakesRoom(t *testing.T) {
	s := newScene(t, gtp.Options{Sessions: 2})
	core := gtptest.New(2, sgw, pgw, "internet")
	plan := crowdtest.Plan{}.WithDefaults()
	for n := range 3 {
		list, err := core.Take(crowdtest.Step{Kind: crowdtest.Attach, Subscriber: n}, plan.Subscriber(n))
		if err != nil {
			t.Fatal(err)
		}
		s.say(sgw, pgw, list[0].Request)
		s.say(pgw, sgw, list[0].Response)
	}
	s.expect("session-start 10.45.0.1 +491700000001", "session-start 10.45.0.2 +491700000002",
		"session-stop", "session-start 10.45.0.3 +491700000003")
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
	for version, source := range map[int]binding.Source{1: binding.SourceGTPv1, 2: binding.SourceGTPv2} {
		core := gtptest.New(version, sgw, pgw, "ims.mnc001.mcc001.gprs")
		s := newScene(t, gtp.Options{})
		for n := range 900 {
			sub := crowdtest.Subscriber{
				MSISDN: digits(rng, 7+n%9), IMSI: digits(rng, 14+n%2), IMEISV: digits(rng, 15+n%2), IPv4: crowdtest.Addr(netip.MustParsePrefix("10.0.0.0/8"), uint64(n)+1),
			}
			if version == 2 && n%3 == 0 {
				sub.IPv6 = crowdtest.Slash64(netip.MustParsePrefix("2001:db8::/40"), uint64(n))
			}
			for _, kind := range []crowdtest.Kind{crowdtest.Attach, crowdtest.Detach} {
				list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: n}, sub)
				if err != nil {
					t.Fatal(err)
				}
				s.say(sgw, pgw, list[0].Request)
				s.say(pgw, sgw, list[0].Response)
			}
			want := fmt.Sprintf("+%s %s %s %d", sub.MSISDN, sub.IMSI, sub.IPv4, 2)
			ev := s.events[0]
			slices.SortFunc(ev.Addrs, func(a, b binding.Address) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
			got := fmt.Sprintf("%s %s %s %d", ev.MSISDN, ev.IMSI, ev.Addrs[0], len(s.events))
			if got != want || ev.Source != source || version == 2 && ev.IMEI.String() != sub.IMEISV {
				t.Fatalf("version %d: got %q, want %q: %+v", version, got, want, ev)
			}
			if sub.IPv6.IsValid() && (len(ev.Addrs) != 2 || ev.Addrs[1].Prefix != sub.IPv6) {
				t.Fatalf("addresses %v, want %v too", ev.Addrs, sub.IPv6)
			}
			s.events = nil
		}
	}
}

func FuzzFollower(f *testing.F) {
	core1, core2 := gtptest.New(1, sgw, pgw, "internet"), gtptest.New(2, sgw, pgw, "internet")
	sub := crowdtest.Plan{}.WithDefaults().Subscriber(1)
	for _, core := range []*gtptest.Core{core1, core2} {
		for _, kind := range []crowdtest.Kind{crowdtest.Attach, crowdtest.Detach, crowdtest.Restart} {
			list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: 1}, sub)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(list[0].Request, list[0].Response)
		}
	}
	var events int
	follower := gtp.New(func(ev binding.Event) {
		if events++; ev.Node == "" || ev.Kind == 0 {
			panic(fmt.Sprintf("half an event: %+v", ev))
		}
		if len(ev.Memo) > 0 {
			again := gtp.New(func(binding.Event) {}, gtp.Options{})
			if !again.Recall(ev.Source, ev.Memo) {
				panic("a memo cannot be read")
			}
		}
	}, gtp.Options{Sessions: 64, Requests: 64})
	at := time.Unix(1_790_000_000, 0)
	f.Fuzz(func(t *testing.T, request, response []byte) {
		at = at.Add(time.Second)
		a, b := netip.AddrPortFrom(sgw, 2123), netip.AddrPortFrom(pgw, 2123)
		follower.Packet(&wire.Packet{Time: at, Src: a, Dst: b, Proto: wire.ProtoUDP, Payload: request})
		follower.Packet(&wire.Packet{Time: at, Src: b, Dst: a, Proto: wire.ProtoUDP, Payload: response})
		if c := follower.Counts(); c.Sessions > 128 || c.Waiting > 64 {
			t.Fatalf("not bounded: %+v", c)
		}
	})
}

package gtp_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	ie1 "github.com/wmnsk/go-gtp/gtpv1/ie"
	message1 "github.com/wmnsk/go-gtp/gtpv1/message"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/gtpv2/message"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/gtp/gtptest"
)

// What an event tells of its time, its order and its place in the network.

func TestAnEventHasTheTimeAndTheNumberOfTheCapture(t *testing.T) {
	s := newScene(t, gtp.Options{Link: 7})
	s.attach(1, who)
	at := s.now
	s.send(pgw, sgw, message.NewEchoResponse(3, ie.NewRecovery(7)), message.NewEchoResponse(4, ie.NewRecovery(8)))
	for _, ev := range s.events {
		if !ev.Time.IsZero() || ev.Link != 7 || ev.Owner != "" || ev.Node != pgw.String() {
			t.Errorf("%+v", ev)
		}
	}
	if first := s.events[0]; !first.Arrived.Equal(at) || first.Contexts != 1<<5 {
		t.Errorf("%+v", first)
	}
	s.expect(bound, "node-restart")
}

// The message that tells of a restart may begin a session, which is not of
// before it: what comes by one link happened in the order of coming.
func TestARestartIsToldBeforeTheSessionThatShowsIt(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(pgw, sgw, message.NewEchoResponse(3, ie.NewRecovery(7)))
	s.attach(1, who)
	s.send(sgw, pgw, createRequest(2, other, gtptest.FTEID(gtptest.S5SGW, 0x54, sgw)))
	s.send(pgw, sgw, createResponse(2, 0x54, gateway(0x55), granted(), ie.NewRecovery(8)))
	s.expect(bound, "node-restart", bound)
}

// reattach has a SIM attach anew at a gateway that gave it another endpoint and
// another address.
type reattach struct {
	from, to netip.Addr
	kind     uint8 // of the asker's interface
	imsi     string
	apn      string
	ebi      uint8
	cause    uint8
}

func (s *scene) reattach(r reattach) {
	s.t.Helper()
	bearer := ie.NewBearerContext(ie.NewEPSBearerID(r.ebi))
	s.send(r.from, r.to, message.NewCreateSessionRequest(0, 40, ie.NewIMSI(r.imsi), ie.NewMSISDN("491700000001"),
		ie.NewRATType(6),
		gtptest.FTEID(r.kind, 0x72, r.from), ie.NewAccessPointName(r.apn), bearer))
	s.send(r.to, r.from, message.NewCreateSessionResponse(0x72, 40, ie.NewCause(r.cause, 0, 0, 0, nil), bearer,
		gtptest.FTEID(gtptest.S5PGW, 0x73, r.to).WithInstance(1), gtptest.PAA(netip.MustParseAddr("10.45.0.8"),
			netip.Prefix{})))
}

const boundAgain = "session-start 10.45.0.8 +491700000001"

func TestWhoAttachesAgainHasOneConnection(t *testing.T) {
	same := reattach{from: sgw, to: pgw, kind: gtptest.S5SGW, imsi: who, apn: "internet", ebi: 5, cause: 16}
	with := func(change func(*reattach)) reattach {
		r := same
		change(&r)
		return r
	}
	epdg := netip.MustParseAddr("10.0.0.8")
	for claim, c := range map[string]struct {
		again reattach
		want  []string
	}{
		"the former one ends before the new one begins": {same, []string{"session-stop", boundAgain}},
		"an APN is the same in capitals": {with(func(r *reattach) { r.apn = "Internet" }),
			[]string{"session-stop", boundAgain}},
		"another SGW asks": {with(func(r *reattach) { r.from = netip.MustParseAddr("10.0.0.9") }), []string{"session-stop", boundAgain}},
		"an MME asks the SGW, which shows the same": {with(func(r *reattach) {
			r.from, r.to, r.kind = mme, pgw,
				gtptest.S11MME
		}), []string{"session-stop", boundAgain}},
		"not to another APN": {with(func(r *reattach) { r.apn = "ims" }),
			[]string{boundAgain}},
		"not with another default bearer": {with(func(r *reattach) { r.ebi = 6 }),
			[]string{boundAgain}},
		"not another SIM": {with(func(r *reattach) { r.imsi = other }),
			[]string{boundAgain}},
		"not at another gateway": {with(func(r *reattach) { r.to = netip.MustParseAddr("10.0.0.33") }), []string{boundAgain}},
		"not over an ePDG, which numbers its own bearers": {with(func(r *reattach) { r.from, r.kind = epdg, 30 }),
			[]string{boundAgain}},
		"not if the gateway refuses": {with(func(r *reattach) { r.cause = 73 }), []string{}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, gtp.Options{})
			s.attach(1, who)
			first := s.events[0]
			s.expect(bound)
			s.reattach(c.again)
			events := s.events
			s.expect(c.want...)
			if len(c.want) == 2 && (events[0].Session != first.Session || events[1].Session == first.Session ||
				events[1].Arrived.Before(events[0].Arrived)) {
				t.Errorf("%+v", events)
			}
		})
	}
	t.Run("a former one of before a restart of the program ends too", func(t *testing.T) {
		s := newScene(t, gtp.Options{})
		s.attach(1, who)
		first := s.events[0]
		again := newScene(t, gtp.Options{})
		if !again.follower.Recall(first.Source, first.Memo) {
			t.Fatal("the memo was not read")
		}
		again.reattach(same)
		again.expect("session-stop", boundAgain)
	})
}

func TestAContextWithTheSameNSAPITakesThePlaceOfTheFormer(t *testing.T) {
	for claim, c := range map[string]struct {
		nsapi uint8
		imsi  string
		want  []string
	}{
		"the same":        {5, who, []string{"session-stop", boundAgain}},
		"another NSAPI":   {7, who, []string{boundAgain}},
		"another SIM":     {5, other, []string{boundAgain}},
		"of a second one": {6, who, []string{boundAgain}}, // only the primary context holds the address
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, gtp.Options{})
			s.attach1()
			s.second()
			s.send1(sgsn, ggsn, message1.NewCreatePDPContextRequest(0, 20, ie1.NewIMSI(c.imsi),
				ie1.NewTEIDCPlane(0x71), ie1.NewNSAPI(c.nsapi),
				ie1.NewEndUserAddress("v4"), ie1.NewAccessPointName("ims"), ie1.NewGSNAddress(sgsn.String()), ie1.NewMSISDN("491700000001")))
			s.send1(ggsn, sgsn, message1.NewCreatePDPContextResponse(0x71, 20, ie1.NewCause(128),
				ie1.NewTEIDCPlane(0x72),
				ie1.NewEndUserAddressByIP([]byte{10, 45, 0, 8}), ie1.NewGSNAddress(ggsn.String())))
			events := s.events
			s.expect(c.want...)
			if last := events[len(events)-1]; last.Contexts != 1<<c.nsapi {
				t.Errorf("contexts %b", last.Contexts)
			}
		})
	}
}

// Nobody speaks of the session since it was to be released.
func TestAReleaseWithoutAnAnswerWasWhenItWasAskedFor(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach(1, who)
	s.send(sgw, pgw, remove(0x53, 2))
	asked := s.now
	s.follower.Advance(s.now.Add(time.Minute))
	if end := s.events[1]; !end.Arrived.Equal(asked) {
		t.Errorf("it ended at %v, was to end at %v", end.Arrived, asked)
	}
	s.expect(bound, "session-stop")
}

func TestASetThatIsDeletedWithoutAnAnswerIsWhatItWasThen(t *testing.T) {
	s := newScene(t, gtp.Options{})
	set := csid(1, sgw, 7)
	s.send(sgw, pgw, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw), set))
	s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	s.send(sgw, pgw, message.NewDeletePDNConnectionSetRequest(0, 2, set))
	s.send(sgw, pgw, createRequest(3, other, gtptest.FTEID(gtptest.S5SGW, 0x54, sgw), set))
	s.send(pgw, sgw, createResponse(3, 0x54, gateway(0x55), granted()))
	first := s.events[0].Session
	s.expect(bound, bound)
	s.follower.Advance(s.now.Add(time.Minute))
	if len(s.events) != 1 || s.events[0].Session != first {
		t.Errorf("%+v", s.events)
	}
	s.expect("session-stop")
}

// A UE that comes back while the ends of many are still told must not be ended
// by its own past.
func TestEndsAreToldBeforeWhatBeginsAfterThem(t *testing.T) {
	const n = 2000
	room := false
	s := newScene(t, gtp.Options{Room: func() bool { return room }})
	create := func(i, round int) {
		teid, seq := uint32(round*n+i+1), uint16(2*i+round+1)
		s.send1(sgsn, ggsn, message1.NewCreatePDPContextRequest(0, seq, ie1.NewIMSI(fmt.Sprintf("00101%010d", i)),
			ie1.NewTEIDCPlane(teid), ie1.NewNSAPI(5),
			ie1.NewEndUserAddress("v4"), ie1.NewAccessPointName("internet"), ie1.NewGSNAddress(sgsn.String()), ie1.NewMSISDN("491700000001")))
		s.send1(ggsn, sgsn, message1.NewCreatePDPContextResponse(teid, seq, ie1.NewCause(128),
			ie1.NewTEIDCPlane(1<<20|teid),
			ie1.NewEndUserAddressByIP([]byte{10, 45, byte(i >> 8), byte(i)}), ie1.NewGSNAddress(ggsn.String())))
	}
	for i := range n {
		create(i, 0)
	}
	s.send1(sgsn, ggsn, message1.NewEchoResponse(6, ie1.NewRecovery(1)),
		message1.NewEchoResponse(7, ie1.NewRecovery(2)))
	restarted := s.now
	create(n-1, 1)
	create(0, 1)
	if c := s.follower.Counts(); len(s.events) != n || c.Ending != n+2 || c.Sessions != 2 {
		t.Fatalf("%d events without room, %+v", len(s.events), c)
	}
	room = true
	for range 4 {
		s.send1(sgsn, ggsn, message1.NewEchoResponse(7, ie1.NewRecovery(2)))
	}
	if c := s.follower.Counts(); c.Ending != n+2-4*256 {
		t.Errorf("after four packets %d wait", c.Ending)
	}
	s.follower.Advance(s.now)
	events := s.events[n:]
	if len(events) != n+2 {
		t.Fatalf("%d events", len(events))
	}
	for _, ev := range events[:n] {
		if ev.Kind != binding.SessionStop || !ev.Arrived.Equal(restarted) {
			t.Fatalf("%+v", ev)
		}
	}
	for _, ev := range events[n:] {
		if ev.Kind != binding.SessionStart || !ev.Arrived.After(restarted) {
			t.Errorf("%+v", ev)
		}
	}
}

// echo has a node send Echo Requests, one after each pause.
func (s *scene) echo(from, to netip.Addr, pause time.Duration, n int) {
	s.t.Helper()
	for i := range n {
		s.now = s.now.Add(pause - 10*time.Millisecond)
		s.follower.Advance(s.now)
		s.send(from, to, message.NewEchoRequest(uint32(100+i), ie.NewRecovery(1)))
	}
}

// pass lets time pass, second by second, as the tap does.
func (s *scene) pass(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(time.Second)
		s.follower.Advance(s.now)
	}
}

func TestAGatewayThatFallsSilentIsDown(t *testing.T) {
	for claim, c := range map[string]struct {
		say  func(s *scene)
		want []string
	}{
		"three echoes stay out": {func(s *scene) { s.echo(pgw, sgw, time.Minute, 4); s.pass(4 * time.Minute) },
			[]string{"node-down"}},
		"two are not three": {func(s *scene) { s.echo(pgw, sgw, time.Minute, 4); s.pass(2 * time.Minute) },
			[]string{}},
		"and up with its next word": {func(s *scene) {
			s.echo(pgw, sgw, time.Minute, 4)
			s.pass(4 * time.Minute)
			s.send(pgw, sgw, message.NewEchoResponse(3, ie.NewRecovery(1)))
		}, []string{"node-down", "node-up"}},
		"what others say is no sign of life": {func(s *scene) {
			s.echo(pgw, sgw, time.Minute, 4)
			s.echo(sgw, pgw,
				time.Minute, 4)
		}, []string{"node-down"}},
		"an SGW has no sessions of its own": {func(s *scene) { s.echo(sgw, pgw, time.Minute, 4); s.pass(time.Hour) },
			[]string{}},
		"without a rhythm nobody knows": {func(s *scene) { s.pass(time.Hour) }, []string{}},
		"unless it spoke all the time": {func(s *scene) {
			for i := range 30 {
				s.pass(time.Minute)
				s.send(pgw, sgw, message.NewModifyBearerResponse(0x99, uint32(i), ie.NewCause(16, 0, 0, 0, nil)))
			}
			s.pass(6 * time.Minute)
		}, []string{"node-down"}},
	} {
		t.Run(claim, func(t *testing.T) {
			s := newScene(t, gtp.Options{Link: 7, Silence: 5 * time.Minute})
			s.attach(1, who)
			s.expect(bound)
			c.say(s)
			for _, ev := range s.events {
				if ev.Node != pgw.String() || ev.Source != binding.SourceGTPv2 || ev.Link != 7 || ev.Arrived.IsZero() {
					t.Errorf("%+v", ev)
				}
			}
			if got := s.told(); !slices.Equal(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

// A PGW may speak from another address than the one that its sessions have.
func TestWhoAnswersForAGatewayKeepsItAlive(t *testing.T) {
	s := newScene(t, gtp.Options{})
	speaks := netip.MustParseAddr("10.0.0.30")
	s.send(sgw, speaks, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.send(speaks, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	s.expect(bound)
	s.echo(speaks, sgw, time.Minute, 9)
	s.pass(2 * time.Minute)
	s.expect()
	s.pass(2 * time.Minute)
	s.expect("node-down")
	if s.follower.Counts().Silent != 1 {
		t.Error("nobody is counted")
	}
}

package gtp_test

import (
	"net/netip"
	"testing"
	"time"

	ie1 "github.com/wmnsk/go-gtp/gtpv1/ie"
	message1 "github.com/wmnsk/go-gtp/gtpv1/message"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/gtpv2/message"

	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/gtp/gtptest"
)

// Procedures that are rarer than attach and detach, each as its clause has it.

func TestAResponseThatOvertookItsRequestCounts(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	s.expect()
	s.send(sgw, pgw, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.expect(bound)
	s.send(pgw, sgw, removed(0x52, 2, 16))
	s.send(sgw, pgw, remove(0x53, 2))
	s.expect("session-stop")
	if c := s.follower.Counts(); c.Unpaired != 0 {
		t.Errorf("%d were counted as unpaired", c.Unpaired)
	}
}

func TestAResponseThatIsMuchOlderThanItsRequestIsAnotherOnes(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted()))
	s.now = s.now.Add(time.Second)
	s.send(sgw, pgw, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw)))
	s.expect()
	if c := s.follower.Counts(); c.Unpaired != 1 {
		t.Errorf("%d were counted as unpaired", c.Unpaired)
	}
}

func csid(instance uint8, node netip.Addr, id uint16) *ie.IE {
	return ie.NewFullyQualifiedCSID(node.String(), id).WithInstance(instance)
}

func TestDeletePDNConnectionSetEndsWhatIsInTheSet(t *testing.T) {
	for name, c := range map[string]struct {
		set   *ie.IE
		cause uint8
		want  []string
	}{
		"of the SGW":          {csid(1, sgw, 7), 16, []string{"session-stop"}},
		"of the PGW":          {csid(2, pgw, 9), 16, []string{"session-stop"}},
		"another number":      {csid(2, pgw, 7), 16, nil},
		"of another node":     {csid(1, mme, 7), 16, nil},
		"it is not accepted":  {csid(1, sgw, 7), 72, nil},
		"a set of no members": {ie.NewFullyQualifiedCSID(sgw.String()).WithInstance(1), 16, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, gtp.Options{})
			s.send(sgw, pgw, createRequest(1, who, gtptest.FTEID(gtptest.S5SGW, 0x52, sgw), csid(1, sgw, 7)))
			s.send(pgw, sgw, createResponse(1, 0x52, gateway(0x53), granted(), csid(2, pgw, 9)))
			s.expect(bound)
			s.send(sgw, pgw, message.NewDeletePDNConnectionSetRequest(0, 2, c.set))
			s.send(pgw, sgw, message.NewDeletePDNConnectionSetResponse(0, 2, ie.NewCause(c.cause, 0, 0, 0, nil)))
			s.expect(c.want...)
		})
	}
}

func TestAPGWRestartNotificationEndsTheSessionsOfThatPGW(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attachS11(1, sgw)
	s.expect(bound)
	notify := func(gone netip.Addr) {
		s.send(sgw, mme, message.NewPGWRestartNotification(0, 2, ie.NewIPAddress(gone.String()), ie.NewIPAddress(sgw.String()).WithInstance(1)))
	}
	notify(netip.MustParseAddr("10.0.0.99"))
	s.expect()
	notify(pgw)
	s.expect("node-restart")
}

// A Gn interface (3GPP TS 29.060).

func (s *scene) send1(from, to netip.Addr, messages ...message1.Message) {
	s.t.Helper()
	for _, m := range messages {
		b, err := gtptest.Encode(m)
		if err != nil {
			s.t.Fatal(err)
		}
		s.say(from, to, b)
	}
}

var sgsn, ggsn = sgw, pgw

// attach1 makes a primary context with NSAPI 5.
func (s *scene) attach1() {
	s.t.Helper()
	imsi := ie1.NewIMSI(who)
	s.send1(sgsn, ggsn, message1.NewCreatePDPContextRequest(0, 1, imsi, ie1.NewTEIDCPlane(0x61), ie1.NewNSAPI(5),
		ie1.NewEndUserAddress("v4"), ie1.NewAccessPointName("internet"), ie1.NewGSNAddress(sgsn.String()), ie1.NewMSISDN("491700000001")))
	s.send1(ggsn, sgsn, message1.NewCreatePDPContextResponse(0x61, 1, ie1.NewCause(128), ie1.NewTEIDCPlane(0x62),
		ie1.NewEndUserAddressByIP(ue4.AsSlice()), ie1.NewGSNAddress(ggsn.String())))
	s.expect(bound)
}

// second adds a secondary context with NSAPI 6 (clause 7.3.1).
func (s *scene) second() {
	s.t.Helper()
	s.send1(sgsn, ggsn, message1.NewCreatePDPContextRequest(0x62, 2, ie1.NewTEIDCPlane(0x61), ie1.NewNSAPI(6), ie1.NewNSAPI(5), ie1.NewGSNAddress(sgsn.String())))
	s.send1(ggsn, sgsn, message1.NewCreatePDPContextResponse(0x61, 2, ie1.NewCause(128), ie1.NewGSNAddress(ggsn.String())))
	s.expect("session-update")
}

// remove1 releases a context (clauses 7.3.5, 7.3.6).
func (s *scene) remove1(seq uint16, nsapi uint8, teardown bool, cause uint8) {
	s.t.Helper()
	s.send1(sgsn, ggsn, message1.NewDeletePDPContextRequest(0x62, seq, ie1.NewTeardownInd(teardown), ie1.NewNSAPI(nsapi)))
	s.send1(ggsn, sgsn, message1.NewDeletePDPContextResponse(0x61, seq, ie1.NewCause(cause)))
}

func TestTheLastContextOfAnAddressEndsIt(t *testing.T) {
	stop := func(s *scene, bits uint16, last bool) {
		t.Helper()
		if len(s.events) != 1 || s.events[0].Contexts != bits || s.events[0].Last != last {
			t.Errorf("events %+v, want the stop of %b, last %v", s.events, bits, last)
		}
		s.expect("session-stop")
	}
	for name, take := range map[string]func(s *scene){
		"the secondary one, then the primary": func(s *scene) {
			s.remove1(3, 6, false, 128)
			stop(s, 1<<6, false)
			s.remove1(4, 5, false, 128)
			stop(s, 0, true)
		},
		"the primary one, then the secondary": func(s *scene) {
			s.remove1(3, 5, false, 128)
			stop(s, 1<<5, false)
			s.remove1(4, 6, false, 128)
			stop(s, 0, true)
		},
		"all at once, named by the secondary": func(s *scene) {
			s.remove1(3, 6, true, 128)
			stop(s, 0, true)
		},
		"the gateway does not know it": func(s *scene) {
			s.remove1(3, 5, true, 192)
			stop(s, 0, true)
		},
		"a refused release ends nothing": func(s *scene) {
			s.remove1(3, 5, true, 199)
			s.expect()
		},
		"the gateway ends it": func(s *scene) {
			s.send1(ggsn, sgsn, message1.NewDeletePDPContextRequest(0x61, 9, ie1.NewTeardownInd(true), ie1.NewNSAPI(5)))
			s.send1(sgsn, ggsn, message1.NewDeletePDPContextResponse(0x62, 9, ie1.NewCause(128)))
			stop(s, 0, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, gtp.Options{})
			s.attach1()
			s.second()
			take(s)
		})
	}
}

func TestUpdatePDPContextMovesTheSGSNAndKeepsTheAddress(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach1()
	another := netip.MustParseAddr("10.0.0.9")
	update := message1.NewUpdatePDPContextRequest(0x62, 5, ie1.NewTEIDCPlane(0x91), ie1.NewNSAPI(5), ie1.NewGSNAddress(another.String()), ie1.NewRATType(1))
	s.send1(another, ggsn, update)
	s.expect()
	s.send1(ggsn, another, message1.NewUpdatePDPContextResponse(0x91, 5, ie1.NewCause(128), ie1.NewTEIDCPlane(0x63)))
	s.expect("session-update")
	// The former SGSN restarts, which is nothing to this context any more.
	s.send1(sgsn, ggsn, message1.NewEchoResponse(6, ie1.NewRecovery(1)), message1.NewEchoResponse(7, ie1.NewRecovery(2)))
	s.expect()
	// The gateway speaks to the new one, which answers to the new endpoint.
	s.send1(ggsn, another, message1.NewDeletePDPContextRequest(0x91, 8, ie1.NewTeardownInd(true), ie1.NewNSAPI(5)))
	s.send1(another, ggsn, message1.NewDeletePDPContextResponse(0x63, 8, ie1.NewCause(128)))
	s.expect("session-stop")
}

func TestARefusedUpdateChangesNothing(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach1()
	another := netip.MustParseAddr("10.0.0.9")
	s.send1(another, ggsn, message1.NewUpdatePDPContextRequest(0x62, 5, ie1.NewTEIDCPlane(0x91), ie1.NewNSAPI(5), ie1.NewGSNAddress(another.String())))
	s.send1(ggsn, another, message1.NewUpdatePDPContextResponse(0x91, 5, ie1.NewCause(199)))
	s.expect()
	s.remove1(6, 5, true, 128)
	s.expect("session-stop")
}

func TestAnSGSNThatRestartedServesItsContextsNoMore(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach1()
	s.send1(sgsn, ggsn, message1.NewEchoResponse(6, ie1.NewRecovery(1)))
	s.expect()
	s.send1(sgsn, ggsn, message1.NewEchoResponse(7, ie1.NewRecovery(2)))
	s.expect("session-stop")
}

func TestAContextThatIsHandedAroundIsKnownAgain(t *testing.T) {
	s := newScene(t, gtp.Options{})
	s.attach1()
	s.second()
	for n := range uint16(100) {
		teid := 0x1000 + uint32(n)
		s.send1(sgsn, ggsn, message1.NewUpdatePDPContextRequest(0x62, 5+n, ie1.NewTEIDCPlane(teid), ie1.NewNSAPI(5), ie1.NewGSNAddress(sgsn.String())))
		s.send1(ggsn, sgsn, message1.NewUpdatePDPContextResponse(teid, 5+n, ie1.NewCause(128)))
	}
	last := s.events[len(s.events)-1]
	again := newScene(t, gtp.Options{})
	if !again.follower.Recall(last.Source, last.Memo) {
		t.Fatal("the memo was not read")
	}
	again.remove1(500, 6, true, 128)
	again.expect("session-stop")
}

package pfcp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/wmnsk/go-pfcp/ie"
	"github.com/wmnsk/go-pfcp/message"

	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
)

func TestAResponseThatOvertookItsRequestCounts(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.send(upf, smf, established(1))
	s.expect()
	s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
	s.expect(bound)
	s.send(upf, smf, message.NewSessionDeletionResponse(0, 0, 0x5a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.send(smf, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 2, 0))
	s.expect("session-stop")
	if c := s.follower.Counts(); c.Unpaired != 0 {
		t.Errorf("%d were counted as unpaired", c.Unpaired)
	}
}

func TestAResponseThatIsMuchOlderThanItsRequestIsAnotherOnes(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.send(upf, smf, established(1))
	s.now = s.now.Add(time.Second)
	s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
	s.expect()
	if c := s.follower.Counts(); c.Unpaired != 1 {
		t.Errorf("%d were counted as unpaired", c.Unpaired)
	}
}

var smf2 = netip.MustParseAddr("10.0.0.5")

// takeOver has another SMF of the set continue the session (3GPP TS 29.244
// clause 7.5.4, TS 23.527 clause 4.3.3).
func (s *scene) takeOver() {
	s.t.Helper()
	s.send(smf2, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2, 0, node(smf2), pfcptest.FSEID(0x6a, smf2)))
	s.send(upf, smf2, message.NewSessionModificationResponse(0, 0, 0x6a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.expect("session-update")
}

func TestASessionThatAnotherSMFTookOverIsTheSameSession(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.send(smf, upf, establish(1, user(), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
	s.send(upf, smf, established(1))
	first := s.events[0]
	s.expect(bound)
	s.takeOver()

	// The one that it was taken from restarts, which ends what it still has.
	began := time.Unix(1_700_000_000, 0)
	s.send(smf, upf, message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(began), nil))
	s.send(smf, upf, message.NewHeartbeatRequest(10, ie.NewRecoveryTimeStamp(began.Add(time.Hour)), nil))
	s.expect()

	s.send(smf2, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 3, 0))
	s.send(upf, smf2, message.NewSessionDeletionResponse(0, 0, 0x6a, 3, 0, ie.NewCause(ie.CauseRequestAccepted)))
	if len(s.events) != 1 || s.events[0].Session != first.Session || s.events[0].Node != first.Node {
		t.Errorf("events %+v, want the end of %s of %s", s.events, first.Session, first.Node)
	}
	s.expect("session-stop")
}

func TestARestartOfTheSMFThatTookOverEndsTheSession(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.takeOver()
	began := time.Unix(1_700_000_000, 0)
	s.send(smf2, upf, message.NewHeartbeatRequest(9, ie.NewRecoveryTimeStamp(began), nil))
	s.send(smf2, upf, message.NewHeartbeatRequest(10, ie.NewRecoveryTimeStamp(began.Add(time.Hour)), nil))
	s.expect("session-stop")
}

func TestARefusedTakeoverLeavesTheSessionWhereItIs(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(smf2, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2, 0, node(smf2), pfcptest.FSEID(0x6a, smf2)))
	s.send(upf, smf2, message.NewSessionModificationResponse(0, 0, 0x6a, 2, 0, ie.NewCause(ie.CauseRequestRejected)))
	s.send(smf2, upf, message.NewAssociationReleaseRequest(9, node(smf2)))
	s.send(upf, smf2, message.NewAssociationReleaseResponse(9, node(upf), ie.NewCause(ie.CauseRequestAccepted)))
	s.expect()
}

func TestSessionSetDeletionEndsWhatIsInTheSet(t *testing.T) {
	for name, c := range map[string]struct {
		set  *ie.IE
		want []string
	}{
		"that set":     {ie.NewFQCSID(smf.String(), 7), []string{"session-stop"}},
		"another one":  {ie.NewFQCSID(smf.String(), 8), nil},
		"of the other": {ie.NewFQCSID(upf.String(), 9), []string{"session-stop"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, pfcp.Options{})
			s.send(smf, upf, establish(1, user(), ie.NewFQCSID(smf.String(), 7), rule(1, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
			s.send(upf, smf, established(1, ie.NewFQCSID(upf.String(), 9)))
			s.expect(bound)
			s.send(smf, upf, message.NewSessionSetDeletionRequest(2, node(smf), c.set))
			s.send(upf, smf, message.NewSessionSetDeletionResponse(2, node(upf), ie.NewCause(ie.CauseRequestAccepted), nil))
			s.expect(c.want...)
		})
	}
}

func TestAReportThatTheUserPlaneDeletedTheSessionEndsIt(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(upf, smf, message.NewSessionReportRequest(0, 0, 0x5a, 2, 0, ie.NewReportType(0, 0, 1, 0)))
	s.expect()
	s.send(upf, smf, message.NewSessionReportRequest(0, 0, 0x5a, 3, 0, ie.New(ie.PFCPSRReqFlags, []byte{1})))
	s.expect("session-stop")
}

func TestAnAddressThatMovesToAnotherRuleStays(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	s.send(smf, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2, 0, ie.NewRemovePDR(ie.NewPDRID(1)),
		rule(8, 1, pfcptest.CoreIF, pfcptest.UEIP(ue4, netip.Prefix{}, true))))
	s.send(upf, smf, message.NewSessionModificationResponse(0, 0, 0x5a, 2, 0, ie.NewCause(ie.CauseRequestAccepted)))
	s.expect()
}

func TestASessionThatIsHandedAroundIsKnownAgain(t *testing.T) {
	s := newScene(t, pfcp.Options{})
	s.attach()
	for n := range uint32(40) {
		s.send(smf2, upf, message.NewSessionModificationRequest(0, 0, 0x5b, 2+n, 0, pfcptest.FSEID(0x6a+uint64(n), smf2)))
		s.send(upf, smf2, message.NewSessionModificationResponse(0, 0, 0x6a+uint64(n), 2+n, 0, ie.NewCause(ie.CauseRequestAccepted)))
	}
	last := s.events[len(s.events)-1]
	again := newScene(t, pfcp.Options{})
	if !again.follower.Recall(last.Source, last.Memo) {
		t.Fatal("the memo was not read")
	}
	again.send(smf2, upf, message.NewSessionDeletionRequest(0, 0, 0x5b, 99, 0))
	again.send(upf, smf2, message.NewSessionDeletionResponse(0, 0, 0x91, 99, 0, ie.NewCause(ie.CauseRequestAccepted)))
	again.expect("session-stop")
}

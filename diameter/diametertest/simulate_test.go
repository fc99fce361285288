package diametertest_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/diameter/diametertest"
)

// histories are the types of the requests of each session, in order.
func histories(t *testing.T, s *diametertest.PCRF) map[string][]uint32 {
	t.Helper()
	list := map[string][]uint32{}
	for _, e := range s.Exchanges() {
		m, err := diametertest.Parse(e.Request)
		if err != nil {
			t.Fatal(err)
		}
		id := m.Text(avp.SessionID)
		typ, _ := m.Number(avp.CCRequestType)
		number, _ := m.Number(avp.CCRequestNumber)
		if int(number) != len(list[id]) {
			t.Errorf("session %s: request %d has number %d", id, len(list[id]), number)
		}
		list[id] = append(list[id], typ)
	}
	return list
}

func TestSessionsComeAreUpdatedAndGo(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{Record: true})
	sum, err := diametertest.Simulate(t.Context(), diametertest.Options{
		Server: s.Addr(), Connections: 3, Plan: crowdtest.Plan{
			Subscribers: 60, Rate: 1000, Refresh: 30 * time.Millisecond, Hold: 100 * time.Millisecond,
			Pool6: netip.MustParsePrefix("2001:db8::/56"),
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Sent != sum.Answered || sum.Lost != 0 || sum.Attached != 0 || sum.Wrong != 0 || sum.Refused() != 0 || sum.Results[diametertest.Success] != sum.Answered ||
		sum.P50 == 0 || sum.P50 > sum.P99 {
		t.Errorf("%+v", sum)
	}
	sessions := histories(t, s)
	hosts := map[string]int{}
	for id, types := range sessions {
		if n := len(types); n < 3 || types[0] != 1 || types[1] != 2 || types[n-1] != 3 {
			t.Errorf("session %s: %v", id, types)
		}
		host, _, _ := strings.Cut(id, ";")
		hosts[host]++
	}
	if len(sessions) != 60 || len(hosts) != 3 || hosts["pgw-2.simulated"] != 20 {
		t.Errorf("%d sessions of %v", len(sessions), hosts)
	}
}

func TestARestartedNodeComesWithALargerOriginStateAndNewSessions(t *testing.T) {
	var mu sync.Mutex
	var states []uint32 // of the CERs, through the peers
	s := startPCRF(t, diametertest.PCRFOptions{Record: true, Result: func(m diametertest.Message) uint32 {
		state, _ := m.Number(avp.OriginStateID)
		mu.Lock()
		defer mu.Unlock()
		if len(states) == 0 || states[len(states)-1] != state {
			states = append(states, state)
		}
		return diametertest.Success
	}})
	sum, err := diametertest.Simulate(t.Context(), diametertest.Options{
		Server: s.Addr(), Plan: crowdtest.Plan{Subscribers: 10, Rate: 200, Restart: 30 * time.Millisecond},
	}, nil)
	if err != nil || sum.Sent != sum.Answered || sum.Sent < 11 || sum.Sent > 20 || sum.Attached != 10 || sum.Reconnected != 1 || sum.Lost != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if len(states) != 2 || states[1] <= states[0] {
		t.Errorf("Origin-State-Ids %v", states)
	}
	if n := len(histories(t, s)); n != int(sum.Sent) {
		t.Errorf("%d sessions, %d requests", n, sum.Sent)
	}
}

func TestWhatABrokenConnectionLeftIsSentAgainWithTheTBit(t *testing.T) {
	var mu sync.Mutex
	var flags []uint8
	var broken bool
	s := startPCRF(t, diametertest.PCRFOptions{})
	_ = s
	server := startPCRF(t, diametertest.PCRFOptions{Answer: func(p *diametertest.Peer, m diametertest.Message) *diam.Message {
		mu.Lock()
		defer mu.Unlock()
		flags = append(flags, m.Header.CommandFlags)
		if !broken {
			broken = true
			go p.Close()
			return nil
		}
		return s.CreditControl(m, diametertest.Success)
	}})
	sum, err := diametertest.Simulate(t.Context(), diametertest.Options{Server: server.Addr(), Plan: crowdtest.Plan{Subscribers: 1}}, nil)
	if err != nil || sum.Answered != 1 || sum.Retransmitted != 1 || sum.Reconnected != 1 || sum.Lost != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if len(flags) != 2 || flags[0]&diam.RetransmittedFlag != 0 || flags[1]&diam.RetransmittedFlag == 0 {
		t.Errorf("flags %x", flags)
	}
}

func TestAnswersAreChecked(t *testing.T) {
	honest := startPCRF(t, diametertest.PCRFOptions{})
	for claim, spoil := range map[string]func(*diam.Message){
		"Session-Id":         func(m *diam.Message) { m.DeleteAVP(avp.SessionID, 0) },
		"end-to-end":         func(m *diam.Message) { m.Header.EndToEndID++ },
		"P bit":              func(m *diam.Message) { m.Header.CommandFlags &^= diam.ProxiableFlag },
		"no Result-Code":     func(m *diam.Message) { m.DeleteAVP(avp.ResultCode, 0) },
		"Origin-Host":        func(m *diam.Message) { m.DeleteAVP(avp.OriginHost, 0) },
		"CC-Request-Type":    func(m *diam.Message) { m.DeleteAVP(avp.CCRequestType, 0) },
		"application":        func(m *diam.Message) { m.Header.ApplicationID = 4 },
		"CC-Request-Number ": func(m *diam.Message) { m.DeleteAVP(avp.CCRequestNumber, 0) }, // of the first it is 0
	} {
		s := startPCRF(t, diametertest.PCRFOptions{Answer: func(_ *diametertest.Peer, m diametertest.Message) *diam.Message {
			answer := honest.CreditControl(m, diametertest.Success)
			spoil(answer)
			return answer
		}})
		plan := crowdtest.Plan{Subscribers: 1, Hold: time.Millisecond}
		sum, err := diametertest.Simulate(t.Context(), diametertest.Options{Server: s.Addr(), Plan: plan}, nil)
		if err != nil || sum.Wrong == 0 || !strings.Contains(sum.FirstWrong, strings.TrimSpace(claim)) {
			t.Errorf("%s: %+v, %v", claim, sum, err)
		}
	}
}

func TestRefusalsAndSilenceAreCounted(t *testing.T) {
	busy := startPCRF(t, diametertest.PCRFOptions{Result: func(diametertest.Message) uint32 { return diametertest.TooBusy }})
	plan := crowdtest.Plan{Subscribers: 3, Rate: 1000}
	sum, err := diametertest.Simulate(t.Context(), diametertest.Options{Server: busy.Addr(), Plan: plan}, nil)
	if err != nil || sum.Refused() != 3 || sum.Results[diametertest.TooBusy] != 3 || sum.Wrong != 0 {
		t.Errorf("busy: %+v, %v", sum, err)
	}
	silent := startPCRF(t, diametertest.PCRFOptions{Answer: func(*diametertest.Peer, diametertest.Message) *diam.Message { return nil }})
	sum, err = diametertest.Simulate(t.Context(), diametertest.Options{Server: silent.Addr(), Plan: plan, Timeout: 200 * time.Millisecond}, nil)
	if err != nil || sum.Lost != 3 || sum.Answered != 0 {
		t.Errorf("silent: %+v, %v", sum, err)
	}
}

func TestTheEndOfTheContextIsTheEndOfTheRun(t *testing.T) {
	s := startPCRF(t, diametertest.PCRFOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	reports := 0
	sum, err := diametertest.Simulate(ctx, diametertest.Options{
		Server: s.Addr(), Plan: crowdtest.Plan{Subscribers: 1000, Rate: 100, Refresh: time.Hour},
	}, func(crowdtest.Progress) { reports++ })
	if err != nil || sum.Sent == 0 || sum.Sent > 100 || sum.Attached != int(sum.Sent) || sum.Answered != sum.Sent {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for claim, o := range map[string]diametertest.Options{
		"no server":                {},
		"nobody there":             {Server: "127.0.0.1:1"},
		"a negative timeout":       {Server: "127.0.0.1:1", Timeout: -1},
		"no subscribers":           {Server: "127.0.0.1:1", Plan: crowdtest.Plan{Subscribers: -1}},
		"a pool of another family": {Server: "127.0.0.1:1", Plan: crowdtest.Plan{Pool: netip.MustParsePrefix("2001:db8::/32")}},
	} {
		if _, err := diametertest.Simulate(t.Context(), o, nil); err == nil {
			t.Errorf("%s: accepted", claim)
		}
	}
}

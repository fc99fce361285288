package main

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/bpf/pfcp/pfcptest"
)

// pfcpFrame is a PFCP message in an Ethernet frame.
func pfcpFrame(fromUP bool, message []byte) []byte {
	from, to := sgwAddr, pgwAddr
	if fromUP {
		from, to = to, from
	}
	b := udpFrame(from, to, message)
	return bytes.Replace(b, []byte{2123 >> 8, 2123 & 0xFF, 2123 >> 8, 2123 & 0xFF}, []byte{8805 >> 8, 8805 & 0xFF, 8805 >> 8, 8805 & 0xFF}, 1)
}

// TestAKilledDaemonKnowsTheOverheardSessionsAgain: what is overheard of their
// end names them by TEID or SEID alone.
func TestAKilledDaemonKnowsTheOverheardSessionsAgain(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	wire := &gtpPair{send: veth(t, "core0", "core1"), restart: 7}
	core := pfcptest.New(sgwAddr, pgwAddr, "internet")
	pfcp := func(kind crowdtest.Kind) {
		t.Helper()
		list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: 2}, crowdtest.Subscriber{
			MSISDN: testNumber(2)[1:], IMSI: "001010000000002", IMEISV: "3569380300000200", IPv4: testAddr(2),
		})
		if err != nil {
			t.Fatal(err)
		}
		wire.send(pfcpFrame(false, list[0].Request))
		wire.send(pfcpFrame(true, list[0].Response))
	}
	h := newHome(t)
	h.configureTap(t)
	p := h.spawn(t)
	says := func(want string, n int) {
		t.Helper()
		addr := testAddr(n).String()
		eventually(t, fmt.Sprintf("VERIFY %s: %s, now %s", addr, want, p.verdict(t, addr, testNumber(n))), func() bool {
			return p.verdict(t, addr, testNumber(n)) == want
		})
	}
	p.tapHasStarted(t)
	wire.attach(1, testAddr(1).String())
	pfcp(crowdtest.Attach)
	says("match bound", 1)
	says("match bound", 2)
	eventually(t, "both are in the journal", func() bool { // answers do not wait for that
		status, err := p.client(t).Status(t.Context())
		return err == nil && status.JournalSeq >= 2
	})

	p.signal(t, syscall.SIGKILL)
	p = h.spawn(t)
	p.tapHasStarted(t)
	says("stale unconfirmed", 1)
	says("stale unconfirmed", 2)
	wire.detach(1)
	pfcp(crowdtest.Detach)
	says("unknown no-binding", 1)
	says("unknown no-binding", 2)
}

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/diameter/diametertest"
)

// A pcef is a stock PCEF with the daemon as its PCRF.
type pcef struct {
	t    *testing.T
	node diametertest.Node
	peer *diametertest.Peer
}

func (d *daemon) pcef(t *testing.T, host string) *pcef {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	node := diametertest.Node{Host: host, Realm: "lab", OriginState: 5}
	peer, err := diametertest.Dial(ctx, d.gx(), node, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return &pcef{t, node, peer}
}

// report sends a request about subscriber n, at the address of subscriber at.
func (p *pcef) report(kind diametertest.RequestType, number uint32, n, at int) {
	p.t.Helper()
	p.send(kind, number, n, at, 0)
}

// repeat sends it again, as a repetition is flagged (RFC 6733 section 3).
func (p *pcef) repeat(kind diametertest.RequestType, number uint32, n, at int) {
	p.t.Helper()
	p.send(kind, number, n, at, diam.RetransmittedFlag)
}

func (p *pcef) send(kind diametertest.RequestType, number uint32, n, at int, flags uint8) {
	p.t.Helper()
	s := diametertest.Session{
		ID: fmt.Sprintf("%s;1;%d", p.node.Host, n), MSISDN: testNumber(n)[1:], IMSI: fmt.Sprintf("00101%010d", n), APN: "internet", IPv4: testAddr(at),
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	m := s.Request(kind, number, p.node, diametertest.Node{Realm: "lab"})
	m.Header.CommandFlags |= flags
	answer, err := p.peer.Exchange(ctx, m)
	if err != nil {
		p.t.Fatal(err)
	}
	if answer.Result() != 2001 {
		p.t.Fatalf("the answer is %d", answer.Result())
	}
}

func TestNodesShowTheirLinks(t *testing.T) {
	d := newGxHome(t).start(t)
	gx := d.pcef(t, "pgw1.lab")
	d.pcef(t, "dra.lab")
	gx.report(diametertest.Initial, 0, 1, 1)
	nodes, err := d.client(t).Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]query.NodeReply{}
	for _, n := range nodes {
		byName[n.Name] = n
	}
	if n := byName["pgw1.lab"]; n.Sessions != 1 || n.Link == nil || n.Link.State != "okay" || n.Link.OriginState != 5 || n.Link.Results["2001"] != 1 || time.Since(n.Link.Since) > patience {
		t.Errorf("the owner of the session is %+v, link %+v", n, n.Link)
	}
	if n := byName["dra.lab"]; n.Sessions != 0 || n.Link == nil || !n.Up {
		t.Errorf("the agent is %+v", n)
	}
	if _, metrics := d.get(t, "/metrics"); !strings.Contains(metrics, `simbindd_diameter_answers_total{peer="pgw1.lab",result="2001"} 1`) || strings.Contains(metrics, testNumber(1)[1:]) {
		t.Error("/metrics has no answers of the peer, or a number")
	}
}

// A repetition that comes late does not bring a session back. What is none begins
// a new one, as gateways use ids again.
func TestRepetitionAfterTheTerminationBindsNothing(t *testing.T) {
	d := newGxHome(t).start(t)
	gx := d.pcef(t, "pgw1.lab")
	gx.report(diametertest.Initial, 0, 1, 1)
	gx.repeat(diametertest.Initial, 0, 1, 1)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); got != "match bound" {
		t.Errorf("after a repetition: %s", got)
	}
	gx.report(diametertest.Termination, 1, 1, 1)
	gx.repeat(diametertest.Initial, 0, 1, 1)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); !strings.HasPrefix(got, "unknown ") {
		t.Errorf("after a repetition that came late: %s", got)
	}
	gx.report(diametertest.Initial, 0, 1, 1)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); got != "match bound" {
		t.Errorf("after a session that has the id again: %s", got)
	}
}

func TestGxLearnsAsARelay(t *testing.T) {
	pcrf, err := diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{Node: diametertest.Node{Host: "pcrf.lab", Realm: "lab"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pcrf.Close()
	h := newGxHome(t)
	h.configure(t, h.gxYAML("127.0.0.1:0")+fmt.Sprintf("  mode: relay\n  upstreams: [{address: %q, host: pcrf.lab}]\n", pcrf.Addr()))
	d := h.start(t)
	d.await(t, "peer connected")
	gx := d.pcef(t, "pgw1.lab")
	gx.report(diametertest.Initial, 0, 1, 1)
	eventually(t, "the binding", func() bool { return d.verdict(t, testAddr(1).String(), testNumber(1)) == "match bound" })
	gx.report(diametertest.Termination, 1, 1, 1)
	eventually(t, "its end", func() bool {
		return strings.HasPrefix(d.verdict(t, testAddr(1).String(), testNumber(1)), "unknown ")
	})
}

// A node that does not come back after our restart is not trusted for ever.
func TestNodeThatDoesNotComeBackIsLost(t *testing.T) {
	h := newGxHome(t)
	h.configure(t, strings.Replace(h.gxYAML("127.0.0.1:0"), "capacity:", "loss_timeout: 1s\ncapacity:", 1))
	d := h.start(t)
	d.pcef(t, "pgw1.lab").report(diametertest.Initial, 0, 1, 1)
	if code := d.stop(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	d = h.start(t)
	eventually(t, "the binding is stale", func() bool {
		return d.verdict(t, testAddr(1).String(), testNumber(1)) == "stale node-lost"
	})
	d.pcef(t, "pgw1.lab")
	eventually(t, "and counts again", func() bool {
		return d.verdict(t, testAddr(1).String(), testNumber(1)) == "match bound"
	})
}

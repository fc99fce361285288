package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/simbind/simbind/diameter/diametertest"
)

// runGx compares how many Credit-Control-Requests a second simbindd answers,
// each after the journal's synced commit, with go-diameter's own server, which
// answers the same ones and stores nothing. Both get the same requests from the
// same sender, which shares the machine with them, and both start empty.
func runGx(ctx context.Context, s *stage) ([]result, error) {
	var list []result
	for _, mix := range gxMixes {
		r, err := compareGx(ctx, s, mix)
		list = append(list, r...)
		if err != nil {
			return list, err
		}
	}
	r, err := relayGx(ctx, s)
	return append(list, r...), err
}

// A gxMix is a script with its name.
type gxMix struct {
	name     string
	script   []diametertest.RequestType
	window   int // requests that each connection keeps unanswered
	sessions int // of one round
}

var gxMixes = []gxMix{
	{name: "CCR-I, CCR-U, CCR-T of each session", script: gxWholeLife, window: 32, sessions: 40_000},
	{name: "CCR-I, CCR-U, CCR-T of each session", script: gxWholeLife, window: 256, sessions: 60_000},
	{name: "CCR-I only", script: gxStartOnly, window: 256, sessions: 100_000},
}

func (m gxMix) load(server string, round int) gxLoad {
	l := newGxLoad(server, m.script, uint64(round*m.sessions), uint64(m.sessions))
	l.window = m.window
	return l
}

func compareGx(ctx context.Context, s *stage, m gxMix) ([]result, error) {
	m.sessions = s.scale(m.sessions)
	rounds := min(s.rounds, accountingRounds)
	d, err := s.startReady(ctx, 2*m.sessions*rounds)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	stock, err := startStockGx(ctx, s)
	if err != nil {
		return nil, err
	}
	defer stock.stop()
	var ours, theirs gxSample
	for round := range rounds {
		if err := theirs.take(ctx, stock.process, m.load(stock.server, round)); err != nil {
			return nil, err
		}
		if err := ours.take(ctx, d.process, m.load(d.gx, round)); err != nil {
			return nil, err
		}
	}
	work := fmt.Sprintf("%s, %d unanswered", m.name, m.window*newGxLoad("", nil, 0, 0).connections)
	return []result{
		versus("answered and durable: "+work, "/s", ours.rates, "go-diameter, stores nothing", theirs.rates, atLeast(2)).
			noted("%s; go-diameter: %s", &ours, &theirs),
		versus("server CPU a request", "s", ours.cpu, "go-diameter", theirs.cpu, nil),
	}, nil
}

// relayedSessions are those of one round, one request after the other.
const relayedSessions = 3000

// relayGx compares the time of one exchange with go-diameter's server directly
// and through simbindd as a relay agent, which learns from it.
func relayGx(ctx context.Context, s *stage) ([]result, error) {
	stock, err := startStockGx(ctx, s)
	if err != nil {
		return nil, err
	}
	defer stock.stop()
	h, err := s.newHome()
	if err != nil {
		return nil, err
	}
	sessions, rounds := s.scale(relayedSessions), min(s.rounds, accountingRounds)
	h.upstream = stock.server
	d, err := s.startReadyIn(ctx, h, 2*sessions*rounds)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	if err := d.await(ctx, startLimit, func(ctx context.Context) error { return answersGx(ctx, d.gx) }); err != nil {
		return nil, err
	}
	one := gxMix{script: gxWholeLife, window: 1, sessions: sessions}
	var added, added99, direct, relayed []float64
	var through gxSample
	for round := range rounds {
		var alone, both gxSample
		for server, sample := range map[string]*gxSample{stock.server: &alone, d.gx: &both} {
			load := one.load(server, round)
			load.connections = 1
			if err := sample.take(ctx, d.process, load); err != nil {
				return nil, err
			}
		}
		direct, relayed = append(direct, alone.latency.quantile(0.5)), append(relayed, both.latency.quantile(0.5))
		added = append(added, both.latency.quantile(0.5)-alone.latency.quantile(0.5))
		added99 = append(added99, both.latency.quantile(0.99)-alone.latency.quantile(0.99))
		through.bad += both.bad + alone.bad
		through.cpu = append(through.cpu, both.cpu...)
	}
	return []result{
		versus("one exchange through the relay, p50", "s", relayed, "direct", direct, nil).noted("%d not with 2001", through.bad),
		figure("the relay adds, p50", "s", added, atMost(100e-6)),
		figure("the relay adds, p99", "s", added99, nil),
		figure("relay CPU a request", "s", through.cpu, nil),
	}, nil
}

// A gxSample is what rounds with one server gave.
type gxSample struct {
	rates, cpu []float64
	bad        uint64
	latency    histogram
}

func (g *gxSample) String() string {
	return fmt.Sprintf("answered after p50 %s, p99 %s, %d not with 2001",
		quantity(g.latency.quantile(0.5), "s"), quantity(g.latency.quantile(0.99), "s"), g.bad)
}

// take is one round.
func (g *gxSample) take(ctx context.Context, server *process, load gxLoad) error {
	before, err := server.cpu()
	if err != nil {
		return err
	}
	sum, err := load.send(ctx)
	if err != nil {
		return err
	}
	after, err := server.cpu()
	if err != nil {
		return err
	}
	g.rates = append(g.rates, sum.perSecond())
	g.cpu = append(g.cpu, (after-before).Seconds()/float64(sum.answered))
	g.bad += sum.bad
	g.latency.merge(&sum.latency)
	return nil
}

// stockGxCommand runs this program as go-diameter's own server on an address.
const stockGxCommand = "stock-gx"

// A stockGx is that server in a process of its own.
type stockGx struct {
	*process
	server string // host:port
}

func startStockGx(ctx context.Context, s *stage) (*stockGx, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeTCP()
	if err != nil {
		return nil, err
	}
	p, err := launch(s.dir, self, stockGxCommand, addr)
	if err != nil {
		return nil, err
	}
	g := &stockGx{p, addr}
	if err := p.await(ctx, 20*time.Second, g.answers); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

func (g *stockGx) answers(ctx context.Context) error { return answersGx(ctx, g.server) }

// answersGx sends one request, which has to be answered with success.
func answersGx(ctx context.Context, server string) error {
	probe := newGxLoad(server, gxStartOnly, 0, 1)
	probe.connections, probe.window = 1, 1
	sum, err := probe.send(ctx)
	if err == nil && sum.bad > 0 {
		err = errors.New("a request was refused")
	}
	return err
}

// stockNode is who it is.
var stockNode = diametertest.Node{Host: "pcrf.bench", Realm: "bench", OriginState: 1}

// stockGxMain is the process.
func stockGxMain(args []string, stderr io.Writer) int {
	if len(args) != 1 {
		return exitUsage
	}
	l, err := net.Listen("tcp", args[0])
	if err == nil {
		err = diametertest.ServeStock(l, stockNode)
	}
	fmt.Fprintln(stderr, err)
	return exitFailed
}

// freeTCP finds a free port.
func freeTCP() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

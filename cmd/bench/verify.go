package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// runVerify compares VERIFY of the daemon with GET of redis-server, both with as
// many entries, over Unix sockets: by redis-benchmark, which asks about one
// address all the time, and by our asker about random ones.
func runVerify(ctx context.Context, s *stage) ([]result, error) {
	t, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	r, err := startRedis(ctx, s)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	var list []result
	for _, load := range socketLoads {
		result, err := compareSockets(ctx, s, t, r, load)
		if err != nil {
			return list, err
		}
		list = append(list, result)
	}
	return list, nil
}

// A socketLoad is one way of asking.
type socketLoad struct {
	clients, pipeline, requests int
	random                      bool // asked by our asker
	reach                       float64
}

var socketLoads = []socketLoad{
	{clients: 1, pipeline: 1, requests: 50_000, reach: 1},
	{clients: 50, pipeline: 1, requests: 150_000, reach: 1},
	{clients: 50, pipeline: 16, requests: 1_000_000, reach: 1.4},
	{clients: 50, pipeline: 1, requests: 150_000, random: true},
	{clients: 50, pipeline: 16, requests: 1_000_000, random: true},
}

func (l socketLoad) String() string {
	if l.random {
		return fmt.Sprintf("VERIFY, %d clients, pipeline %d, random addresses, own client", l.clients, l.pipeline)
	}
	return fmt.Sprintf("VERIFY, redis-benchmark -c %d -P %d", l.clients, l.pipeline)
}

// compareSockets asks both in turns.
func compareSockets(ctx context.Context, s *stage, t *site, r *redis, load socketLoad) (result, error) {
	load.requests = s.scale(load.requests)
	var ours, theirs sample
	who := residents()
	for round := range s.rounds {
		n := uint64(round) * 7919 % uint64(s.sessions)
		addr, number := who.addr(n).String(), who.number(n)
		if err := theirs.take(ctx, r.process, r.socket, load, s.sessions, "GET", addr); err != nil {
			return result{}, err
		}
		if err := ours.take(ctx, t.process, t.socket, load, s.sessions, "VERIFY", addr, number); err != nil {
			return result{}, err
		}
	}
	reach := atLeast(load.reach)
	if load.random {
		reach = nil
	}
	res := versus(load.String(), "/s", ours.rates, "redis GET", theirs.rates, reach)
	return res.noted("server CPU a request: %s, redis %s", quantity(median(ours.cpu), "s"), quantity(median(theirs.cpu), "s")), nil
}

// A sample is rates, and CPU seconds of the server a request, of rounds.
type sample struct{ rates, cpu []float64 }

// take is one round against one server.
func (m *sample) take(ctx context.Context, server *process, socket string, load socketLoad, sessions int, command ...string) error {
	before, err := server.cpu()
	if err != nil {
		return err
	}
	rate, err := askRate(ctx, socket, load, sessions, command)
	if err != nil {
		return err
	}
	after, err := server.cpu()
	if err != nil {
		return err
	}
	m.rates = append(m.rates, rate)
	m.cpu = append(m.cpu, (after-before).Seconds()/float64(load.requests))
	return nil
}

func askRate(ctx context.Context, socket string, load socketLoad, sessions int, command []string) (float64, error) {
	if !load.random {
		return redisBenchmark(ctx, socket, load, command)
	}
	a, err := ask(ctx, question{
		Socket: socket, Command: command[0], Sessions: sessions, Conns: load.clients, Pipeline: load.pipeline, Requests: load.requests,
	})
	if err != nil {
		return 0, err
	}
	if a.Unmatched > 0 {
		return 0, fmt.Errorf("%d of %d answers to %s were not right", a.Unmatched, a.Answers, command[0])
	}
	return a.perSecond(), nil
}

var requestsPerSecond = regexp.MustCompile(`([\d.]+) requests per second`)

// redisBenchmark returns requests a second.
func redisBenchmark(ctx context.Context, socket string, load socketLoad, command []string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args := []string{"-s", socket, "-q", "-n", strconv.Itoa(load.requests), "-c", strconv.Itoa(load.clients), "-P", strconv.Itoa(load.pipeline)}
	out, err := exec.CommandContext(ctx, "redis-benchmark", append(args, command...)...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w: %s", err, out)
	}
	found := requestsPerSecond.FindAllSubmatch(out, -1)
	if found == nil {
		return 0, fmt.Errorf("redis-benchmark said %q", out)
	}
	return strconv.ParseFloat(string(found[len(found)-1][1]), 64)
}

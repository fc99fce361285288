// Package wiretest plays both ends of a signalling interface, for those who only
// observe it: each request goes from one socket to another, and its response
// back.
//
// What is said is made by a [Core], of which gtptest and pfcptest have some.
package wiretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding/crowdtest"
)

// An Exchange is a request and its response.
type Exchange struct{ Request, Response []byte }

// A Core makes what its two ends say when a step of a crowd is taken. Who is
// the subscriber of the step; a step of the node has none.
type Core interface {
	Take(s crowdtest.Step, who crowdtest.Subscriber) ([]Exchange, error)
}

// Options of Simulate.
type Options struct {
	crowdtest.Plan
	// Asker and Asked are the ends, as address and port.
	Asker, Asked netip.AddrPort
	// Timeout is how long a datagram may be on its way; 2 s by default.
	Timeout time.Duration
}

// A Summary is what a simulation did.
type Summary struct {
	crowdtest.Progress
	P50, P99 time.Duration // of an exchange
}

// Simulate lets a crowd attach, be refreshed and detach, over a pair of
// sockets. It tells progress once a second.
func Simulate(ctx context.Context, o Options, core Core, progress func(crowdtest.Progress)) (Summary, error) {
	o.Plan = o.Plan.WithDefaults()
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if err := o.Check(); err != nil {
		return Summary{}, fmt.Errorf("simulate: %w", err)
	}
	p, err := listen(o)
	if err != nil {
		return Summary{}, fmt.Errorf("simulate: %w", err)
	}
	defer p.close()
	p.tally.Began = time.Now()
	running, stop := context.WithCancel(ctx)
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		if progress != nil {
			p.tally.Report(running, progress)
		}
	}()
	err = o.Drive(ctx, &p.tally, func(_ context.Context, s crowdtest.Step) error {
		var who crowdtest.Subscriber
		if s.Kind != crowdtest.Restart {
			who = o.Subscriber(s.Subscriber)
		}
		list, err := core.Take(s, who)
		for i := 0; i < len(list) && err == nil; i++ {
			err = p.exchange(list[i])
		}
		return err
	})
	stop()
	<-reported
	return Summary{p.tally.Progress(), p.tally.Latencies.Quantile(0.5), p.tally.Latencies.Quantile(0.99)}, err
}

// A pair is the two sockets.
type pair struct {
	asker, asked *net.UDPConn
	timeout      time.Duration
	tally        crowdtest.Tally
	buffer       [1 << 16]byte
}

func listen(o Options) (*pair, error) {
	asker, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(o.Asker))
	if err != nil {
		return nil, err
	}
	asked, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(o.Asked))
	if err != nil {
		return nil, errors.Join(err, asker.Close())
	}
	return &pair{asker: asker, asked: asked, timeout: o.Timeout}, nil
}

func (p *pair) close() {
	p.asker.Close()
	p.asked.Close()
}

// exchange lets a request and its response pass. On a machine's own addresses
// nothing is lost, unless somebody filters it.
func (p *pair) exchange(x Exchange) error {
	began := time.Now()
	p.tally.Sent.Add(1)
	if err := p.pass(p.asker, p.asked, x.Request); err != nil {
		p.tally.Lost.Add(1)
		return fmt.Errorf("the request did not arrive: %w", err)
	}
	if err := p.pass(p.asked, p.asker, x.Response); err != nil {
		p.tally.Lost.Add(1)
		return fmt.Errorf("the response did not arrive: %w", err)
	}
	p.tally.Answered.Add(1)
	p.tally.Latencies.Add(time.Since(began))
	return nil
}

func (p *pair) pass(from, to *net.UDPConn, message []byte) error {
	if _, err := from.WriteTo(message, to.LocalAddr()); err != nil {
		return err
	}
	if err := to.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	for {
		n, _, err := to.ReadFrom(p.buffer[:])
		if err != nil || bytes.Equal(p.buffer[:n], message) {
			return err
		}
	}
}

package radiustest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	layeh "layeh.com/radius"
)

// A nasSocket is one UDP socket of the simulated NAS: at most 256 requests, one
// for each identifier, wait for their answers.
type nasSocket struct {
	o     Options
	conn  net.Conn
	stats *stats
	room  chan struct{} // one for each request that waits

	mu      sync.Mutex
	next    byte
	pending [256]pendingRequest
}

type pendingRequest struct {
	wire  []byte // nil: none
	first time.Time
	last  time.Time
	tries int
}

func dialNAS(o Options, stats *stats) (*nasSocket, error) {
	conn, err := net.Dial("udp", o.Server)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return &nasSocket{o: o, conn: conn, stats: stats, room: make(chan struct{}, 256)}, nil
}

// send waits for a free identifier and sends the request once, or returns the
// error of ctx.
func (n *nasSocket) send(ctx context.Context, p *layeh.Packet) error {
	select {
	case n.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.next++; n.pending[n.next].wire != nil; n.next++ {
	}
	p.Identifier = n.next
	wire, err := p.Encode()
	if err != nil {
		<-n.room
		return fmt.Errorf("encode: %w", err)
	}
	now := time.Now()
	n.pending[n.next] = pendingRequest{wire: wire, first: now, last: now}
	n.stats.Sent.Add(1)
	n.conn.Write(wire) // a loss is repaired by repetition
	return nil
}

// receive takes answers until the socket is closed.
func (n *nasSocket) receive() error {
	buffer := make([]byte, layeh.MaxPacketLength)
	for {
		length, err := n.conn.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // a refusal that ICMP told; repetition goes on
		}
		n.take(buffer[:length])
	}
}

func (n *nasSocket) take(answer []byte) {
	if len(answer) < 20 {
		n.stats.bad.Add(1)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	w := &n.pending[answer[1]]
	switch {
	case w.wire == nil:
		n.stats.late.Add(1)
	case !layeh.IsAuthenticResponse(answer, w.wire, n.o.Secret):
		n.stats.bad.Add(1)
	default:
		n.stats.Answered.Add(1)
		n.stats.Latencies.Add(time.Since(w.first))
		*w = pendingRequest{}
		<-n.room
	}
}

// repeat sends again what was not answered in time, and gives up at last.
func (n *nasSocket) repeat(ctx context.Context) error {
	tick := time.NewTicker(min(n.o.Timeout/4, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			n.repeatDue(now)
		}
	}
}

func (n *nasSocket) repeatDue(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.pending {
		w := &n.pending[i]
		if w.wire == nil || now.Sub(w.last) < n.o.Timeout {
			continue
		}
		if w.tries == n.o.Retries {
			n.stats.Lost.Add(1)
			*w = pendingRequest{}
			<-n.room
			continue
		}
		w.tries++
		w.last = now
		n.stats.Retransmitted.Add(1)
		n.conn.Write(w.wire)
	}
}

// drain waits until every request is answered or given up, but after the end
// of ctx for one timeout only.
func (n *nasSocket) drain(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var ended time.Time
	for len(n.room) > 0 {
		now := <-tick.C
		if ctx.Err() != nil && ended.IsZero() {
			ended = now
		}
		if !ended.IsZero() && now.Sub(ended) > n.o.Timeout {
			return
		}
	}
}

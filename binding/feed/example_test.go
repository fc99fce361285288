package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The consumer of docs/nats-feed.md, word for word.

// A Position is the last change of a site that took effect. Store it together
// with the effect.
type Position struct {
	Incarnation string
	Seq         uint64
}

type Change struct {
	V           int
	Site        string
	Incarnation string
	Seq         uint64
	Kind        string
	Domain      string
	Addr        string
	MSISDN      string
}

// follow applies every change once. last holds where each site stands; apply
// takes one change; snapshot starts a site anew from all pages of its snapshot
// and returns the incarnation and seq of the first one.
func follow(ctx context.Context, js jetstream.JetStream, last map[string]Position,
	apply func(Change) error, snapshot func(site string) (Position, error)) error {
	consumer, err := js.CreateOrUpdateConsumer(ctx, "SIMBIND", jetstream.ConsumerConfig{
		Durable:       "fraud",
		FilterSubject: "simbind.v1.*.change.>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		MaxAckPending: 1, // keeps the order when a message is delivered again
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	over := map[string]bool{} // incarnations that have ended
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		var c Change
		if err := json.Unmarshal(msg.Data(), &c); err != nil || c.V != 1 {
			if err := msg.Ack(); err != nil { // not a change
				return err
			}
			continue
		}
		at := last[c.Site]
		if c.Incarnation != at.Incarnation && !over[c.Incarnation] || c.Incarnation == at.Incarnation && c.Seq > at.Seq+1 {
			over[at.Incarnation] = true
			if at, err = snapshot(c.Site); err != nil { // a new journal, or a gap
				return err
			}
			over[c.Incarnation] = c.Incarnation != at.Incarnation
			last[c.Site] = at
		}
		if c.Incarnation == at.Incarnation && c.Seq == at.Seq+1 { // lower ones had their effect
			if err := apply(c); err != nil {
				return err
			}
			last[c.Site] = Position{c.Incarnation, c.Seq}
		}
		if err := msg.Ack(); err != nil {
			return err
		}
	}
}

// A docFollower is the state that the consumer of the documentation builds.
type docFollower struct {
	mu        sync.Mutex
	last      map[string]Position
	applied   []uint64
	snapshots int
	nc        *nats.Conn
	t         *testing.T
}

func (f *docFollower) apply(c Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, c.Seq)
	return nil
}

func (f *docFollower) snapshot(site string) (Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshots++
	reply, err := f.nc.Request("simbind.v1."+site+".svc.snapshot", nil, testDeadline)
	if err != nil {
		return Position{}, err
	}
	var page Position
	return page, json.Unmarshal(reply.Data, &page)
}

// run follows until n changes were applied since the start.
func (f *docFollower) run(n int) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- follow(ctx, jetStream(f.t, f.nc), f.last, f.apply, f.snapshot) }()
	until(f.t, fmt.Sprintf("%d changes are applied", n), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.applied) >= n
	})
	cancel()
	<-done
}

func TestTheDocumentedConsumerAppliesEveryChangeOnce(t *testing.T) {
	op := newOperator(t, nil)
	cfg := clusterConfig(op.url())
	cfg.Service = true
	outbox := newFakeOutbox()
	site := start(t, cfg, outbox, newFakeAsker(t)) // its snapshot ends at change 77
	outbox.fill(1, 80)
	site.awaitDelivered(80)

	f := &docFollower{last: map[string]Position{}, nc: client(t, op.url()), t: t}
	f.run(3) // 78 to 80, after a snapshot
	publishForged(t, jetStream(t, f.nc), "simbind.v1.lab.change.bound", "no change")
	outbox.fill(81, 90)
	site.awaitDelivered(90)
	f.run(13)
	f.last["lab"] = Position{"abc", 85}                                                        // as after a crash before the last five were committed
	if err := jetStream(t, f.nc).DeleteConsumer(t.Context(), "SIMBIND", "fraud"); err != nil { // sent again, all of them
		t.Fatal(err)
	}
	outbox.fill(91, 95)
	site.awaitDelivered(95)
	f.run(23)
	if want := append(numbers(78, 90), numbers(86, 95)...); !slices.Equal(f.applied, want) || f.snapshots != 1 {
		t.Errorf("applied %v with %d snapshots", f.applied, f.snapshots)
	}
}

func TestTheDocumentedConsumerPassesOverAFormerJournal(t *testing.T) {
	op := newOperator(t, nil)
	cfg := clusterConfig(op.url())
	cfg.Journal.Incarnation = "former"
	deliver(t, cfg, 1, 100)
	cfg.Journal.Incarnation, cfg.Service = "abc", true
	outbox := newFakeOutbox()
	site := start(t, cfg, outbox, newFakeAsker(t))
	outbox.fill(1, 80)
	site.awaitDelivered(80)
	f := &docFollower{last: map[string]Position{}, nc: client(t, op.url()), t: t}
	f.run(3)
	if !slices.Equal(f.applied, numbers(78, 80)) || f.snapshots != 1 {
		t.Errorf("applied %v with %d snapshots", f.applied, f.snapshots)
	}
}

func numbers(first, last uint64) (list []uint64) {
	for seq := first; seq <= last; seq++ {
		list = append(list, seq)
	}
	return list
}

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf/capture"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/diameter"
)

// An offline is a Registry whose clock is that of a capture, and what it said
// of each address.
type offline struct {
	registry *registry.Registry
	clock    atomic.Int64 // unix ns
	event    func(*binding.Event)
	messages uint64 // that came without frames

	acks    chan error
	waiting int
	touched []binding.Address
	order   []binding.Address
	said    map[binding.Address]query.BindingReply
}

// Sizes of the offline Registry.
const (
	offlineCapacity = 1 << 18
	offlineLease    = 10 * 24 * time.Hour
	advanceEvery    = time.Second
)

// newOffline starts a Registry; stop ends it.
func newOffline(ctx context.Context, domains []binding.Domain) (off *offline, stop func(), err error) {
	off = &offline{acks: make(chan error, 1<<16), said: map[binding.Address]query.BindingReply{}}
	off.clock.Store(1)
	off.registry, err = registry.New(registry.Config{
		Site: "replay", Capacity: offlineCapacity, Lease: offlineLease, MarkOnLoss: true, Domains: domains,
		Now: func() time.Time { return time.Unix(0, off.clock.Load()) },
	}, nowhere{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = off.registry.Run(ctx) // an empty journal loads
	}()
	<-off.registry.Ready()
	return off, func() { cancel(); <-done }, nil
}

// nowhere is a Journal that keeps nothing.
type nowhere struct{}

func (nowhere) Commit(*binding.Batch) error { return nil }
func (nowhere) Load(binding.Loader) error   { return nil }
func (nowhere) Meta() binding.JournalMeta   { return binding.JournalMeta{Incarnation: "replay"} }
func (nowhere) Touch(int64) error           { return nil }

// Acknowledge is told that the Registry decided about an event.
func (off *offline) Acknowledge(_ uint64, err error) { off.acks <- err }

// submit is the SubmitFunc of the decoders.
func (off *offline) submit(ev binding.Event) error {
	ev.Ack = off
	shown := ev
	if err := off.registry.Submit(ev); err != nil {
		return err
	}
	off.waiting++
	off.touched = append(off.touched, ev.Addrs...)
	off.event(&shown)
	return nil
}

// settle waits until all events are decided, and notes what is said of their
// addresses now.
func (off *offline) settle(ctx context.Context) error {
	for ; off.waiting > 0; off.waiting-- {
		select {
		case <-off.acks:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, a := range off.touched {
		reply, ok := off.look(a)
		if !ok {
			continue
		}
		if _, had := off.said[a]; !had {
			off.order = append(off.order, a)
		}
		off.said[a] = reply
	}
	off.touched = off.touched[:0]
	return nil
}

// look asks for an address. It is false if no subscriber is known to hold it.
func (off *offline) look(a binding.Address) (query.BindingReply, bool) {
	b, answer := off.registry.Lookup(binding.Query{Addr: a.Prefix.Addr(), Port: a.PortLow})
	if b.State == binding.StateUnknown && answer.Reason == binding.ReasonNoMSISDN {
		b.State = binding.StateBound // the SIM is known by its IMSI
	}
	if b.Addr.Prefix != a.Prefix || b.State == binding.StateUnknown || b.State != binding.StateAmbiguous && b.MSISDN == 0 && b.IMSI == 0 {
		return query.BindingReply{}, false
	}
	return query.BindingReply{
		Addr: a.String(), MSISDN: b.MSISDN.String(), IMSI: b.IMSI.String(), IMEI: b.IMEI.String(), APN: b.APN, RAT: b.RAT.String(),
		Domain: b.Domain, Node: b.Node, Sources: b.Sources.Names(), State: b.State.String(), Reason: answer.Reason.String(),
		Since: b.Since, Seen: b.Seen, Expires: b.Expires, Version: b.Version,
	}, true
}

// bindings lists the addresses in the order in which they were first held, each
// with the last that was known of its holder.
func (off *offline) bindings() []query.BindingReply {
	list := make([]query.BindingReply, 0, len(off.order))
	for _, a := range off.order {
		reply, ok := off.look(a)
		if !ok {
			reply = off.said[a]
			reply.State, reply.Reason = binding.StateReleased.String(), binding.ReasonEnded.String()
		}
		list = append(list, reply)
	}
	return list
}

// lateness is how long after the last frame what was out of order is given up:
// nothing more will come.
const lateness = 5 * time.Second

// replayFrames gives the frames of a capture to the observer.
func (off *offline) replayFrames(ctx context.Context, r *capture.Reader, o *observe.Standard) error {
	var advanced, last time.Time
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			o.Advance(last.Add(lateness))
			return off.settle(ctx)
		}
		if err != nil {
			return err
		}
		last = f.Time
		off.clock.Store(max(off.clock.Load(), f.Time.UnixNano()))
		if f.Time.Sub(advanced) >= advanceEvery {
			advanced = f.Time
			o.Advance(f.Time)
		}
		o.Frame(&f)
		if err := off.settle(ctx); err != nil {
			return err
		}
	}
}

// maxDiameter bounds one message of a file.
const maxDiameter = 1 << 20

// replayDiameter reads Diameter messages that stand one after another. Each
// request counts: there are no answers to pair it with.
func (off *offline) replayDiameter(ctx context.Context, file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	at := time.Now()
	for {
		message, err := nextDiameter(file)
		if errors.Is(err, io.EOF) && off.messages > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		off.messages++
		at = at.Add(time.Millisecond)
		off.clock.Store(at.UnixNano())
		request, err := diameter.Decode(message, diameter.Origin{Arrived: at})
		if err != nil {
			continue // another command, or malformed
		}
		if err := off.submit(request.Event); err != nil {
			return err
		}
		if err := off.settle(ctx); err != nil {
			return err
		}
	}
}

// nextDiameter reads one message. A file that does not begin with one is no
// capture at all.
func nextDiameter(r io.Reader) ([]byte, error) {
	var head [20]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:]) & 0xffffff
	if head[0] != 1 || size < uint32(len(head)) || size > maxDiameter {
		return nil, fmt.Errorf("%w, nor Diameter messages", capture.ErrFormat)
	}
	message := make([]byte, size)
	copy(message, head[:])
	_, err := io.ReadFull(r, message[len(head):])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return message, err
}

// domainsOf reads the address domains of a configuration of simbindd; the rest
// of it does not matter here.
func domainsOf(name string) ([]binding.Domain, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var file struct {
		Domains []struct {
			Name  string         `yaml:"name"`
			APNs  []string       `yaml:"apns"`
			Pools []netip.Prefix `yaml:"pools"`
		} `yaml:"domains"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var list []binding.Domain
	for _, d := range file.Domains {
		list = append(list, binding.Domain{Name: d.Name, APNs: d.APNs, Pools: d.Pools})
	}
	if err := binding.CheckDomains(list); err != nil {
		return nil, fmt.Errorf("%s: domains: %w", name, err)
	}
	return list, nil
}

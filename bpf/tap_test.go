package bpf

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/observe"
	"github.com/simbind/simbind/bpf/wire"
)

// A fakeObserver keeps what it is told.
type fakeObserver struct {
	frames  said[[]byte]
	cut     atomic.Int64 // frames that the kernel cut
	slow    atomic.Int64 // ns that each frame takes
	waiting atomic.Int64
	lost    atomic.Uint64
	n       atomic.Uint64
	forget  atomic.Bool
}

func (o *fakeObserver) Frame(f *wire.Frame) {
	o.n.Add(1)
	if f.Length != len(f.Data) {
		o.cut.Add(1)
	}
	if !o.forget.Load() {
		o.frames.add(bytes.Clone(f.Data))
	}
	if d := o.slow.Load(); d > 0 {
		<-time.After(time.Duration(d))
	}
}
func (o *fakeObserver) Advance(time.Time) {}
func (o *fakeObserver) Counts() observe.Counts {
	return observe.Counts{Waiting: int(o.waiting.Load()), EventsLost: o.lost.Load()}
}

// A runningTap is a tap with a fake observer and registry.
type runningTap struct {
	*Tap
	observer *fakeObserver
	events   *said[binding.Event]
	busy     *atomic.Bool
}

func runTap(t testing.TB, cfg Config) *runningTap {
	t.Helper()
	r := &runningTap{observer: &fakeObserver{}, events: &said[binding.Event]{}, busy: &atomic.Bool{}}
	r.Tap = New(cfg, r.observer, func(ev binding.Event) error {
		if r.busy.Load() {
			return binding.ErrBusy
		}
		r.events.add(ev)
		return nil
	}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-r.Ready()
	return r
}

// saw waits until the observer has been told of a packet.
func (r *runningTap) saw(t testing.TB, claim string, packet frame) {
	t.Helper()
	eventually(t, claim, func() bool {
		return slices.ContainsFunc(r.observer.frames.all(), func(f []byte) bool { return bytes.Equal(f, packet) })
	})
}

func (r *runningTap) notices() int { return len(r.events.all()) }

func TestWhatPassesIsObserved(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	veth(t, "core0", "core1")
	for _, mode := range []string{ModeTCX, ModePacket} {
		tap := runTap(t, Config{Interfaces: []string{"core0"}, Mode: mode})
		if s := tap.State(); s.Mode != mode || !slices.Equal(s.Interfaces, []string{"core0"}) || s.Problem != "" {
			t.Fatalf("state: %+v", s)
		}
		in, out := openWire(t, "core1"), openWire(t, "core0")
		id := byte(0)
		fresh := func(build func(message []byte) frame) frame { // no two are equal
			id++
			return build(append(gtpv2(32), id))
		}
		for _, tc := range []struct {
			claim string
			build func([]byte) frame
			wrap  func(frame) frame
		}{
			{"IPv4", func(m []byte) frame { return ip4(protoUDP, udp(2123, 2123, m...)) }, func(p frame) frame { return ether(typeIPv4, p) }},
			{"IPv6", func(m []byte) frame { return ip6(protoUDP, udp(2123, 2123, m...)) }, func(p frame) frame { return ether(typeIPv6, p) }},
			{"a VLAN", func(m []byte) frame { return ip4(protoUDP, udp(2123, 2123, m...)) }, func(p frame) frame { return ether(typeVLAN, tag(7, typeIPv4, p)) }},
			{"QinQ", func(m []byte) frame { return ip6(protoUDP, udp(2123, 2123, m...)) }, func(p frame) frame { return ether(typeQinQ, tag(8, typeVLAN, tag(7, typeIPv6, p))) }},
			{"SCTP", func(m []byte) frame { return ip4(protoSCTP, sctp(3868, 3868, chunk(0, m...)...)) }, func(p frame) frame { return ether(typeIPv4, p) }},
			{"TCP", func(m []byte) frame { return ip4(protoTCP, tcp(3868, 40000, ack, m...)) }, func(p frame) frame { return ether(typeIPv4, p) }},
			{"a frame for another host", func(m []byte) frame { return ip4(protoUDP, udp(2123, 2123, m...)) }, func(p frame) frame { return edit(ether(typeIPv4, p), 5, 0x99) }},
			{"a first fragment", func(m []byte) frame { return ip4fragment(protoUDP, 77, 0, true, udp(2123, 2123, m...)) }, func(p frame) frame { return ether(typeIPv4, p) }},
			{"and the one behind it", func(m []byte) frame { return ip4fragment(protoUDP, 77, 1480, false, m) }, func(p frame) frame { return ether(typeIPv4, p) }},
		} {
			for way, w := range map[string]*wireEnd{"in": in, "out": out} {
				p := fresh(tc.build)
				w.send(tc.wrap(p))
				tap.saw(t, fmt.Sprintf("%s: %s, %s", mode, tc.claim, way), p)
			}
		}
		out.send(over4(udp(2152, 2152, 0x30, 255)))
		eventually(t, "the user plane is ignored", func() bool {
			c, err := tap.kernel.counts()
			return err == nil && c[tapOutcomeOTHER_PORT] > 0
		})
		if s := tap.State(); s.Matched != s.Delivered || s.Lost != 0 || int(s.Matched) != len(tap.observer.frames.all()) {
			t.Errorf("%s: %+v, observed %d", mode, s, len(tap.observer.frames.all()))
		}
	}
}

func TestInterfacesComeAndGo(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	tap := runTap(t, Config{Interfaces: []string{"core*"}})
	if s := tap.State(); s.Problem != "no interface matches core*" || s.String() != "off: no interface matches core*" {
		t.Fatalf("before: %+v", s)
	}
	watches := func(names ...string) func() bool {
		return func() bool { return slices.Equal(tap.State().Interfaces, append([]string{}, names...)) }
	}
	veth(t, "core0", "far0")
	eventually(t, "the first appears", watches("core0"))
	eventually(t, "the registry knows that what was before is unknown", func() bool { return tap.notices() == 1 })
	p := ip4(protoUDP, udp(2123, 2123, gtpv2(33)...))
	openWire(t, "far0").send(ether(typeIPv4, p))
	tap.saw(t, "on the first", p)

	veth(t, "core1", "far1")
	eventually(t, "another appears", watches("core0", "core1"))
	ip(t, "link", "del", "core0")
	eventually(t, "the first disappears", watches("core1"))
	eventually(t, "the registry knows", func() bool { return tap.notices() == 2 })
	veth(t, "core0", "far0")
	eventually(t, "it is back", watches("core0", "core1"))
	eventually(t, "the registry knows that too", func() bool { return tap.notices() == 3 })
	p = ip4(protoUDP, udp(2123, 2123, gtpv2(35)...))
	openWire(t, "far0").send(ether(typeIPv4, p))
	tap.saw(t, "on the one that is back", p)
	for _, ev := range tap.events.all() {
		if ev.Kind != binding.NewsLost {
			t.Errorf("event %+v", ev)
		}
	}
}

func TestPromiscuousEndsWithTheTap(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	veth(t, "core0", "core1")
	promiscuous := func() bool {
		out, err := exec.Command("ip", "-details", "link", "show", "core0").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(out), "promiscuity 1")
	}
	t.Run("while it runs", func(t *testing.T) {
		runTap(t, Config{Interfaces: []string{"core0"}, Promiscuous: true})
		if !promiscuous() {
			t.Error("not promiscuous")
		}
	})
	if promiscuous() {
		t.Error("still promiscuous")
	}
}

// TestAFloodLosesNothingUncounted sends faster than the observer takes it:
// first a little, of which nothing may be lost, then more than the ring holds.
func TestAFloodLosesNothingUncounted(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	veth(t, "core0", "core1")
	for _, mode := range []string{ModeTCX, ModePacket} {
		tap := runTap(t, Config{Interfaces: []string{"core0"}, Mode: mode, RingBuffer: minRingBuffer})
		tap.observer.forget.Store(true)
		w := openWire(t, "core1")
		f := over4(udp(2123, 2123, append(gtpv2(33), make([]byte, 500)...)...))
		for range 100 {
			w.send(f)
		}
		eventually(t, "a little arrives", func() bool { return tap.observer.n.Load() == 100 })
		before := tap.notices()
		tap.observer.slow.Store(int64(time.Millisecond))
		for range 3000 {
			w.send(f)
		}
		tap.observer.slow.Store(0)
		eventually(t, "the flood is taken in", func() bool {
			s := tap.State()
			return s.Matched == 3100 && tap.observer.n.Load() == s.Delivered
		})
		s := tap.State()
		if s.Lost == 0 || s.Matched != s.Delivered+s.Lost {
			t.Errorf("%s: %+v", mode, s)
		}
		eventually(t, "the registry knows", func() bool { return tap.notices() > before })
		eventually(t, "and is told no more", func() bool {
			n := tap.notices()
			<-time.After(3 * pollEvery)
			return tap.notices() == n
		})
	}
}

func TestALossIsToldUntilTheRegistryTakesIt(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	veth(t, "core0", "core1")
	tap := runTap(t, Config{Interfaces: []string{"core0"}})
	eventually(t, "the start is told", func() bool { return tap.notices() == 1 })
	tap.busy.Store(true)
	tap.observer.lost.Store(5)
	tap.observer.waiting.Store(1)
	<-time.After(3 * pollEvery)
	tap.busy.Store(false)
	eventually(t, "the loss is told", func() bool { return tap.notices() >= 2 })
	n := tap.notices()
	eventually(t, "and again while events of before wait", func() bool { return tap.notices() > n })
	tap.observer.waiting.Store(0)
	eventually(t, "and then no more", func() bool {
		n := tap.notices()
		<-time.After(3 * pollEvery)
		return tap.notices() == n
	})
}

func TestWithoutTheRightToTheTapIsOffAndTheDaemonRuns(t *testing.T) {
	r := &said[binding.Event]{}
	tap := New(Config{Interfaces: []string{"lo"}}, &fakeObserver{}, func(ev binding.Event) error { r.add(ev); return nil }, slog.New(slog.DiscardHandler))
	tap.off(fmt.Errorf("load: %w", os.ErrPermission))
	s := tap.State()
	if s.Mode != "" || s.Problem == "" || len(r.all()) != 1 || r.all()[0].Kind != binding.NewsLost {
		t.Errorf("%+v, told %v", s, r.all())
	}
}

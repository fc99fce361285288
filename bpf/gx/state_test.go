package gx

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/diameter/diametertest"
)

const commandDisconnect = 282

// A talk is one connection of a rig.
type talk struct {
	r        *rig
	src, dst netip.AddrPort
	// at are the sequence numbers of the two ends.
	asks, answers uint32
}

// dial shows the handshake of a connection, from a port of the gateway or of
// somebody else.
func (r *rig) dial(src netip.AddrPort) *talk {
	r.connect(src, pcrf)
	return &talk{r, src, pcrf, 1001, 2001}
}

// join is a connection that was there before.
func (r *rig) join(src netip.AddrPort) *talk { return &talk{r, src, pcrf, 5001, 6001} }

func (c *talk) ask(octets []byte) {
	c.r.segment(c.src, c.dst, 0x10, c.asks, octets)
	c.asks += uint32(len(octets))
}

func (c *talk) answer(octets []byte) {
	c.r.segment(c.dst, c.src, 0x10, c.answers, octets)
	c.answers += uint32(len(octets))
}

// tell shows a request of the base protocol with a state, and its answer.
func (c *talk) tell(command uint32, host string, state uint32) {
	c.ask(base(c.r.t, command, true, host, state))
	c.answer(base(c.r.t, command, false, "pcrf.lab", 70))
}

// begin shows a session that begins, with a state.
func (c *talk) begin(n int, state uint32) { c.beginAs(gateway.Host, n, state, 2001) }

func (c *talk) beginAs(host string, n int, state, result uint32) {
	c.r.t.Helper()
	from := diametertest.Node{Host: host, Realm: "lab"}
	m := session(n).Request(initial, 0, from, policy)
	m.Header.HopByHopID, m.Header.EndToEndID = c.asks, c.asks|1<<31
	if state != 0 {
		m.AddAVP(diam.NewAVP(avp.OriginStateID, avp.Mbit, 0, datatype.Unsigned32(state)))
	}
	request := serialized(c.r.t, m)
	c.ask(request)
	c.answer(cca(c.r.t, request, result))
}

func (c *talk) close() { c.r.segment(c.src, c.dst, 0x04, c.asks, nil) }

var (
	second   = netip.AddrPortFrom(pcef.Addr(), 40001)
	stranger = netip.MustParseAddrPort("198.51.100.9:40002")
)

// restarted are the states that restarts were told of, by event and owner.
func (r *rig) restarted() (list []uint32) {
	for _, ev := range r.events {
		if ev.Kind == binding.NodeRestart {
			list = append(list, ev.OriginState)
		}
	}
	return list
}

func TestALargerStateIsARestartWhen(t *testing.T) {
	const host = "pgw1.lab"
	for _, c := range []struct {
		claim        string
		say          func(r *rig, c *talk) // c opened with 5, and began a session
		want         []uint32
		contradicted uint64
	}{
		{"a new connection opens with it", func(r *rig, c *talk) { r.dial(second).tell(commandCapabilities, host, 6) },
			[]uint32{6}, 0},
		{"a request that was refused shows it", func(r *rig, c *talk) { c.beginAs(host, 2, 6, 5012) }, []uint32{6}, 0},
		{"not when a request brings it to the Registry itself", func(r *rig, c *talk) { c.begin(2, 6) }, nil, 0},
		{"a watchdog shows it, and the next one too", func(r *rig, c *talk) {
			c.tell(commandWatchdog, host, 6)
			c.tell(commandWatchdog, host, 6)
		}, []uint32{6}, 0},
		{"and the requests after it", func(r *rig, c *talk) {
			c.tell(commandWatchdog, host, 6)
			c.beginAs(host, 2, 6, 5012)
		}, []uint32{6}, 0},
		{"not one watchdog", func(r *rig, c *talk) { c.tell(commandWatchdog, host, 6) }, nil, 0},
		{"not after the next one shows the old one", func(r *rig, c *talk) {
			c.tell(commandWatchdog, host, 6)
			c.tell(commandWatchdog, host, 5)
			c.tell(commandWatchdog, host, 5)
		}, nil, 1},
		{"not after a request shows the old one", func(r *rig, c *talk) {
			c.tell(commandWatchdog, host, 6)
			c.begin(2, 5)
		}, nil, 1},
		{"not while another connection has the old one", func(r *rig, c *talk) {
			other := r.dial(second)
			for range 9 {
				other.tell(commandWatchdog, host, 6)
			}
			c.begin(2, 5)
		}, nil, 1},
		{"but when that is gone", func(r *rig, c *talk) {
			other := r.dial(second)
			other.tell(commandWatchdog, host, 6)
			c.close()
			other.tell(commandWatchdog, host, 6)
		}, []uint32{6}, 0},
		{"or shows it too", func(r *rig, c *talk) {
			other := r.dial(second)
			other.tell(commandWatchdog, host, 6)
			c.tell(commandWatchdog, host, 6)
			c.tell(commandWatchdog, host, 6)
		}, []uint32{6}, 0},
		{"not without an answer",
			func(r *rig, c *talk) { r.dial(second).ask(base(r.t, commandCapabilities, true, host, 6)) }, nil, 0},
		{"nor if the answer refuses", func(r *rig, c *talk) {
			other := r.dial(second)
			other.ask(base(r.t, commandCapabilities, true, host, 6))
			refusal := base(r.t, commandCapabilities, false, "pcrf.lab", 70)
			at := bytes.Index(refusal, []byte{0, 0, 7, 0xD1}) // 2001
			refusal[at+2] = 0x0B                              // 3025
			other.answer(refusal)
		}, nil, 0},
		{"nor if the answer is another one's", func(r *rig, c *talk) {
			c.ask(base(r.t, commandWatchdog, true, host, 6))
			c.answer(base(r.t, commandCapabilities, false, "pcrf.lab", 70))
		}, nil, 0},
		{"nor in capabilities that nothing opened", func(r *rig, c *talk) {
			r.join(second).tell(commandCapabilities, host, 6)
		}, nil, 0},
		{"nor of another host", func(r *rig, c *talk) { r.dial(second).tell(commandCapabilities, "pgw2.lab", 6) }, nil,
			0},
		{"nor of the same name at another address", func(r *rig, c *talk) {
			r.dial(stranger).tell(commandCapabilities, host, 6)
		}, nil, 0},
		{"a host that leaves shows it, and the next connection", func(r *rig, c *talk) {
			c.tell(commandDisconnect, host, 6)
			r.dial(second).tell(commandCapabilities, host, 6)
		}, []uint32{6}, 0},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newRig(t, Options{})
			first := r.dial(pcef)
			first.tell(commandCapabilities, host, 5)
			first.begin(1, 5)
			c.say(r, first)
			if got := r.restarted(); !slices.Equal(got, c.want) {
				t.Errorf("restarts %d, want %d; %q", got, c.want, r.told())
			}
			r.counted(contradictions, c.contradicted)
			for _, ev := range r.events {
				if ev.Owner != pcef.Addr().String() || ev.Link == 0 || ev.Arrived.IsZero() || !ev.Time.IsZero() {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

// A forgedWatchdog is what one packet can say: 124 octets on the wire.
func forgedWatchdog(t *testing.T) []byte { return base(t, commandWatchdog, true, "pgw1.lab", 1<<31) }

// TestOneForgedWatchdogChangesNothing: whoever can put a packet on the wire must
// not be able to end the sessions of a node, nor to silence those that follow.
func TestOneForgedWatchdogChangesNothing(t *testing.T) {
	for claim, forge := range map[string]func(r *rig, c *talk){
		"within the connection": func(r *rig, c *talk) { c.ask(forgedWatchdog(t)) },
		"within it, and the policy server answers": func(r *rig, c *talk) {
			c.tell(commandWatchdog, "pgw1.lab", 1<<31)
		},
		"on a connection of its own, from the address": func(r *rig, c *talk) {
			r.join(second).ask(forgedWatchdog(t))
		},
		"on one that is opened, and answered": func(r *rig, c *talk) {
			r.dial(second).tell(commandWatchdog, "pgw1.lab", 1<<31)
		},
		"from another address": func(r *rig, c *talk) {
			r.join(stranger).ask(forgedWatchdog(t))
		},
		"from another address, and answered": func(r *rig, c *talk) {
			r.dial(stranger).tell(commandWatchdog, "pgw1.lab", 1<<31)
		},
		"from the policy server, as if it were the other": func(r *rig, c *talk) { c.answer(forgedWatchdog(t)) },
		"as an answer": func(r *rig, c *talk) {
			c.ask(base(t, commandWatchdog, false, "pgw1.lab", 1<<31))
		},
		"a request of nobody's session": func(r *rig, c *talk) {
			r.join(second).ask(ccr(t, session(9), initial, 0, 9))
		},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(t, Options{})
			c := r.dial(pcef)
			c.tell(commandCapabilities, "pgw1.lab", 5)
			c.begin(1, 5)
			forge(r, c)
			c.tell(commandWatchdog, "pgw1.lab", 5)
			c.begin(2, 5)
			c.begin(3, 0)
			r.want(started(1), started(2), started(3))
			for i, want := range []uint32{5, 5, 0} {
				if got := r.events[i].OriginState; got != want {
					t.Errorf("event %d brings the state %d, want %d", i, got, want)
				}
			}
			// The true restart is seen at once.
			c.close()
			r.dial(netip.AddrPortFrom(pcef.Addr(), 40009)).tell(commandCapabilities, "pgw1.lab", 6)
			if got := r.restarted(); !slices.Equal(got, []uint32{6}) {
				t.Errorf("restarts %d", got)
			}
		})
	}
}

// The first that is heard of a node may be forged as well.
func TestAWatchdogBeforeAllElseProvesNothing(t *testing.T) {
	r := newRig(t, Options{})
	r.dial(second).tell(commandWatchdog, "pgw1.lab", 1<<31)
	c := r.join(pcef)
	c.begin(1, 5)
	r.dial(netip.AddrPortFrom(pcef.Addr(), 40009)).tell(commandCapabilities, "pgw1.lab", 5)
	c.begin(2, 5)
	r.want(started(1), started(2))
}

func TestASmallerStateAtAnOpeningTellsOfARestart(t *testing.T) {
	r := newRig(t, Options{})
	c := r.dial(pcef)
	c.tell(commandCapabilities, "pgw1.lab", 500)
	c.begin(1, 500)
	c.tell(commandWatchdog, "pgw1.lab", 499) // an old one
	c.close()
	c = r.dial(second)
	c.tell(commandCapabilities, "pgw1.lab", 3)
	c.begin(2, 3)
	r.want(started(1), "node-restart pgw1.lab", started(2))
	if got := r.restarted(); !slices.Equal(got, []uint32{3}) {
		t.Errorf("restarts %d", got)
	}
}

// Of hosts without sessions the Registry need not know.
func TestAPolicyServerThatRestartsIsNobodysNode(t *testing.T) {
	r := newRig(t, Options{})
	c := r.dial(pcef)
	c.ask(base(t, commandCapabilities, true, "pgw1.lab", 5))
	c.answer(base(t, commandCapabilities, false, "pcrf.lab", 70))
	c.begin(1, 5)
	c = r.dial(second)
	c.ask(base(t, commandCapabilities, true, "pgw1.lab", 5))
	c.answer(base(t, commandCapabilities, false, "pcrf.lab", 71))
	r.want(started(1))
}

// A pair of gateways that both call themselves "string", as Magma's do.
func TestTwoSendersOfOneNameAreTwoNodes(t *testing.T) {
	one := netip.MustParseAddrPort("192.0.2.10:40000")
	two := netip.MustParseAddrPort("192.0.2.11:40000")
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.10/31")}
	for claim, c := range map[string]struct {
		groups sender.Groups
		owners []string
	}{
		"by their addresses":     {nil, []string{"192.0.2.10", "192.0.2.11"}},
		"unless they are of one": {sender.Groups{{Name: "feg", Addresses: prefixes}}, []string{"feg", "feg"}},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(t, Options{Groups: c.groups})
			a, b := r.dial(one), r.dial(two)
			a.tell(commandCapabilities, "string", 500)
			b.tell(commandCapabilities, "string", 300)
			for n := range 4 {
				a.beginAs("string", n, 500, 2001)
				b.beginAs("string", 10+n, 300, 2001)
			}
			if len(r.events) != 8 {
				t.Fatalf("%q", r.told())
			}
			for i, ev := range r.events {
				if ev.Owner != c.owners[i%2] || ev.OriginState != []uint32{500, 300}[i%2] || ev.Node != "string" {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

// pass lets time pass, second by second, as the tap does.
func (r *rig) pass(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(time.Second)
		r.Advance(r.now)
	}
}

func TestASenderThatFallsSilentIsDown(t *testing.T) {
	beat := func(c *talk, n int) {
		for range n {
			c.r.pass(30 * time.Second)
			c.tell(commandWatchdog, "dra.lab", 0)
		}
	}
	down := []string{"node-down pgw1.lab", "node-down pgw2.lab"}
	up := []string{"node-up pgw1.lab", "node-up pgw2.lab"}
	for _, c := range []struct {
		claim string
		say   func(r *rig, c *talk)
		want  []string
	}{
		{"three watchdogs stay out", func(r *rig, c *talk) { beat(c, 4); r.pass(2 * time.Minute) }, down},
		{"a connection that is closed ends nothing by itself",
			func(r *rig, c *talk) { beat(c, 4); c.close(); r.pass(time.Minute) }, nil},
		{"what is behind it is up with the sender's next word",
			func(r *rig, c *talk) { beat(c, 4); r.pass(2 * time.Minute); beat(c, 1) }, slices.Concat(down, up)},
		{"on whatever connection", func(r *rig, c *talk) {
			beat(c, 4)
			r.pass(2 * time.Minute)
			r.dial(second).tell(commandCapabilities, "dra.lab", 0)
		}, slices.Concat(down, up)},
		{"without a rhythm nobody knows", func(r *rig, c *talk) { r.pass(time.Hour) }, nil},
		{"what others say is no sign of life", func(r *rig, c *talk) {
			beat(c, 4)
			for range 9 {
				r.pass(30 * time.Second)
				c.answer(base(t, commandWatchdog, true, "pcrf.lab", 0))
			}
		}, down},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newRig(t, Options{Silence: 5 * time.Minute})
			first := r.dial(pcef)
			first.beginAs("pgw1.lab", 1, 0, 2001)
			first.beginAs("pgw2.lab", 2, 0, 2001)
			r.events = nil
			c.say(r, first)
			r.want(c.want...)
			for _, ev := range r.events {
				if ev.Owner != pcef.Addr().String() {
					t.Errorf("%+v", ev)
				}
			}
		})
	}
}

// What waited behind a hole came after what filled it.
func TestOnOneConnectionTimeDoesNotGoBack(t *testing.T) {
	r := newRig(t, Options{})
	r.shake()
	one, two := ccr(t, session(1), initial, 0, 1), ccr(t, session(2), initial, 0, 2)
	at := r.next[pcef]
	r.segment(pcef, pcrf, 0x10, at+uint32(len(one)), two)
	r.now = r.now.Add(100 * time.Millisecond)
	r.segment(pcef, pcrf, 0x10, at, one)
	r.answer(cca(t, one, 2001), cca(t, two, 2001))
	r.want(started(1), started(2))
	if a, b := r.events[0].Arrived, r.events[1].Arrived; b.Before(a) {
		t.Errorf("the second came %v before the first", a.Sub(b))
	}
}

func TestWhatIsRememberedOfANodeIsBounded(t *testing.T) {
	r := newRig(t, Options{})
	for n := range maxShowings + 4 {
		r.dial(netip.AddrPortFrom(pcef.Addr(), uint16(41000+n))).begin(n, 5)
	}
	nd := r.nodes[nodeKey{pcef.Addr().String(), "pgw1.lab"}]
	if len(nd.shown) != maxShowings {
		t.Errorf("%d connections are remembered", len(nd.shown))
	}
	// Beyond, a watchdog is believed no more, and an opening still is.
	last := r.dial(second)
	for range 3 {
		last.tell(commandWatchdog, "pgw1.lab", 6)
	}
	if got := r.restarted(); len(got) != 0 {
		t.Errorf("restarts %d", got)
	}
	r.dial(netip.AddrPortFrom(pcef.Addr(), 40009)).tell(commandCapabilities, "pgw1.lab", 6)
	if got := r.restarted(); !slices.Equal(got, []uint32{6}) {
		t.Errorf("restarts %d", got)
	}
	for n := range maxNodes + 10 {
		r.Follower.node("192.0.2.10", string(rune('a'+n%26))+time.Duration(n).String())
	}
	if len(r.nodes) != maxNodes {
		t.Errorf("%d nodes", len(r.nodes))
	}
}

package accounting

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	layeh "layeh.com/radius"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

const secret = "testing123"

var (
	nas     = netip.MustParseAddrPort("192.0.2.10:40000")
	server  = netip.MustParseAddrPort("192.0.2.1:1813")
	began   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	session = radiustest.Session{
		ID: "0001", NAS: "pgw1", NASAddr: nas.Addr(), MSISDN: "447700900001", IMSI: "001010000000001", APN: "internet",
		IPv4: netip.MustParseAddr("10.45.0.7"),
	}
	client = radius.Client{Name: "pgw1", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Secret: []byte(secret)}
)

// A rig is a Follower whose events are written down.
type rig struct {
	*Follower
	t      *testing.T
	now    time.Time
	events []binding.Event
}

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{t: t, now: began}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	r.Follower = New(func(ev binding.Event) { r.events = append(r.events, ev) }, o)
	return r
}

// put shows a datagram to the Follower and then overwrites it.
func (r *rig) put(src, dst netip.AddrPort, datagram []byte) {
	buffer := slices.Clone(datagram)
	r.Packet(&wire.Packet{Time: r.now, Src: src, Dst: dst, Proto: wire.ProtoUDP, Payload: buffer})
	for i := range buffer {
		buffer[i] = 0xAA
	}
	r.now = r.now.Add(time.Millisecond)
}

func (r *rig) ask(datagram []byte)    { r.put(nas, server, datagram) }
func (r *rig) answer(datagram []byte) { r.put(server, nas, datagram) }

// want compares the events, each as "kind node session".
func (r *rig) want(events ...string) {
	r.t.Helper()
	var got []string
	for _, ev := range r.events {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%v %s %s", ev.Kind, ev.Node, ev.Session)))
	}
	if !slices.Equal(got, events) {
		r.t.Errorf("events %q, want %q", got, events)
	}
}

func (r *rig) counted(what count, n uint64) {
	r.t.Helper()
	if got := r.counts[what].Load(); got != n {
		r.t.Errorf("%s %s: %d, want %d", counted[what].metric, counted[what].value, got, n)
	}
}

// pair is a request and its response as layeh's implementation makes them.
func pair(t *testing.T, s radiustest.Session, status radiustest.Status, id byte) (request, response []byte) {
	t.Helper()
	p, err := s.Request(status, []byte(secret))
	return encoded(t, p, err, id)
}

func encoded(t testing.TB, p *layeh.Packet, err error, id byte) (request, response []byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	p.Identifier = id
	if request, err = p.Encode(); err != nil {
		t.Fatal(err)
	}
	// The response is signed over the authenticator that Encode computed.
	sent, err := layeh.Parse(request, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	if response, err = sent.Response(layeh.CodeAccountingResponse).Encode(); err != nil {
		t.Fatal(err)
	}
	return request, response
}

const started = "session-start pgw1 0001"

func TestARequestCountsWhenItIsAnswered(t *testing.T) {
	for _, cfg := range []Options{{}, {Clients: []radius.Client{client}}} {
		r := newRig(t, cfg)
		request, response := pair(t, session, radiustest.Start, 7)
		r.ask(request)
		r.want()
		r.answer(append(slices.Clone(response), 0, 0)) // with padding
		r.want(started)
		ev := r.events[0]
		if ev.Source != binding.SourceRADIUS || ev.MSISDN != 447700900001 || ev.APN != "internet" ||
			len(ev.Addrs) != 1 || ev.Addrs[0].String() != "10.45.0.7" || !ev.Observed {
			t.Errorf("%+v", ev)
		}
	}
}

func TestARequestArrivedWhenItWasCaptured(t *testing.T) {
	timed := session
	timed.Time, timed.Delay, timed.Age = began.Add(time.Hour), 3*time.Second, time.Minute
	request, response := pair(t, timed, radiustest.Interim, 7)
	for claim, run := range map[string]func(*rig) time.Time{
		"though its answer came seconds later": func(r *rig) time.Time {
			r.ask(request)
			r.now = r.now.Add(5 * time.Second)
			r.answer(response)
			return began
		},
		"the first time, if it was repeated": func(r *rig) time.Time {
			r.ask(request)
			r.now = r.now.Add(5 * time.Second)
			r.ask(request)
			r.answer(response)
			return began
		},
		"though its answer was captured first": func(r *rig) time.Time {
			r.answer(response)
			at := r.now
			r.ask(request)
			return at
		},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(t, Options{Clients: []radius.Client{client}})
			at := run(r)
			if len(r.events) != 1 {
				t.Fatalf("%d events", len(r.events))
			}
			ev := r.events[0]
			if !ev.Arrived.Equal(at) || !ev.Time.Equal(timed.Time) || ev.Delay != 3*time.Second || !ev.Delayed ||
				ev.Age != time.Minute || !ev.Aged {
				t.Errorf("captured at %v: %+v", at, ev)
			}
		})
	}
}

func TestWhoOwnsAnObservedNode(t *testing.T) {
	grouped, other := client, client
	grouped.Group, grouped.BlindDelay = "pair", time.Minute
	other.Name, other.Group, other.Prefix = "pgw1b", "pair", netip.MustParsePrefix("198.51.100.0/24")
	elsewhere := netip.MustParseAddrPort("198.51.100.7:40000")
	for _, c := range []struct {
		claim   string
		clients []radius.Client
		from    netip.AddrPort
		owner   string
		blind   time.Duration
	}{
		{"the address that sent it, if there are no clients", nil, nas, "192.0.2.10", 0},
		{"another address is another owner", nil, elsewhere, "198.51.100.7", 0},
		{"the client", []radius.Client{client}, nas, "pgw1", 0},
		{"the client's group", []radius.Client{grouped, other}, nas, "pair", time.Minute},
		{"which another client may share", []radius.Client{grouped, other}, elsewhere, "pair", 0},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newRig(t, Options{Clients: c.clients})
			request, response := pair(t, session, radiustest.Start, 7)
			r.put(c.from, server, request)
			r.put(server, c.from, response)
			r.want(started)
			if ev := r.events[0]; ev.Owner != c.owner || ev.Also != "192.0.2.10" || ev.Blind != c.blind {
				t.Errorf("%s/%s/%s, blind for %v", ev.Owner, ev.Node, ev.Also, ev.Blind)
			}
		})
	}
}

// TestThePassiveViewIsTheActiveView compares with what the accounting edge
// would make of the same request.
func TestThePassiveViewIsTheActiveView(t *testing.T) {
	for _, s := range []radiustest.Session{session, {ID: "2", IPv4: session.IPv4, IMSI: session.IMSI}, {ID: "3", NASAddr: netip.MustParseAddr("2001:db8::1")}} {
		r := newRig(t, Options{})
		request, response := pair(t, s, radiustest.Interim, 1)
		want, err := radius.Decode(request, radius.Origin{From: nas.Addr(), Owner: "192.0.2.10", Arrived: began})
		if err != nil {
			t.Fatal(err)
		}
		r.ask(request)
		r.answer(response)
		want.Event.Observed = true
		if len(r.events) != 1 || fmt.Sprintf("%+v", r.events[0]) != fmt.Sprintf("%+v", want.Event) {
			t.Errorf("%+v, and actively %+v", r.events, want.Event)
		}
	}
}

func TestRepetitionsChangeNothing(t *testing.T) {
	r := newRig(t, Options{})
	request, response := pair(t, session, radiustest.Start, 7)
	r.ask(request)
	r.ask(request)
	r.answer(response)
	r.answer(response)
	r.ask(request)
	r.answer(response)
	r.want(started)
	r.counted(repeated, 4)
	r.counted(paired, 1)
}

func TestDatagramsThatTheKernelPutTogetherAreTakenApart(t *testing.T) {
	r := newRig(t, Options{})
	other := session
	other.ID = "0002"
	firstRequest, firstResponse := pair(t, session, radiustest.Start, 1)
	secondRequest, secondResponse := pair(t, other, radiustest.Start, 2)
	r.ask(append(slices.Clone(firstRequest), secondRequest...))
	r.answer(append(slices.Clone(firstResponse), secondResponse...))
	r.want(started, "session-start pgw1 0002")
}

func TestRequestsOfOneMomentAreKeptApart(t *testing.T) {
	r := newRig(t, Options{})
	other := session
	other.ID = "0002"
	firstRequest, firstResponse := pair(t, session, radiustest.Start, 1)
	secondRequest, secondResponse := pair(t, other, radiustest.Start, 2)
	thirdRequest, _ := pair(t, session, radiustest.Stop, 1)
	elsewhere := netip.AddrPortFrom(nas.Addr(), 40001)
	r.ask(firstRequest)
	r.ask(secondRequest)
	r.put(elsewhere, server, thirdRequest) // another socket, the same Identifier
	r.answer(secondResponse)
	r.answer(firstResponse)
	r.want("session-start pgw1 0002", started)
}

func TestOnlyTheAuthenticCount(t *testing.T) {
	request, response := pair(t, session, radiustest.Start, 7)
	forged := slices.Clone(request)
	forged[len(forged)-1] ^= 1
	wrong := slices.Clone(response)
	wrong[19] ^= 1
	stranger := netip.MustParseAddrPort("198.51.100.1:40000")
	cfg := Options{Clients: []radius.Client{client}}
	for claim, run := range map[string]func(r *rig) count{
		"a request that somebody changed": func(r *rig) count {
			r.ask(forged)
			r.answer(response)
			return droppedAuthenticator
		},
		"a response that somebody made up": func(r *rig) count {
			r.ask(request)
			r.answer(wrong)
			return droppedResponse
		},
		"a sender that is no client": func(r *rig) count {
			r.put(stranger, server, request)
			r.put(server, stranger, response)
			return droppedClient
		},
		"a response without its request": func(r *rig) count {
			r.answer(response)
			return unmatched
		},
		"another code": func(r *rig) count {
			other := slices.Clone(request)
			other[0] = 1
			r.ask(other)
			return droppedCode
		},
		"a torn packet": func(r *rig) count {
			r.ask(request[:len(request)-1])
			return droppedMalformed
		},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(t, cfg)
			reason := run(r)
			r.want()
			r.counted(reason, 1)
		})
	}
	t.Run("and after a made up response the true one still does", func(t *testing.T) {
		r := newRig(t, cfg)
		r.ask(request)
		r.answer(wrong)
		r.answer(response)
		r.want(started)
	})
	t.Run("a client speaks for its own nodes only", func(t *testing.T) {
		own := client
		own.Nodes = []string{"pgw2"}
		r := newRig(t, Options{Clients: []radius.Client{own}})
		r.ask(request)
		r.answer(response)
		r.want()
		r.counted(droppedNode, 1)
	})
}

func TestAResponseMayBeCapturedFirst(t *testing.T) {
	request, response := pair(t, session, radiustest.Start, 7)
	other, _ := pair(t, session, radiustest.Stop, 7)
	cfg := Options{Clients: []radius.Client{client}}
	t.Run("a moment before", func(t *testing.T) {
		r := newRig(t, cfg)
		r.answer(response)
		r.ask(request)
		r.want(started)
	})
	t.Run("not long before", func(t *testing.T) {
		r := newRig(t, cfg)
		r.answer(response)
		r.now = r.now.Add(2 * early)
		r.ask(request)
		r.want()
	})
	t.Run("not to another request", func(t *testing.T) {
		r := newRig(t, cfg)
		r.answer(response)
		r.ask(other)
		r.want()
	})
	t.Run("not where no secret can tell", func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(response)
		r.ask(request)
		r.want()
	})
}

func TestARestartIsOneEventWithTheNamesOfItsNAS(t *testing.T) {
	r := newRig(t, Options{})
	request, response := pair(t, session, radiustest.Start, 1)
	r.ask(request)
	r.answer(response)
	for id, name := range []string{"", "pgw1"} {
		p, err := radiustest.NodeRequest(radiustest.On, name, nas.Addr(), began, []byte(secret))
		request, response = encoded(t, p, err, byte(2+id))
		r.ask(request)
		r.answer(response)
	}
	r.want(started, "node-restart 192.0.2.10", "node-restart pgw1")
	if ev := r.events[2]; ev.Also != "192.0.2.10" || ev.Owner != "192.0.2.10" || !ev.Time.Equal(began) {
		t.Errorf("%+v", ev)
	}
}

func TestEachAccountingOnThatIsAnsweredCounts(t *testing.T) {
	const timeout = 20 * time.Second
	on := func(id byte) (request, response []byte) {
		p, err := radiustest.NodeRequest(radiustest.On, "pgw1", netip.Addr{}, began, []byte(secret))
		return encoded(t, p, err, id)
	}
	for _, c := range []struct {
		claim string
		after time.Duration
		id    byte
	}{
		{"to the octet, within the timeout", timeout - time.Second, 7},
		{"to the octet, after it", timeout, 7},
		{"with another identifier", time.Second, 8},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newRig(t, Options{Timeout: timeout})
			for n := range byte(20) { // others come before it
				request, response := pair(t, session, radiustest.Start, 100+n)
				r.ask(request)
				r.answer(response)
			}
			r.events = nil
			request, response := on(7)
			r.ask(request)
			r.answer(response)
			r.now = r.now.Add(c.after)
			request, response = on(c.id)
			r.ask(request)
			r.answer(response)
			if len(r.events) != 2 {
				t.Errorf("%d restarts, want 2", len(r.events))
			}
		})
	}
	t.Run("and arrived when it came last, before its answer", func(t *testing.T) {
		r := newRig(t, Options{})
		request, response := on(7)
		r.ask(request)
		r.now = r.now.Add(time.Second)
		last := r.now
		r.ask(request)
		r.answer(response)
		r.answer(response)
		if len(r.events) != 1 || !r.events[0].Arrived.Equal(last) {
			t.Errorf("%+v", r.events)
		}
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	request, response := pair(t, session, radiustest.Start, 7)
	t.Run("in number", func(t *testing.T) {
		r := newRig(t, Options{Pending: 4})
		for port := range uint16(6) {
			r.put(netip.AddrPortFrom(nas.Addr(), 40000+port), server, request)
		}
		r.counted(unanswered, 2)
		r.answer(response) // to the first
		r.want()
		if n := r.open.Len(); n != 4 {
			t.Errorf("%d wait", n)
		}
	})
	t.Run("in time", func(t *testing.T) {
		r := newRig(t, Options{})
		r.ask(request)
		r.now = r.now.Add(time.Minute)
		r.Advance(r.now)
		r.counted(unanswered, 1)
		r.answer(response)
		r.want()
	})
}

// The captures of others lie beside the repository where somebody has put
// them.
const captured = "../../../shared/captures/arkime_radius.pcap"

// TestTheCaptureOfArkimeHasNoNumber: its Calling-Station-Id is a MAC address.
func TestTheCaptureOfArkimeHasNoNumber(t *testing.T) {
	file, err := os.ReadFile(captured)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no captures beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{})
	decoder := wire.NewDecoder()
	for rest := file[24:]; len(rest) >= 16; { // a plain pcap file of a little-endian machine
		length := binary.LittleEndian.Uint32(rest[8:])
		decoder.Decode(&wire.Frame{Time: began, Link: wire.LinkEthernet, Data: rest[16 : 16+length]}, r.Packet)
		rest = rest[16+length:]
	}
	if len(r.events) == 0 {
		t.Fatal("no event came of the capture")
	}
	for _, ev := range r.events {
		if ev.MSISDN != 0 {
			t.Errorf("a number came of %+v", ev)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	p, err := session.Request(radiustest.Start, []byte(secret))
	if err != nil {
		f.Fatal(err)
	}
	request, err := p.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request, []byte{codeResponse, request[1], 0, 20, 19: 0}, true)
	f.Add(request, []byte{codeResponse, request[1], 0, 20, 19: 0}, false)
	f.Fuzz(func(t *testing.T, first, second []byte, swap bool) {
		follower := New(func(ev binding.Event) {
			if !ev.Observed || ev.Owner != nas.Addr().String() && ev.Owner != server.Addr().String() || ev.Node == "" ||
				ev.Kind != binding.NodeRestart && ev.Session == "" {
				t.Errorf("an event that says nothing: %+v", ev)
			}
		}, Options{Pending: 2})
		if swap {
			first, second = second, first
		}
		asked := wire.Packet{Time: began, Src: nas, Dst: server, Payload: first}
		follower.Packet(&asked)
		follower.Packet(&wire.Packet{Time: began, Src: server, Dst: nas, Payload: second})
		follower.Packet(&asked)
		if follower.open.Len() > 2 {
			t.Errorf("%d packets are kept", follower.open.Len())
		}
	})
}

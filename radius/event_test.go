package radius

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3162"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius/radiustest"
)

// encoded is the packet as layeh's implementation writes it.
func encoded(t testing.TB, p *layeh.Packet, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	wire, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// addNumber adds an integer attribute, zero included.
func addNumber(typ layeh.Type, value uint32) func(*layeh.Packet) {
	return func(p *layeh.Packet) { p.Add(typ, binary.BigEndian.AppendUint32(nil, value)) }
}

func decoded(t *testing.T, s radiustest.Session, status radiustest.Status, changes ...func(*layeh.Packet)) Request {
	t.Helper()
	p, err := s.Request(status, []byte("x"))
	for _, change := range changes {
		change(p)
	}
	r, err := Decode(encoded(t, p, err), vectorOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheTimesOfARequestAreWhatItsNASSays(t *testing.T) {
	const start, interim, stop = radiustest.Start, radiustest.Interim, radiustest.Stop
	const month, year = 30 * 24 * 3600, 365 * 24 * 3600
	type attrs = []func(*layeh.Packet)
	stamp := func(seconds uint32) func(*layeh.Packet) { return addNumber(rfc2869.EventTimestamp_Type, seconds) }
	delay := func(seconds uint32) func(*layeh.Packet) { return addNumber(rfc2866.AcctDelayTime_Type, seconds) }
	age := func(seconds uint32) func(*layeh.Packet) { return addNumber(rfc2866.AcctSessionTime_Type, seconds) }
	now := uint32(vectorOrigin.Arrived.Unix())
	for _, c := range []struct {
		claim  string
		status radiustest.Status
		attrs  attrs
		want   string
	}{
		{"without any it tells no time", start, nil, ""},
		{"Event-Timestamp is the time", start, attrs{stamp(now - 10)}, "time=2026-01-02 03:03:55"},
		{"a delay beside it takes nothing off it", start, attrs{stamp(now - 10), delay(5)}, "time=2026-01-02 03:03:55 delay=5s"},
		{"a clock a day ahead is the Registry's to find out", stop, attrs{stamp(now + 25*3600)}, "time=2026-01-03 04:04:05"},
		{"so is one ahead by decades", stop, attrs{stamp(1<<32 - 1)}, "time=2106-02-07 06:28:15"},
		{"so is one years behind", stop, attrs{stamp(secondsOf2000)}, "time=2000-01-01 00:00:00"},
		{"a clock that was never set tells no time", stop, attrs{stamp(secondsOf2000 - 1)}, "notes=bad-timestamp"},
		{"a delay without a timestamp", start, attrs{delay(5)}, "delay=5s"},
		{"a delay of zero is told, too", start, attrs{delay(0)}, "delay=0s"},
		{"a delay of 30 days", start, attrs{delay(month)}, "delay=720h0m0s"},
		{"a longer delay is none", start, attrs{delay(month + 1)}, "notes=bad-delay"},
		{"the age of an interim", interim, attrs{age(60)}, "age=1m0s"},
		{"the age of a stop", stop, attrs{age(60)}, "age=1m0s"},
		{"an age of zero is told, too", stop, attrs{age(0)}, "age=0s"},
		{"but not by a start", start, attrs{age(0)}, ""},
		{"a start that is older tells it", start, attrs{age(7)}, "age=7s"},
		{"a session of two years", interim, attrs{age(2 * year)}, "age=17520h0m0s"},
		{"an age of all ones is none", stop, attrs{age(1<<32 - 1)}, "notes=bad-session-time"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got := decoded(t, radiustest.Session{ID: "abc", NAS: "pgw1", MSISDN: "491701234567"}, c.status, c.attrs...)
			if !got.Event.Arrived.Equal(vectorOrigin.Arrived) {
				t.Errorf("it arrived at %v", got.Event.Arrived)
			}
			got.Event.MSISDN = 0
			want := fmt.Sprint(got.Event.Kind, " node=pgw1 session=abc")
			if c.want != "" {
				want += " " + c.want
			}
			if text := describe(got, nil); text != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
		})
	}
}

func TestWhatATransportMayHaveHeldIsAsLateAsThatAllows(t *testing.T) {
	stamp := addNumber(rfc2869.EventTimestamp_Type, uint32(vectorOrigin.Arrived.Unix()))
	delay := addNumber(rfc2866.AcctDelayTime_Type, 7)
	zero := addNumber(rfc2866.AcctDelayTime_Type, 0)
	type attrs = []func(*layeh.Packet)
	for _, c := range []struct {
		claim   string
		attrs   attrs
		blind   time.Duration // the client's
		delayed bool
		want    time.Duration
	}{
		{"no time", nil, 0, false, 5 * time.Minute},
		{"no time, of a client with its own blind delay", nil, time.Minute, false, time.Minute},
		{"a delay is that of before", attrs{delay}, 0, false, 5*time.Minute + 7*time.Second},
		{"a delay, of a client with its own blind delay", attrs{delay}, time.Minute, false, 67 * time.Second},
		{"a delay of zero says nothing", attrs{zero}, 0, false, 5 * time.Minute},
		{"a stamp says it", attrs{stamp}, 0, false, 0},
		{"a stamp beside a delay says it", attrs{stamp, delay}, 0, true, 0},
	} {
		t.Run(c.claim, func(t *testing.T) {
			p, err := radiustest.Session{ID: "abc", NAS: "pgw1"}.Request(radiustest.Interim, []byte("x"))
			for _, change := range c.attrs {
				change(p)
			}
			o := vectorOrigin
			o.BlindDelay, o.Held = c.blind, 5*time.Minute
			got, err := Decode(encoded(t, p, err), o)
			if err != nil {
				t.Fatal(err)
			}
			ev := got.Event
			if ev.Blind != c.want || ev.Delayed != c.delayed || !ev.Delayed && ev.Delay != 0 {
				t.Errorf("blind %v, delay %v %v", ev.Blind, ev.Delay, ev.Delayed)
			}
		})
	}
}

func TestHowARequestNamesItsNAS(t *testing.T) {
	four, six := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	with6 := func(p *layeh.Packet) {
		if err := rfc3162.NASIPv6Address_Set(p, six.AsSlice()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		claim      string
		id         string
		addr       netip.Addr
		change     func(*layeh.Packet)
		node, also string
	}{
		{"an identifier alone", "pgw1", netip.Addr{}, nil, "pgw1", ""},
		{"an identifier beside an address", "pgw1", four, nil, "pgw1", "198.51.100.7"},
		{"an identifier beside an IPv6 address", "pgw1", six, nil, "pgw1", "2001:db8::7"},
		{"an identifier beside both: the IPv4 address", "pgw1", four, with6, "pgw1", "198.51.100.7"},
		{"an address alone", "", four, nil, "198.51.100.7", ""},
		{"an IPv6 address alone", "", six, nil, "2001:db8::7", ""},
		{"both addresses", "", four, with6, "198.51.100.7", "2001:db8::7"},
		{"nothing: the address that sent it", "", netip.Addr{}, nil, "192.0.2.10", ""},
		{"an identifier that is the address", "198.51.100.7", four, nil, "198.51.100.7", ""},
		{"0.0.0.0 names nobody", "pgw1", netip.IPv4Unspecified(), nil, "pgw1", ""},
		{"nor beside an IPv6 address", "pgw1", netip.IPv4Unspecified(), with6, "pgw1", "2001:db8::7"},
		{"an identifier that cannot be shown", "pgw\x01", four, nil, "0x70677701", "198.51.100.7"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			var changes []func(*layeh.Packet)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			ev := decoded(t, radiustest.Session{ID: "abc", NAS: c.id, NASAddr: c.addr}, radiustest.Interim, changes...).Event
			if ev.Node != c.node || ev.Also != c.also {
				t.Errorf("node %q, also %q; want %q, %q", ev.Node, ev.Also, c.node, c.also)
			}
		})
	}
}

func TestARestartTellsItsTimesLikeAnyOther(t *testing.T) {
	for _, status := range []radiustest.Status{radiustest.On, radiustest.Off} {
		at := vectorOrigin.Arrived.Add(time.Hour).Truncate(time.Second)
		p, err := radiustest.NodeRequest(status, "pgw1", netip.MustParseAddr("198.51.100.7"), at, []byte("x"))
		addNumber(rfc2866.AcctDelayTime_Type, 3)(p)
		addNumber(rfc2866.AcctSessionTime_Type, 9)(p)
		origin := vectorOrigin
		origin.Owner, origin.BlindDelay = "pair", time.Minute
		got, err := Decode(encoded(t, p, err), origin)
		if err != nil {
			t.Fatal(err)
		}
		want := binding.Event{
			Kind: binding.NodeRestart, Source: binding.SourceRADIUS, Owner: "pair", Node: "pgw1", Also: "198.51.100.7",
			Arrived: origin.Arrived, Time: at, Delay: 3 * time.Second, Delayed: true, Blind: time.Minute,
		}
		if fmt.Sprint(got.Event) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got.Event, want)
		}
	}
}

func TestAStartThatNamesNobodyHasNoIdentityAtAll(t *testing.T) {
	nobody := radiustest.Session{ID: "abc", NAS: "pgw1", APN: "internet", IPv4: netip.MustParseAddr("10.45.0.7")}
	for _, c := range []struct {
		claim  string
		change func(*layeh.Packet)
	}{
		{"it has no identity", func(*layeh.Packet) {}},
		{"its number is a MAC address", func(p *layeh.Packet) { p.Add(31, layeh.Attribute("00-10-A4-23-19-C0")) }},
		{"its number is empty", func(p *layeh.Packet) { p.Add(31, layeh.Attribute{}) }},
		{"it has two numbers", func(p *layeh.Packet) {
			p.Add(31, layeh.Attribute("491701234567"))
			p.Add(31, layeh.Attribute("491701234568"))
		}},
		{"its IMSI is none", func(p *layeh.Packet) {
			if err := radiustest.AddVendor(p, radiustest.IMSI, []byte("00101x")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := decoded(t, nobody, radiustest.Start, c.change)
			if ev := r.Event; ev.MSISDN != 0 || ev.IMSI != 0 || ev.IMEI != 0 || !r.Notes.Has(NoteNoIdentity) {
				t.Errorf("%+v, %s", ev, r.Notes)
			}
		})
	}
}

package radius

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius/radiustest"
)

func digits(r *rand.Rand, first string, n int) string {
	var b strings.Builder
	b.WriteString(first)
	for b.Len() < n {
		b.WriteByte('0' + byte(r.IntN(10)))
	}
	return b.String()
}

// randomSession is a session with every identity of a length that may occur.
func randomSession(r *rand.Rand, msisdnLen int) radiustest.Session {
	v6 := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	return radiustest.Session{
		ID: fmt.Sprintf("%x", r.Uint64()), NAS: fmt.Sprintf("pgw%d", r.IntN(100)), APN: "internet",
		MSISDN: digits(r, fmt.Sprint(1+r.IntN(9)), msisdnLen),
		IMSI:   digits(r, strings.Repeat("0", r.IntN(4)), 14+r.IntN(2)),
		IMEISV: digits(r, strings.Repeat("0", r.IntN(3)), 14+r.IntN(3)),
		IPv4:   netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(1 + r.IntN(250))}),
		IPv6:   netip.PrefixFrom(v6, 64).Masked(),
		NSAPI:  fmt.Sprintf("%X", 5+r.IntN(11)), RAT: byte(1 + r.IntN(10)),
		Time: time.Unix(1767323040-int64(r.IntN(1e6)), 0),
	}
}

// What an independent encoder was given is what comes out.
func TestLayehSessionsComeOutAsTheyWentIn(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 5000 {
		s := randomSession(r, 5+i%11)
		given := s.MSISDN
		s.MSISDN = []string{"", "+", "00"}[r.IntN(3)] + given
		p, err := s.Request(radiustest.Start, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		wire, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(append(wire, 0, 0, 0), vectorOrigin)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		ev := got.Event
		var nsapi uint
		fmt.Sscanf(s.NSAPI, "%X", &nsapi)
		want := binding.Event{
			Kind: binding.SessionStart, Source: binding.SourceRADIUS, Node: s.NAS, Session: s.ID, Time: s.Time.UTC(),
			Arrived: vectorOrigin.Arrived, APN: s.APN, RAT: binding.RAT(s.RAT), Complete: true, Contexts: 1 << nsapi,
			MSISDN: ev.MSISDN, IMSI: ev.IMSI, IMEI: ev.IMEI,
			Addrs: []binding.Address{{Prefix: netip.PrefixFrom(s.IPv4, 32)}, {Prefix: s.IPv6}},
		}
		if !reflect.DeepEqual(ev, want) {
			t.Fatalf("got %+v\nwant %+v", ev, want)
		}
		if ev.MSISDN.String() != "+"+given || ev.IMSI.String() != s.IMSI || ev.IMEI.String() != s.IMEISV {
			t.Fatalf("%+v became %s %s %s", s, ev.MSISDN, ev.IMSI, ev.IMEI)
		}
		if got.Notes != 0 {
			t.Fatalf("%+v: %s", s, got.Notes)
		}
	}
}

func TestPrefixesToStripAreConfigured(t *testing.T) {
	for _, c := range []struct {
		claim, text string
		strip       []string
		want        string
	}{
		{"the default takes off a plus", "+491701234567", nil, "+491701234567"},
		{"the default takes off 00", "00491701234567", nil, "+491701234567"},
		{"the default takes off only one prefix", "+00491701234567", nil, ""},
		{"an empty list takes off nothing", "00491701234567", []string{}, ""},
		{"a type of number before the digits", "19491701234567", []string{"19"}, "+491701234567"},
		{"the first that fits is taken", "tel:+491701234567", []string{"tel:+", "tel:"}, "+491701234567"},
		{"no country is guessed", "01701234567", nil, ""},
		{"four digits are too few", "+4917", nil, ""},
		{"sixteen digits are too many", "4917012345678901", nil, ""},
		{"a MAC address with colons", "00:10:a4:23:19:c0", nil, ""},
		{"a MAC address with dots", "0010.a423.19c0", nil, ""},
		{"a MAC address of decimal digits with hyphens", "00-10-14-23-19-10", nil, ""},
		{"blanks", "49170 1234567", nil, ""},
		{"a prefix alone", "00", nil, ""},
		{"something long", strings.Repeat("4", 200), nil, ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got, ok := parseMSISDN([]byte(c.text), c.strip)
			if got.String() != c.want || ok != (c.want != "") {
				t.Errorf("parseMSISDN(%q, %q) = %v, %v, want %q", c.text, c.strip, got, ok, c.want)
			}
		})
	}
}

func TestDecodeKeepsNothingOfThePacket(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range files {
		for _, v := range readVectors(t, name) {
			buffer := append([]byte(nil), v.packet...)
			o := vectorOrigin
			o.names = newNames()
			got, err := Decode(buffer, o)
			for i := range buffer {
				buffer[i] = 0xA5
			}
			if after := describe(got, err); after != v.want {
				t.Errorf("%s: after the buffer was overwritten\n got %s\nwant %s", v.where, after, v.want)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, name := range files {
		for _, v := range readVectors(f, name) {
			f.Add(v.packet)
		}
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := string(datagram)
		got, err := Decode(datagram, vectorOrigin)
		if string(datagram) != before {
			t.Fatal("the packet was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(got, Request{}) {
				t.Fatalf("%+v with error %v", got, err)
			}
			return
		}
		checkRequest(t, got)
		text := describe(got, nil)
		for i := range datagram {
			datagram[i] = ^datagram[i]
		}
		if after := describe(got, nil); after != text {
			t.Fatalf("%s became %s", text, after)
		}
	})
}

// checkRequest checks what holds for every request.
func checkRequest(t *testing.T, r Request) {
	t.Helper()
	ev := r.Event
	ofSession := ev.Kind == binding.SessionStart || ev.Kind == binding.SessionUpdate || ev.Kind == binding.SessionStop
	if ev.Node == "" || ev.Also == ev.Node || ofSession && ev.Session == "" || ev.Lease < 0 ||
		!ev.Arrived.Equal(vectorOrigin.Arrived) {
		t.Fatalf("%+v", ev)
	}
	if !ev.Time.IsZero() && ev.Time.Year() < 2000 || ev.Delay < 0 || ev.Delay > maxDelay || ev.Delay > 0 && !ev.Delayed {
		t.Fatalf("time %v, delay %v", ev.Time, ev.Delay)
	}
	if ev.Age < 0 || ev.Age > maxAge || ev.Age > 0 && !ev.Aged || ev.Aged && !ofSession {
		t.Fatalf("age %v of %v", ev.Age, ev.Kind)
	}
	if len(ev.Addrs) > maxAddresses || len(ev.Gone) > maxAddresses || ev.Complete && len(ev.Addrs) == 0 {
		t.Fatalf("addresses %v", ev)
	}
	for _, a := range append(ev.Addrs, ev.Gone...) {
		canonical, err := binding.NewAddress(a.Prefix)
		if err != nil || canonical.Prefix != a.Prefix || a.PortLow > a.PortHigh {
			t.Fatalf("address %v: %v", a, err)
		}
	}
}

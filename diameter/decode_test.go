package diameter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func digits(r *rand.Rand, first string, n int) string {
	var b strings.Builder
	b.WriteString(first)
	for b.Len() < n {
		b.WriteByte('0' + byte(r.IntN(10)))
	}
	return b.String()
}

// randomAttach is an initial request with every identity of a length that may
// occur.
func randomAttach(r *rand.Rand, msisdnLen int) ccr {
	v6 := func(bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), bits).Masked()
	}
	c := ccr{
		session: fmt.Sprintf("pgw%d.lab;%d;%x", r.IntN(9), r.Uint32(), r.Uint64()), host: fmt.Sprintf("pgw%d.lab", r.IntN(9)), realm: "lab",
		kind: 1 + r.IntN(2), number: r.IntN(9), apn: "internet", msisdn: digits(r, fmt.Sprint(1+r.IntN(9)), msisdnLen),
		imsi: digits(r, strings.Repeat("0", r.IntN(4)), 14+r.IntN(2)), subscriptionLast: r.IntN(2) == 0,
		imeisv: digits(r, strings.Repeat("0", r.IntN(3)), 14+r.IntN(3)), imeisvTGPP: r.IntN(2) == 0,
		ipv4: netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(1 + r.IntN(250))}),
		rat:  1000 + r.IntN(5), ipcan: 5, originState: 1 + r.Uint32N(1e9), hopByHop: r.Uint32(), endToEnd: r.Uint32(),
		stamp: time.Unix(1767323040-int64(r.IntN(1e6)), 0),
	}
	for range r.IntN(3) {
		c.ipv6 = append(c.ipv6, v6(64))
	}
	for range r.IntN(2) {
		c.delegated = append(c.delegated, v6(56))
	}
	return c
}

// What an independent encoder was given is what comes out.
func TestGoDiameterRequestsComeOutAsTheyWentIn(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	o := vectorOrigin
	o.store = newStore()
	for i := range 5000 {
		c := randomAttach(r, 5+i%11)
		given := c.msisdn
		c.msisdn = []string{"", "+", "00"}[r.IntN(3)] + given
		got, err := Decode(c.encode(t), o)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		ev := got.Event
		want := binding.Event{
			Kind: binding.SessionStart, Source: binding.SourceGx, Node: c.host, Session: c.session, Time: c.stamp.UTC(),
			Arrived: o.Arrived, Order: uint32(c.number) + 1, OriginState: c.originState, APN: c.apn, RAT: rats[uint32(c.rat)], Complete: true, MSISDN: ev.MSISDN, IMSI: ev.IMSI, IMEI: ev.IMEI,
			Addrs: []binding.Address{{Prefix: netip.PrefixFrom(c.ipv4, 32)}},
		}
		if c.kind == requestUpdate {
			want.Kind = binding.SessionUpdate
		}
		for _, p := range append(c.ipv6, c.delegated...) {
			want.Addrs = append(want.Addrs, binding.Address{Prefix: p})
		}
		if !reflect.DeepEqual(ev, want) {
			t.Fatalf("got %+v\nwant %+v", ev, want)
		}
		if ev.MSISDN.String() != "+"+given || ev.IMSI.String() != c.imsi || ev.IMEI.String() != c.imeisv {
			t.Fatalf("%+v became %s %s %s", c, ev.MSISDN, ev.IMSI, ev.IMEI)
		}
		if got.Notes != 0 || got.HopByHop != c.hopByHop || got.EndToEnd != c.endToEnd {
			t.Fatalf("%+v became %+v", c, got)
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
		{"no country is guessed", "01701234567", nil, ""},
		{"four digits are too few", "+4917", nil, ""},
		{"sixteen digits are too many", "4917012345678901", nil, ""},
		{"a SIP URI", "sip:+491701234567@ims", nil, ""},
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

func TestDecodeKeepsNothingOfTheMessage(t *testing.T) {
	for _, v := range allVectors(t) {
		for _, s := range []*store{nil, newStore()} {
			buffer := append([]byte(nil), v.message...)
			o := vectorOrigin
			o.store = s
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

// A store shares chunks between events, so no event may reach into another's.
func TestEventsOfOneStoreAreApart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	o := vectorOrigin
	o.store = newStore()
	var events []Request
	var texts []string
	for range 1000 {
		c := randomAttach(r, 12)
		got, err := Decode(c.encode(t), o)
		if err != nil {
			t.Fatal(err)
		}
		if cap(got.Event.Addrs) > len(c.ipv6)+len(c.delegated)+1 {
			t.Fatalf("a list of addresses has room for %d, which belongs to others", cap(got.Event.Addrs))
		}
		events, texts = append(events, got), append(texts, describe(got, nil))
	}
	for i, r := range events {
		if describe(r, nil) != texts[i] {
			t.Fatalf("event %d changed to %s, was %s", i, describe(r, nil), texts[i])
		}
	}
}

func TestDecodingAllocatesNothingPerRequest(t *testing.T) {
	m := frame(attach().encode(t))
	o := vectorOrigin
	o.store = newStore()
	var f fields
	var r Request
	if n := testing.AllocsPerRun(2000, func() {
		if f.collect(m) != nil || r.decode(m, &f, &o) != nil {
			t.Fatal("not decoded")
		}
	}); n >= 1 {
		t.Errorf("%v allocations a request", n)
	}
}

func TestAnswers(t *testing.T) {
	build := func(flags byte, body func([]byte) []byte) []byte {
		return endMessage(body(appendHeader(nil, flags, cmdCreditControl, appGx, 7, 9)), 0)
	}
	experimental := func(code uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			return appendAVP(b, avpExperimentalResult, appendUint32(appendUint32(nil, avpVendorID, vendor3GPP), avpExperimentalCode, code))
		}
	}
	for _, c := range []struct {
		claim   string
		message []byte
		want    Answer
		success bool
		err     bool
	}{
		{"success", build(0, func(b []byte) []byte { return appendUint32(b, avpResultCode, 2001) }), Answer{HopByHop: 7, EndToEnd: 9, Result: 2001}, true, false},
		{"limited success", build(0, func(b []byte) []byte { return appendUint32(b, avpResultCode, 2002) }), Answer{HopByHop: 7, EndToEnd: 9, Result: 2002}, true, false},
		{"too busy", build(flagError, func(b []byte) []byte { return appendUint32(b, avpResultCode, 3004) }), Answer{HopByHop: 7, EndToEnd: 9, Result: 3004}, false, false},
		{"a result of 3GPP", build(0, experimental(5140)), Answer{HopByHop: 7, EndToEnd: 9, Result: 5140}, false, false},
		{"no result at all is no success", build(0, func(b []byte) []byte { return b }), Answer{HopByHop: 7, EndToEnd: 9, Result: 0}, false, false},
		{"a request is no answer", build(flagRequest, func(b []byte) []byte { return appendUint32(b, avpResultCode, 2001) }), Answer{}, false, true},
		{"two results that differ", build(0, func(b []byte) []byte {
			return appendUint32(appendUint32(b, avpResultCode, 2001), avpResultCode, 5012)
		}), Answer{}, false, true},
	} {
		t.Run(c.claim, func(t *testing.T) {
			got, err := DecodeAnswer(c.message)
			if got != c.want || got.Success() != c.success || errors.Is(err, ErrMalformed) != c.err {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range allVectors(f) {
		f.Add(v.message)
	}
	for _, h := range hostileShapes() {
		f.Add(h.message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		before := string(message)
		o := vectorOrigin
		o.store = newStore()
		got, err := Decode(message, o)
		if string(message) != before {
			t.Fatal("the message was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) || !reflect.DeepEqual(got, Request{}) {
				t.Fatalf("%+v with error %v", got, err)
			}
			checkFault(t, err)
			return
		}
		checkRequest(t, got)
		text := describe(got, nil)
		for i := range message {
			message[i] = ^message[i]
		}
		if after := describe(got, nil); after != text {
			t.Fatalf("%s became %s", text, after)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(endMessage(appendUint32(appendHeader(nil, 0, cmdCreditControl, appGx, 7, 9), avpResultCode, 2001), 0))
	for _, h := range hostileShapes() {
		f.Add(h.message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if got, err := DecodeAnswer(message); err != nil && (!errors.Is(err, ErrMalformed) || got != Answer{}) {
			t.Fatalf("%+v with error %v", got, err)
		}
	})
}

// checkFault checks that what an answer would say of a fault is itself in
// order.
func checkFault(t *testing.T, err error) {
	t.Helper()
	var fault *fault
	if !errors.As(err, &fault) || len(fault.failed) == 0 {
		return
	}
	w := newWalk()
	if a, rest, err := w.next(fault.failed); err != nil || len(rest) > 0 || len(a.raw) > maxFailed || len(fault.failed)%4 != 0 {
		t.Fatalf("Failed-AVP %x of %v: %v", fault.failed, fault, err)
	}
}

// checkRequest checks what holds for every request.
func checkRequest(t *testing.T, r Request) {
	t.Helper()
	ev := r.Event
	if ev.Kind < binding.SessionStart || ev.Kind > binding.SessionStop || ev.Node == "" || ev.Session == "" || !ev.Arrived.Equal(vectorOrigin.Arrived) {
		t.Fatalf("%+v", ev)
	}
	if len(ev.Addrs) > maxAddresses || len(ev.Gone) > maxAddresses || ev.Complete && len(ev.Addrs) == 0 || len(ev.Addrs) > 0 && len(ev.Gone) > 0 {
		t.Fatalf("addresses %v", ev)
	}
	for _, a := range append(append([]binding.Address(nil), ev.Addrs...), ev.Gone...) {
		if canonical, err := binding.NewAddress(a.Prefix); err != nil || canonical != a {
			t.Fatalf("address %v: %v", a, err)
		}
	}
}

func TestDevicesOfAnExtension(t *testing.T) {
	old := appendAVP(nil, avpEquipment, append(appendUint32(nil, avpEquipmentType, equipmentIMEISV), appendAVP(nil, avpEquipmentValue, "3569380300000017")...))
	extension := func(code uint32, value string) []byte {
		return appendAVP(nil, avpEquipmentExtension, appendAVP(nil, code, value))
	}
	for name, c := range map[string]struct {
		avps  [][]byte
		imei  string
		notes Notes
	}{
		"an IMEISV is read":                        {[][]byte{extension(avpEquipmentIMEISV, "3569380300000024")}, "3569380300000024", 0},
		"an IMEI is read":                          {[][]byte{extension(avpEquipmentIMEI, "356938030000002")}, "356938030000002", 0},
		"a MAC address is no device of ours":       {[][]byte{extension(655, "356938030000002")}, "", 0},
		"what it says beside the old AVP is less":  {[][]byte{extension(avpEquipmentIMEI, "356938030000001"), old}, "3569380300000017", 0},
		"two that differ are none":                 {[][]byte{extension(avpEquipmentIMEI, "356938030000001"), extension(avpEquipmentIMEI, "356938030000002")}, "", NoteConflict | NoteBadIMEI},
		"one that is no IMEI is told":              {[][]byte{extension(avpEquipmentIMEI, "x")}, "", NoteBadIMEI},
		"one within another vendor's space is not": {[][]byte{appendAVP(nil, avpEquipmentExtension, octetsOfVendor(avpEquipmentIMEI, "356938030000001"))}, "", 0},
	} {
		b := appendHeader(nil, flagRequest, cmdCreditControl, appGx, 1, 1)
		b = appendAVP(b, avpSessionID, "s;1")
		b = appendAVP(b, avpOriginHost, "pgw1.lab")
		b = appendUint32(b, avpRequestType, requestInitial)
		for _, a := range c.avps {
			b = append(b, a...)
		}
		got, err := Decode(endMessage(b, 0), vectorOrigin)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if imei := got.Event.IMEI; imei != 0 && imei.String() != c.imei || imei == 0 && c.imei != "" || got.Notes&^NoteNoIdentity != c.notes {
			t.Errorf("%s: %q, notes %v", name, imei, got.Notes)
		}
	}
}

// octetsOfVendor is an AVP of a vendor that we do not know.
func octetsOfVendor(code uint32, value string) []byte {
	a := appendAVP(nil, code, value)
	b := append([]byte{}, a[:8]...)
	b = append(append(b, 0, 0, 0x27, 0x0F), a[8:]...)
	b[4] |= 0x80
	b[7] += 4
	return b
}

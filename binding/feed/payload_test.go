package feed

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/simbind/simbind/binding"
)

const schemaFile = "../../docs/schema/change.v1.json"

// A schema judges payloads as consumers would, and strictly: no member may be
// missing from it.
type schema struct {
	schema  *jsonschema.Schema
	members map[string]any
}

func loadSchema(t testing.TB) schema {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return schema{compiled, doc.Properties}
}

func (s schema) check(t testing.TB, payload []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	if err := s.schema.Validate(doc); err != nil {
		t.Errorf("%s: %v", payload, err)
	}
	for name := range doc.(map[string]any) {
		if s.members[name] == nil {
			t.Errorf("member %q is not in the schema", name)
		}
	}
}

var (
	was    = binding.Subscriber{MSISDN: 491700000002, IMSI: imsi("001010000000002"), IMEI: imei("35349006987331")}
	now    = binding.Subscriber{MSISDN: 491700000001, IMSI: imsi("001010000000001"), IMEI: imei("3534900698733190")}
	clear1 = encoder{site: "lab", incarnation: "abc", privacy: Clear}
)

func TestPayload(t *testing.T) {
	block := prefix(t, "192.0.2.7/32")
	block.PortLow, block.PortHigh = 1024, 2047
	head := `{"v":1,"site":"lab","incarnation":"abc","seq":7,`
	times := `"at":"2026-03-01T10:00:00.125Z","event_time":"2026-03-01T10:00:00.125Z",`
	cases := []struct {
		name   string
		change binding.Change
		want   string
	}{
		{"a bound address carries its holder", binding.Change{
			Seq: 7, Kind: binding.Bound, At: testTime, EventTime: testTime, Domain: "internet", Addr: prefix(t, "10.45.0.7/32"),
			Now: now, APN: "internet", RAT: 6, Node: "pgw1", Sources: binding.SourceSet(0).Add(binding.SourceRADIUS).Add(binding.SourceGx), Why: "start",
		}, head + `"kind":"bound",` + times + `"domain":"internet","addr":"10.45.0.7","msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","apn":"internet","rat":"eutran","node":"pgw1","sources":["gx","radius"],"why":"start"}`},
		{"a moved address carries the former holder", binding.Change{
			Seq: 7, Kind: binding.Moved, At: testTime, EventTime: testTime, Domain: "d", Addr: prefix(t, "10.45.0.7/32"), Now: now, Was: was, Why: "start",
		}, head + `"kind":"moved",` + times + `"domain":"d","addr":"10.45.0.7","msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","was":{"msisdn":"+491700000002","imsi":"001010000000002","imei":"35349006987331"},"sources":[],"why":"start"}`},
		{"a released address has no holder, and a prefix its length", binding.Change{
			Seq: 7, Kind: binding.Released, At: testTime, EventTime: testTime, Domain: "d", Addr: prefix(t, "2001:db8:cafe:1::/64"), Was: binding.Subscriber{IMSI: was.IMSI}, Why: "stop",
		}, head + `"kind":"released",` + times + `"domain":"d","addr":"2001:db8:cafe:1::/64","was":{"imsi":"001010000000002"},"sources":[],"why":"stop"}`},
		{"a port block stands beside its address", binding.Change{
			Seq: 7, Kind: binding.Updated, At: testTime, EventTime: testTime, Domain: "d", Addr: block, Now: now, Why: "update",
		}, head + `"kind":"updated",` + times + `"domain":"d","addr":"192.0.2.7","ports":[1024,2047],"msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","sources":[],"why":"update"}`},
		{"a changed SIM has no address", binding.Change{
			Seq: 7, Kind: binding.SIMChange, At: testTime, EventTime: testTime, Now: now, Was: was, Why: "sim",
		}, head + `"kind":"simchange",` + times + `"msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","was":{"msisdn":"+491700000002","imsi":"001010000000002","imei":"35349006987331"},"sources":[],"why":"sim"}`},
		{"a conflict may have no time of its own", binding.Change{
			Seq: 7, Kind: binding.Conflict, At: testTime.In(time.FixedZone("CET", 3600)), EventTime: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), Domain: "d", Addr: prefix(t, "10.0.0.1/32"), Now: now, Was: was, Why: "start",
		}, head + `"kind":"conflict","at":"2026-03-01T10:00:00.125Z","domain":"d","addr":"10.0.0.1","msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","was":{"msisdn":"+491700000002","imsi":"001010000000002","imei":"35349006987331"},"sources":[],"why":"start"}`},
	}
	schema := loadSchema(t)
	kinds := map[binding.ChangeKind]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			kinds[c.change.Kind] = true
			got := clear1.appendChange(nil, &c.change)
			if string(got) != c.want {
				t.Errorf("payload\n got %s\nwant %s", got, c.want)
			}
			schema.check(t, got)
		})
	}
	if len(kinds) != int(binding.SIMChange) {
		t.Errorf("%d of %d kinds are covered", len(kinds), binding.SIMChange)
	}
}

func TestPrivacy(t *testing.T) {
	c := binding.Change{Seq: 1, Kind: binding.Moved, At: testTime, Domain: "d", Addr: prefix(t, "10.0.0.1/32"), Now: now, Was: was, Why: "start"}
	cases := []struct{ name, mode, now, was string }{
		{"clear shows the number", Clear, "+491700000001", "+491700000002"},
		// printf %s +491700000001 | sha256sum
		{"sha256 shows its hash", SHA256, "f2d6da66223ad9d19fdbb204c4e5851c9a749bc204368272b127736ac792c73d", "25705c0813d28091f87a335b91a727c3d8d440ba3784867b58db8194bee55635"},
		{"none shows nothing", None, "", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			e := encoder{site: "lab", incarnation: "abc", privacy: tc.mode}
			payload := e.appendChange(nil, &c)
			loadSchema(t).check(t, payload)
			var got struct {
				MSISDN, IMSI, IMEI string
				Was                struct{ MSISDN, IMSI, IMEI string }
			}
			if err := json.Unmarshal(payload, &got); err != nil {
				t.Fatal(err)
			}
			if got.MSISDN != tc.now || got.Was.MSISDN != tc.was {
				t.Errorf("numbers %q and %q, want %q and %q", got.MSISDN, got.Was.MSISDN, tc.now, tc.was)
			}
			if tc.mode != Clear && strings.Contains(string(payload), "49170000000") {
				t.Errorf("a number is in clear: %s", payload)
			}
			if got.IMSI != "001010000000001" || got.IMEI != "3534900698733190" || got.Was.IMSI != "001010000000002" {
				t.Errorf("the setting is about numbers, SIM and device stay: %s", payload)
			}
		})
	}
}

// FuzzPayload: whatever the network calls things, the payload is valid JSON
// that says it, read by encoding/json.
func FuzzPayload(f *testing.F) {
	f.Add("internet", "pgw1", "start", uint64(1), int64(0), uint64(491700000001), uint8(1))
	f.Add("a\"b\\c\x00\x1f\x7f<>&\u2028", "\xff\xfe", "\xed\xa0\x80", ^uint64(0), int64(-1), uint64(0), uint8(6))
	f.Fuzz(func(t *testing.T, apn, node, why string, seq uint64, ms int64, number uint64, kind uint8) {
		c := binding.Change{
			Seq: seq, Kind: binding.ChangeKind(kind), At: time.UnixMilli(ms), EventTime: time.UnixMilli(-ms),
			APN: apn, Node: node, Why: why, Now: binding.Subscriber{MSISDN: binding.MSISDN(number)}, Was: was,
		}
		payload := clear1.appendChange([]byte("before"), &c)
		payload, ok := bytes.CutPrefix(payload, []byte("before"))
		if !ok || !utf8.Valid(payload) {
			t.Fatalf("not appended, or not UTF-8: %q", payload)
		}
		var got struct {
			V                       int
			Seq                     uint64
			Site, Incarnation, Kind string
			APN, Node, Why, MSISDN  string
			At                      time.Time
			Was                     struct{ MSISDN, IMSI, IMEI string }
			EventTime               any `json:"event_time"`
			Domain, Addr, Ports     any
			Sources                 []string
		}
		d := json.NewDecoder(bytes.NewReader(payload))
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		if got.V != 1 || got.Seq != seq || got.Kind != c.Kind.String() || got.MSISDN != c.Now.MSISDN.String() ||
			got.APN != valid(apn) || got.Node != valid(node) || got.Why != valid(why) || got.Was.IMSI != was.IMSI.String() {
			t.Fatalf("%q: decoded as %+v", payload, got)
		}
		if !got.At.IsZero() && !got.At.Equal(time.UnixMilli(ms)) {
			t.Fatalf("at %v, want %v", got.At, time.UnixMilli(ms))
		}
	})
}

// valid is s as JSON can say it, by encoding/json.
func valid(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	var out string
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func TestTimesAreThoseOfTheStandardLibrary(t *testing.T) {
	var s second
	for _, at := range []time.Time{
		testTime, testTime.Add(time.Millisecond), testTime.Add(-time.Second), testTime.In(time.FixedZone("CET", 3600)),
		time.Unix(0, 0), time.Unix(0, 7e6), time.Unix(-1, 999999999), time.Unix(firstSecond, 1e6), time.Unix(lastSecond, 999e6), testTime,
	} {
		if got, want := string(s.appendTime(nil, `"`, at)), at.UTC().Format(`"2006-01-02T15:04:05.000Z"`); got != want {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
	for _, at := range []time.Time{{}, time.Unix(firstSecond-1, 0), time.Unix(lastSecond+1, 0)} {
		if got := s.appendTime(nil, `"`, at); len(got) != 0 {
			t.Errorf("%v: %s", at, got)
		}
	}
}

func TestNothingAliasesTheChange(t *testing.T) {
	c := change(7)
	payload := clear1.appendChange(nil, &c)
	before := string(payload)
	c = change(8)
	if string(payload) != before {
		t.Error("the payload changed with the change")
	}
}

func BenchmarkPayload(b *testing.B) {
	c := change(7)
	buf := clear1.appendChange(nil, &c)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = clear1.appendChange(buf[:0], &c)
	}
}

// BenchmarkPayloadStdlib is what encoding/json needs for the same text.
func BenchmarkPayloadStdlib(b *testing.B) {
	var doc struct {
		V           int       `json:"v"`
		Site        string    `json:"site"`
		Incarnation string    `json:"incarnation"`
		Seq         uint64    `json:"seq"`
		Kind        string    `json:"kind"`
		At          timestamp `json:"at"`
		EventTime   timestamp `json:"event_time"`
		Domain      string    `json:"domain"`
		Addr        string    `json:"addr"`
		MSISDN      string    `json:"msisdn"`
		IMSI        string    `json:"imsi"`
		IMEI        string    `json:"imei"`
		APN         string    `json:"apn"`
		RAT         string    `json:"rat"`
		Node        string    `json:"node"`
		Sources     []string  `json:"sources"`
		Why         string    `json:"why"`
	}
	c := change(7)
	want := clear1.appendChange(nil, &c)
	b.ReportAllocs()
	for b.Loop() {
		doc.V, doc.Site, doc.Incarnation, doc.Seq, doc.Kind = 1, "lab", "abc", c.Seq, c.Kind.String()
		doc.At, doc.EventTime, doc.Domain, doc.Addr = timestamp(c.At), timestamp(c.EventTime), c.Domain, c.Addr.String()
		doc.MSISDN, doc.IMSI, doc.IMEI = c.Now.MSISDN.String(), c.Now.IMSI.String(), c.Now.IMEI.String()
		doc.APN, doc.RAT, doc.Node, doc.Sources, doc.Why = c.APN, c.RAT.String(), c.Node, c.Sources.Names(), c.Why
		got, err := json.Marshal(&doc)
		if err != nil {
			b.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			b.Fatalf("\n got %s\nwant %s", got, want)
		}
	}
}

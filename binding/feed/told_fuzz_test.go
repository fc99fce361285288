package feed

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/simbind/simbind/binding"
)

// FuzzTold: whatever another site tells, as a change, a row of its snapshot, an
// answer or a heartbeat, either is refused or becomes an event of that site that
// claims one address, names nobody who was not named, and keeps nothing of the
// message's buffer.
func FuzzTold(f *testing.F) {
	enc := encoder{site: "north", incarnation: "abc", privacy: Clear}
	for seq := range uint64(8) {
		c := change(seq + 1)
		c.State, c.Reason = binding.StateStale, binding.ReasonLease
		f.Add(enc.appendChange(nil, &c))
	}
	f.Add([]byte(`{"state":"ambiguous","reason":"conflict","domain":"d","addr":"2001:db8::/64","since":"2026-01-01T00:00:00Z","version":7}`))
	f.Add([]byte(`{"v":1,"site":"north","incarnation":"i","kind":"bound","seq":1,"domain":"d","addr":"10.0.0.1","ports":[1024,2047],"msisdn":"+491700000001"}`))
	f.Add([]byte(`{"v":1,"site":"north","incarnation":"i","seq":3,"pools":[{"domain":"d","prefixes":["10.0.0.0/8"]}],"member":"a","term":3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		buffer := bytes.Clone(data)
		var told []binding.Event
		if c, err := parseChange("north", buffer); err == nil {
			if c.Site != "north" || c.Seq == 0 {
				t.Fatalf("a change of %q, number %d", c.Site, c.Seq)
			}
			if _, err := c.spot(c.Kind); err == nil {
				_, _ = c.step(), c.word(c.Kind)
			}
			if ev, ok, err := c.event(testTime); err == nil && ok {
				told = append(told, ev)
			}
		}
		var r toldRow
		if json.Unmarshal(buffer, &r) == nil {
			if a, err := r.answer(); err == nil && a.Verdict == binding.Match && (r.State != "bound" || r.Reason != "bound") {
				t.Fatalf("%s %s is a match", r.State, r.Reason)
			}
			if ev, ok, err := r.event("north", testTime); err == nil && ok {
				told = append(told, ev)
			}
		}
		if h, ok := parseHeartbeat(heartbeatSubject("north"), buffer); ok && (h.Site != "north" || h.Incarnation == "") {
			t.Fatalf("a heartbeat of %q", h.Site)
		}
		before := asText(t, told)
		for i := range buffer {
			buffer[i] = 0xAA
		}
		if asText(t, told) != before {
			t.Fatal("an event keeps the message's buffer")
		}
		for _, ev := range told {
			checkEvent(t, &ev)
		}
	})
}

func asText(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func checkEvent(t *testing.T, ev *binding.Event) {
	switch {
	case ev.Source != binding.SourceFeed || ev.Node != "north" || ev.Session == "":
		t.Fatalf("an event of %v %q %q", ev.Source, ev.Node, ev.Session)
	case ev.Kind == binding.SessionStop:
	case len(ev.Addrs) != 1 || !ev.Addrs[0].Prefix.IsValid() || ev.Domain == "" || !ev.Complete:
		t.Fatalf("an event about %v in %q", ev.Addrs, ev.Domain)
	case !ev.Doubt.IsDoubt():
		t.Fatalf("a doubt %v", ev.Doubt)
	case ev.Age < 0:
		t.Fatalf("since %v in the future", -ev.Age)
	}
}

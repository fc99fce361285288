package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/simbind/simbind/binding"
)

// A fakeAsker knows one binding, of 10.0.0.1 unless told otherwise, and lists
// many.
type fakeAsker struct {
	addr    string
	b       binding.Binding
	a       binding.Answer
	warming atomic.Bool
	list    []binding.Binding
}

func newFakeAsker(t testing.TB) *fakeAsker {
	block := prefix(t, "10.0.0.1/32")
	block.PortLow, block.PortHigh = 1024, 2047
	return &fakeAsker{
		addr: "10.0.0.1",
		b: binding.Binding{
			Subscriber: now, Addr: block, Domain: "internet", APN: "internet", RAT: 6, Node: "pgw1",
			Sources: binding.SourceSet(0).Add(binding.SourceGx), State: binding.StateBound,
			Since: testTime, Seen: testTime.Add(time.Second), Expires: testTime.Add(time.Hour), Version: 42,
		},
		a: binding.Answer{Verdict: binding.Match, Age: 1500 * time.Millisecond, Version: 42},
	}
}

func (f *fakeAsker) Nodes() []binding.Node     { return nil }
func (f *fakeAsker) Domains() []binding.Domain { return nil }

func (f *fakeAsker) holds(q binding.Query) bool {
	return q.Addr.String() == f.addr && (q.Domain == "" || q.Domain == "internet") && (q.Port == 0 || q.Port >= 1024 && q.Port <= 2047)
}

func (f *fakeAsker) Verify(q binding.Query, n binding.Number) binding.Answer {
	switch {
	case !f.holds(q):
		return binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoBinding}
	case n.Is(f.b.MSISDN):
		return f.a
	}
	return binding.Answer{Verdict: binding.Mismatch, Reason: binding.ReasonOtherNumber, Version: f.b.Version}
}

func (f *fakeAsker) Lookup(q binding.Query) (binding.Binding, binding.Answer) {
	if !f.holds(q) {
		return binding.Binding{}, binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoBinding}
	}
	return f.b, f.a
}

func (f *fakeAsker) Status() binding.Status {
	return binding.Status{Site: "lab", Started: testTime, Healthy: true, Warming: f.warming.Load(), Sessions: len(f.list), SessionsCap: 1000, JournalSeq: 77}
}

func (f *fakeAsker) Sessions(sel binding.Selection) ([]binding.Binding, uint64, error) {
	if sel.By != "" && sel.By != "domain" {
		return nil, 0, fmt.Errorf("by %q is not known here", sel.By)
	}
	from := int(min(sel.Cursor, uint64(len(f.list))))
	to := min(from+sel.Limit, len(f.list))
	next := uint64(to)
	if to == len(f.list) {
		next = 0
	}
	return f.list[from:to], next, nil
}

// serve runs a Feed with its service and returns a client's connection.
func serve(t *testing.T, privacy string, asker *fakeAsker) *nats.Conn {
	t.Helper()
	cfg := embeddedConfig(t)
	cfg.Service, cfg.PublishMSISDN, cfg.Journal.Seq = true, privacy, 77
	f := start(t, cfg, newFakeOutbox(), asker)
	until(t, "ready", f.Ready)
	return client(t, f.Addr())
}

// ask sends a request and returns the reply, or the error that it carries.
func ask(t *testing.T, nc *nats.Conn, endpoint, body string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testDeadline)
	defer cancel()
	reply, err := nc.RequestWithContext(ctx, "simbind.v1.lab.svc."+endpoint, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if code := reply.Header.Get(micro.ErrorCodeHeader); code != "" {
		return "", errors.New(code + " " + reply.Header.Get(micro.ErrorHeader))
	}
	return string(reply.Data), nil
}

func TestServiceAnswers(t *testing.T) {
	asker := newFakeAsker(t)
	nc := serve(t, Clear, asker)
	hash := "f2d6da66223ad9d19fdbb204c4e5851c9a749bc204368272b127736ac792c73d" // of +491700000001
	cases := []struct{ name, endpoint, body, want, refused string }{
		{"the holder's number matches", "verify", `{"addr":"10.0.0.1","number":"+491700000001"}`, `{"verdict":"match","reason":"bound","age_ms":1500,"version":42}`, ""},
		{"its hash matches", "verify", `{"addr":"10.0.0.1","number":"` + hash + `","port":1500,"domain":"internet"}`, `{"verdict":"match","reason":"bound","age_ms":1500,"version":42}`, ""},
		{"a mapped address is the same", "verify", `{"addr":"::ffff:10.0.0.1","number":"+491700000001"}`, `{"verdict":"match","reason":"bound","age_ms":1500,"version":42}`, ""},
		{"another number does not", "verify", `{"addr":"10.0.0.1","number":"+491700000002"}`, `{"verdict":"mismatch","reason":"other-number","age_ms":0,"version":42}`, ""},
		{"another port is unknown", "verify", `{"addr":"10.0.0.1","port":80,"number":"+491700000001"}`, `{"verdict":"unknown","reason":"no-binding","age_ms":0,"version":0}`, ""},
		{"a number without + is refused", "verify", `{"addr":"10.0.0.1","number":"491700000001"}`, "", "400 number: "},
		{"no number is refused", "verify", `{"addr":"10.0.0.1"}`, "", "400 number: "},
		{"no address is refused", "verify", `{"number":"+491700000001"}`, "", "400 addr: "},
		{"a port beyond 16 bits is refused", "verify", `{"addr":"10.0.0.1","port":65536,"number":"+491700000001"}`, "", "400 the request"},
		{"an unknown member is refused", "verify", `{"addr":"10.0.0.1","msisdn":"+491700000001"}`, "", "400 the request"},
		{"two requests in one are refused", "verify", `{"addr":"10.0.0.1","number":"+491700000001"}{}`, "", "400 something follows"},
		{"what is no JSON is refused", "lookup", `10.0.0.1`, "", "400 the request"},
		{"a long request is refused", "lookup", `{"addr":"` + strings.Repeat("1", 5000) + `"}`, "", "413 "},
		{"lookup shows all that is known", "lookup", `{"addr":"10.0.0.1"}`,
			`{"state":"bound","reason":"bound","domain":"internet","addr":"10.0.0.1","ports":[1024,2047],"msisdn":"+491700000001","imsi":"001010000000001","imei":"3534900698733190","apn":"internet","rat":"eutran","node":"pgw1","sources":["gx"],"since":"2026-03-01T10:00:00.125Z","seen":"2026-03-01T10:00:01.125Z","expires":"2026-03-01T11:00:00.125Z","version":42}`, ""},
		{"lookup says what is not known", "lookup", `{"addr":"10.0.0.2"}`, `{"state":"unknown","reason":"no-binding"}`, ""},
		{"status names nobody", "status", ``,
			`{"site":"lab","incarnation":"abc.0","started":"2026-03-01T10:00:00.125Z","healthy":true,"warming":false,"problems":[],"sessions":0,"sessions_cap":1000,"addresses":0,"nodes":0,"seq":77,"delivered":77,"feed":"ok"}`, ""},
		{"a snapshot by what is not known is refused", "snapshot", `{"by":"colour"}`, "", "400 by"},
		{"a page without sessions is refused", "snapshot", `{"limit":0}`, "", "400 limit"},
		{"a huge page is refused", "snapshot", `{"limit":100000}`, "", "400 limit"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ask(t, nc, c.endpoint, c.body)
			switch {
			case c.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), c.refused)):
				t.Errorf("%s, %v; want refused with %q", got, err, c.refused)
			case c.refused == "" && (err != nil || got != c.want):
				t.Errorf("%v\n got %s\nwant %s", err, got, c.want)
			}
		})
	}
}

func TestLookupShowsTheDoubt(t *testing.T) {
	asker := newFakeAsker(t)
	s := &service{cfg: Config{PublishMSISDN: Clear}, asker: asker, health: &health{}}
	for _, c := range []struct {
		answer binding.Answer
		state  string
	}{
		{binding.Answer{Verdict: binding.Match}, "bound"},
		{binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonNoMSISDN}, "bound"},
		{binding.Answer{Verdict: binding.Ambiguous, Reason: binding.ReasonConflict}, "ambiguous"},
		{binding.Answer{Verdict: binding.Stale, Reason: binding.ReasonNotIngesting}, "stale"},
		{binding.Answer{Verdict: binding.Unknown, Reason: binding.ReasonCapacity}, "unknown"},
	} {
		asker.a = c.answer
		got, err := s.lookup([]byte(`{"addr":"10.0.0.1"}`))
		if err != nil {
			t.Fatal(err)
		}
		if r := got.(bindingReply); r.State != c.state || c.answer.Verdict != binding.Match && r.Reason != c.answer.Reason.String() {
			t.Errorf("%v: state %s, reason %s", c.answer, r.State, r.Reason)
		}
	}
}

func TestServiceKeepsThePrivacyMode(t *testing.T) {
	for _, mode := range []string{SHA256, None} {
		t.Run(mode, func(t *testing.T) {
			asker := newFakeAsker(t)
			asker.list = []binding.Binding{asker.b}
			nc := serve(t, mode, asker)
			for _, question := range []struct{ endpoint, body string }{{"lookup", `{"addr":"10.0.0.1"}`}, {"snapshot", `{}`}} {
				got, err := ask(t, nc, question.endpoint, question.body)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(got, "491700000001") || !strings.Contains(got, "001010000000001") {
					t.Errorf("%s: %s", question.endpoint, got)
				}
				if hashed := strings.Contains(got, "f2d6da66223ad9d19fdbb204c4e5851c9a749bc204368272b127736ac792c73d"); hashed != (mode == SHA256) {
					t.Errorf("%s: %s", question.endpoint, got)
				}
			}
		})
	}
}

func TestASnapshotIsReadInPages(t *testing.T) {
	asker := newFakeAsker(t)
	for seq := uint64(1); seq <= 2500; seq++ {
		b := asker.b
		b.Addr = change(seq).Addr
		asker.list = append(asker.list, b)
	}
	nc := serve(t, Clear, asker)
	type page struct {
		Site, Incarnation string
		Seq, Cursor       uint64
		Sessions          []struct{ Addr, State string }
	}
	var addrs []string
	cursor := uint64(0)
	for pages := 1; ; pages++ {
		got, err := ask(t, nc, "snapshot", fmt.Sprintf(`{"cursor":%d,"by":"domain","value":"internet"}`, cursor))
		if err != nil {
			t.Fatal(err)
		}
		var p page
		if err := json.Unmarshal([]byte(got), &p); err != nil {
			t.Fatal(err)
		}
		if p.Site != "lab" || p.Incarnation != "abc.0" || p.Seq != 77 {
			t.Fatalf("page %d is of %s %s %d", pages, p.Site, p.Incarnation, p.Seq)
		}
		for _, s := range p.Sessions {
			addrs = append(addrs, s.Addr)
		}
		if cursor = p.Cursor; cursor == 0 {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	if len(addrs) != 2500 || addrs[0] != "10.0.0.1" || addrs[2499] != "10.0.9.196" {
		t.Errorf("%d sessions, from %s to %s", len(addrs), addrs[0], addrs[len(addrs)-1])
	}
	asker.warming.Store(true)
	if _, err := ask(t, nc, "snapshot", ""); err == nil || !strings.HasPrefix(err.Error(), "503 ") {
		t.Errorf("while warming: %v", err)
	}
}

func TestTheServiceIsFoundAsAMicroService(t *testing.T) {
	nc := serve(t, Clear, newFakeAsker(t))
	reply, err := nc.Request("$SRV.INFO.simbind", nil, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		t.Fatal(err)
	}
	subjects := map[string]bool{}
	for _, e := range info.Endpoints {
		subjects[e.Subject] = true
	}
	for _, name := range []string{"verify", "lookup", "status", "snapshot"} {
		if !subjects["simbind.v1.lab.svc."+name] {
			t.Errorf("no endpoint %s in %v", name, subjects)
		}
	}
	if info.Name != "simbind" || info.Metadata["site"] != "lab" {
		t.Errorf("info %+v", info)
	}
}

func TestWithoutConsentNobodyAnswers(t *testing.T) {
	f := start(t, embeddedConfig(t), newFakeOutbox(), newFakeAsker(t))
	until(t, "ready", f.Ready)
	nc := client(t, f.Addr())
	for _, endpoint := range []string{"verify", "lookup", "status", "snapshot"} {
		if _, err := nc.Request("simbind.v1.lab.svc."+endpoint, nil, testDeadline); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestTheServiceComesBackWithTheServer(t *testing.T) {
	op := newOperator(t, nil)
	op.stop()
	cfg := clusterConfig(op.url())
	cfg.Service = true
	f := start(t, cfg, newFakeOutbox(), newFakeAsker(t))
	for range 2 {
		f.awaitProblem("connection")
		op.start()
		until(t, "ready", f.Ready)
		if _, err := ask(t, client(t, op.url()), "status", "{}"); err != nil {
			t.Error(err)
		}
		op.stop()
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"addr":"10.0.0.1","port":1500,"domain":"internet","number":"+491700000001"}`))
	f.Add([]byte(`{"by":"domain","value":"x","limit":5,"cursor":1}`))
	asker := newFakeAsker(f)
	s := &service{cfg: Config{PublishMSISDN: SHA256}, asker: asker, health: &health{}}
	s.health.state.Incarnation = "abc"
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, answer := range []func([]byte) (any, error){s.verify, s.lookup, s.status, s.snapshot} {
			e := endpoint{answer: answer}
			body, err := e.reply(data, 1<<20)
			var no *refusal
			if err != nil && !errors.As(err, &no) {
				t.Errorf("%q: %v", data, err)
			}
			if err == nil && !json.Valid(body) {
				t.Errorf("%q: %q", data, body)
			}
		}
	})
}

func TestNoAnswerGoesWhereChangesGo(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Service = true
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, cfg, outbox, newFakeAsker(t))
	f.awaitDelivered(5)
	guest := client(t, f.Addr())
	heard, err := guest.SubscribeSync("simbind.v1.lab.heartbeat")
	if err != nil {
		t.Fatal(err)
	}
	request(t, guest, "simbind.v1.lab.svc.status", "simbind.v1.lab.change.bound", "")
	request(t, guest, "simbind.v1.lab.svc.verify", "simbind.v1.lab.heartbeat", `{"addr":"10.0.0.1","number":"wrong"}`)
	until(t, "both are refused", func() bool {
		refused := uint64(0)
		for _, e := range f.service.endpoints {
			refused += e.refused.Load()
		}
		return refused == 2
	})
	if n := len(readAll(t, guest)); n != 5 {
		t.Errorf("%d messages in the stream, want 5", n)
	}
	for {
		msg, err := heard.NextMsg(50 * time.Millisecond)
		if err != nil {
			break
		}
		if _, ok := parseHeartbeat(msg.Subject, msg.Data); !ok {
			t.Errorf("who listens to heartbeats heard %q", msg.Data)
		}
	}
}

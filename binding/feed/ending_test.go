package feed

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// strayed are ways to have an answer stored among the changes of a site: a
// subject of changes as the place where the answer is wanted.
var strayed = map[string]func(t *testing.T, nc *nats.Conn, to string){
	"of the JetStream API": func(t *testing.T, nc *nats.Conn, to string) { request(t, nc, "$JS.API.INFO", to, "") },
	"of a direct get, one of the changes": func(t *testing.T, nc *nats.Conn, to string) {
		request(t, nc, "$JS.API.DIRECT.GET.SIMBIND", to, `{"seq":3}`)
	},
	"of a direct get of nothing": func(t *testing.T, nc *nats.Conn, to string) {
		request(t, nc, "$JS.API.DIRECT.GET.SIMBIND", to, `{"seq":200000}`)
	},
	"of the service's library": func(t *testing.T, nc *nats.Conn, to string) { request(t, nc, "$SRV.PING", to, "") },
	"of a consumer, some of the changes": func(t *testing.T, nc *nats.Conn, to string) {
		if _, err := jetStream(t, nc).CreateOrUpdateConsumer(t.Context(), DefaultStream, jetstream.ConsumerConfig{Name: "again", AckPolicy: jetstream.AckNonePolicy}); err != nil {
			t.Fatal(err)
		}
		request(t, nc, "$JS.API.CONSUMER.MSG.NEXT.SIMBIND.again", to, `{"batch":3,"no_wait":true}`)
	},
}

func request(t *testing.T, nc *nats.Conn, subject, reply, body string) {
	t.Helper()
	if err := nc.PublishRequest(subject, reply, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

// messages is how many the stream has.
func messages(t *testing.T, nc *nats.Conn) uint64 {
	t.Helper()
	stream, err := jetStream(t, nc).Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestAnAnswerThatIsStoredAmongTheChangesStopsNobody(t *testing.T) {
	for name, stray := range strayed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOperator(t, nil)
			nc := client(t, op.url())
			js := jetStream(t, nc)
			create(t, js, jetstream.StreamConfig{
				Name: DefaultStream, Subjects: []string{streamSubjects}, AllowDirect: true, AllowBatchPublish: true, Duplicates: 100 * time.Millisecond,
			})
			cfg := clusterConfig(op.url())
			cfg.Service = true
			outbox := newFakeOutbox()
			outbox.fill(1, 5)
			f := start(t, cfg, outbox, newFakeAsker(t))
			f.awaitDelivered(5)
			awaitWindow(t, js)
			strays := func() {
				before := messages(t, nc)
				stray(t, nc, "simbind.v1.lab.change.bound")
				until(t, "the answer is stored", func() bool { return messages(t, nc) > before })
			}
			strays()
			outbox.fill(6, 8)
			f.awaitDelivered(8)
			awaitWindow(t, js)
			strays()
			if err := f.stop(); err != nil {
				t.Fatal(err)
			}
			if err := outbox.TrimOutbox(8); err != nil {
				t.Fatal(err)
			}
			outbox.fill(9, 10)
			cfg.Journal.Seq = 10
			f = start(t, cfg, outbox, newFakeAsker(t))
			f.awaitDelivered(10)
			wantChanges(t, byTheRule(readAll(t, nc)), "abc", 1, 10)
			if f.health.count().lost != 0 || !strings.Contains(strings.Join(f.State().Warnings, "\n"), "are none") {
				t.Errorf("%d lost, warnings %q", f.health.count().lost, f.State().Warnings)
			}
		})
	}
}

// awaitWindow waits until the stream has forgotten the ids that it has seen.
func awaitWindow(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	probe := rand.Text()
	publishForged(t, js, "simbind.v1.other.change.bound", probe)
	until(t, "the dedupe window is over", func() bool { return !publishForged(t, js, "simbind.v1.other.change.bound", probe).Duplicate })
}

// byTheRule leaves the messages of site lab that a consumer applies.
func byTheRule(list []received) (out []received) {
	for _, m := range ofSite(list) {
		if c, err := parseChange("lab", m.payload); err == nil && c.Seq == uint64(len(out)+1) {
			out = append(out, m)
		}
	}
	return out
}

func TestAnAnswerThatIsStoredAmongTheChangesIsPassedOverByWhoFollows(t *testing.T) {
	for name, stray := range strayed {
		if strings.Contains(name, "changes") {
			continue // each change of a pair names the one that it must follow: the stream refuses it elsewhere
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newOperator(t, nil)
			nc := client(t, op.url())
			js := jetStream(t, nc)
			create(t, js, jetstream.StreamConfig{
				Name: DefaultStream, Subjects: []string{streamSubjects}, AllowDirect: true, AllowAtomicPublish: true, Duplicates: 100 * time.Millisecond,
			})
			both := newCouple(t, op.url())
			centre := newStation(t, "centre", op.url(), All)
			for n := range 5 {
				both.says(binding.SessionStart, fmt.Sprint(n), fmt.Sprintf("10.1.0.%d", n+1), n)
			}
			centre.awaits("10.1.0.5", 4, "match/bound")
			until(t, "b has heard it", both.each["b"].shadowed)
			strays := func() {
				awaitWindow(t, js)
				before := messages(t, nc)
				stray(t, nc, "simbind.v1.north.change.bound")
				until(t, "the answer is stored", func() bool { return messages(t, nc) > before })
			}
			strays()
			both.says(binding.SessionStart, "6", "10.1.0.6", 6)
			centre.awaits("10.1.0.6", 6, "match/bound")
			until(t, "b has heard it", both.each["b"].shadowed)
			strays() // and nothing of the site behind it
			both.each["a"].stop()
			both.each["b"].says(binding.SessionStart, "7", "10.1.0.7", 7)
			centre.awaits("10.1.0.7", 7, "match/bound")
			if p := centre.progress("north"); p.Snapshots != 1 || p.Gaps != 0 {
				t.Errorf("the replica noticed it: %+v", p)
			}
		})
	}
}

func TestRepetitionsAreToldFromPublishers(t *testing.T) {
	pos := position{incarnation: "abc.30", after: 20, offset: 100, streamSeq: 500}
	for _, c := range []struct {
		name string
		last stored
		want bool
	}{
		{"a change that was told", stored{incarnation: "abc.30", seq: 120, term: 3}, true},
		{"one of the term before", stored{incarnation: "abc.30", seq: 50, term: 2}, true},
		{"one of an incarnation that has ended", stored{incarnation: "abc.7", seq: 900, term: 1}, true},
		{"one of the journal's first incarnation", stored{incarnation: "abc", seq: 900}, true},
		{"a change that may have been stored without an answer", stored{incarnation: "abc.30", seq: 121, term: 3}, false},
		{"one of another member that took over", stored{incarnation: "abc.30", seq: 119, term: 4}, false},
		{"one of a copy of the journal, which has begun a new incarnation", stored{incarnation: "abc.501", seq: 1}, false},
		{"one of another journal", stored{incarnation: "def", seq: 1}, false},
	} {
		if got := repeats(&c.last, pos, 3); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

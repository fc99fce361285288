package feed

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// deliver publishes changes first to last as one life of a daemon, which
// leaves them all in the outbox.
func deliver(t *testing.T, cfg Config, first, last uint64) *fakeOutbox {
	t.Helper()
	outbox := newFakeOutbox()
	outbox.fill(first, last)
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(last)
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	return outbox
}

func TestAnOutboxOlderThanTheDedupeWindowRepeatsNothing(t *testing.T) {
	op := newOperator(t, nil)
	nc := client(t, op.url())
	js := jetStream(t, nc)
	create(t, js, jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{streamSubjects}, Duplicates: 100 * time.Millisecond, AllowBatchPublish: true,
	})
	cfg := clusterConfig(op.url())
	outbox := deliver(t, cfg, 1, 50)
	publishForged(t, js, "simbind.v1.other.change.bound", "lab-abc-50-probe")
	until(t, "the window is over", func() bool {
		return !publishForged(t, js, "simbind.v1.other.change.bound", "lab-abc-50-probe").Duplicate
	})
	outbox.fill(51, 60)
	if outbox.size() != 60 {
		t.Fatalf("%d changes in the outbox, want all 60", outbox.size())
	}
	cfg.Journal.Seq = 60
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(60)
	wantChanges(t, ofSite(readAll(t, nc)), "abc", 1, 60)
}

// publishForged stores something that is not a change of ours.
func publishForged(t *testing.T, js jetstream.JetStream, subject, id string) *jetstream.PubAck {
	t.Helper()
	ack, err := js.Publish(t.Context(), subject, []byte("{}"), jetstream.WithMsgID(id))
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// ofSite leaves the changes of site lab.
func ofSite(list []received) (out []received) {
	for _, m := range list {
		if strings.HasPrefix(m.subject, "simbind.v1.lab.") {
			out = append(out, m)
		}
	}
	return out
}

func TestALostAcknowledgementRepeatsNothing(t *testing.T) {
	op := newOperator(t, nil)
	cfg := clusterConfig(op.url())
	deliver(t, cfg, 1, 30)
	outbox := newFakeOutbox()
	outbox.fill(1, 40) // nothing was trimmed, as after a crash
	cfg.Journal.Seq = 40
	start(t, cfg, outbox, nil).awaitDelivered(40)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 40)
}

func TestWhoGoesOnAndWhoStartsAnew(t *testing.T) {
	other := change(30)
	other.At = other.At.Add(time.Hour)
	cases := []struct {
		name        string
		stored      uint64 // by abc, changes 1 to stored
		journal     binding.JournalMeta
		outbox      func(*fakeOutbox)
		incarnation string // of what is published now
		first, last uint64
		warning     string
	}{
		{"the same journal goes on", 30, binding.JournalMeta{Incarnation: "abc", Seq: 40},
			func(o *fakeOutbox) { o.fill(25, 40) }, "abc", 31, 40, ""},
		{"a new journal starts under its own name", 30, binding.JournalMeta{Incarnation: "def"},
			func(o *fakeOutbox) { o.fill(1, 10) }, "def", 1, 10, ""},
		{"a journal that was here before the last one gets a new name", 30, binding.JournalMeta{Incarnation: "def", Seq: 15},
			func(o *fakeOutbox) { o.fill(11, 15) }, "def.30", 11, 15, ""},
		{"a copy that is older than the stream gets a new name", 30, binding.JournalMeta{Incarnation: "abc", Seq: 20},
			func(o *fakeOutbox) { o.fill(18, 25) }, "abc.30", 18, 25, "restored from a copy"},
		{"a copy that went its own way gets a new name", 30, binding.JournalMeta{Incarnation: "abc", Seq: 35},
			func(o *fakeOutbox) { o.fill(20, 29); o.add(other); o.fill(31, 35) }, "abc.30", 20, 0, "restored from a copy"},
		{"an empty stream and a journal with a past", 0, binding.JournalMeta{Incarnation: "abc", Seq: 20},
			func(o *fakeOutbox) { o.fill(18, 25) }, "abc.0", 18, 25, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op := newOperator(t, nil)
			if c.stored > 0 {
				deliver(t, clusterConfig(op.url()), 1, c.stored)
			}
			outbox := newFakeOutbox()
			c.outbox(outbox)
			cfg := clusterConfig(op.url())
			cfg.Journal = c.journal
			f := start(t, cfg, outbox, nil)
			f.awaitDelivered(outbox.rows[outbox.size()-1].Seq)
			all := readAll(t, client(t, op.url()))
			if c.last > 0 {
				wantChanges(t, all[c.stored:], c.incarnation, c.first, c.last)
			} else if id := all[c.stored].id; id != messageID("lab", c.incarnation, c.first) {
				t.Errorf("first new message is %s", id)
			}
			wantUnique(t, all)
			st := f.State()
			if warned := strings.Join(st.Warnings, "\n"); c.warning == "" && warned != "" || !strings.Contains(warned, c.warning) {
				t.Errorf("warnings %q, want %q", warned, c.warning)
			}
			if st.Incarnation != c.incarnation {
				t.Errorf("incarnation %q, want %q", st.Incarnation, c.incarnation)
			}
		})
	}
}

func wantUnique(t *testing.T, list []received) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.id] {
			t.Errorf("%s is there twice", m.id)
		}
		seen[m.id] = true
	}
}

func TestANewNameIsKeptOverRestarts(t *testing.T) {
	op := newOperator(t, nil)
	deliver(t, clusterConfig(op.url()), 1, 30)
	cfg := clusterConfig(op.url())
	cfg.Journal.Seq = 20
	deliver(t, cfg, 20, 25)
	cfg.Journal.Seq = 25
	deliver(t, cfg, 20, 35)
	all := readAll(t, client(t, op.url()))
	wantChanges(t, all[:30], "abc", 1, 30)
	wantChanges(t, all[30:], "abc.30", 20, 35)
}

func TestTheLaterOfTwoPublishersWins(t *testing.T) {
	op := newOperator(t, nil)
	one, two := newFakeOutbox(), newFakeOutbox()
	cfg := clusterConfig(op.url())
	cfg.Service = true
	first := start(t, cfg, one, newFakeAsker(t))
	one.fill(1, 10)
	first.awaitDelivered(10)

	cfg.Journal.Incarnation = "def"
	second := start(t, cfg, two, nil)
	two.fill(1, 5)
	second.awaitDelivered(5)

	one.fill(11, 20)
	first.awaitProblem("another publisher uses this site's name")
	if _, err := ask(t, client(t, op.url()), "verify", `{"addr":"10.0.0.1","number":"+491700000001"}`); err == nil || !strings.HasPrefix(err.Error(), "503 ") {
		t.Errorf("the first one speaks for the site: %v", err)
	}
	two.fill(6, 10)
	second.awaitDelivered(10)
	if first.Ready() || one.size() != 20 {
		t.Errorf("the first one is ready: %v, and holds %d changes back", first.Ready(), one.size())
	}
	all := readAll(t, client(t, op.url()))
	wantChanges(t, all[:10], "abc", 1, 10)
	wantChanges(t, all[10:], "def", 1, 10)
}

func TestACopyThatRunsAtTheSameTimeIsNoticed(t *testing.T) {
	op := newOperator(t, nil)
	one, two := newFakeOutbox(), newFakeOutbox()
	first := start(t, clusterConfig(op.url()), one, nil)
	one.fill(1, 10)
	first.awaitDelivered(10)
	cfg := clusterConfig(op.url())
	cfg.Journal.Seq = 10 // the same data directory, copied
	second := start(t, cfg, two, nil)
	two.fill(11, 30)
	second.awaitDelivered(30)
	one.fill(11, 20)
	first.awaitProblem("another publisher uses this site's name")
}

func TestAMessageThatNobodyOfUsWroteIsNoticed(t *testing.T) {
	op := newOperator(t, nil)
	outbox := newFakeOutbox()
	f := start(t, clusterConfig(op.url()), outbox, nil)
	outbox.fill(1, 10)
	f.awaitDelivered(10)
	js := jetStream(t, client(t, op.url()))
	publishForged(t, js, "simbind.v1.lab.change.bound", "forged")
	outbox.fill(11, 20)
	f.awaitDelivered(20)
	if warnings := strings.Join(f.State().Warnings, "\n"); !strings.Contains(warnings, "1 messages on the subjects of this site's changes are none") {
		t.Errorf("no warning in %q", warnings)
	}
	publishForged(t, js, "simbind.v1.lab.change.bound", "lab-def-1") // of another publisher
	outbox.fill(21, 30)
	f.awaitProblem("another publisher uses this site's name")
}

func TestWhatTheStreamLostIsSentAgain(t *testing.T) {
	cases := []struct {
		name  string
		lose  func(*testing.T, jetstream.Stream)
		first uint64 // of what is there in the end
	}{
		{"its last changes, as without power", func(t *testing.T, s jetstream.Stream) {
			for seq := uint64(8); seq <= 10; seq++ {
				if err := s.DeleteMsg(t.Context(), seq); err != nil {
					t.Fatal(err)
				}
			}
		}, 1},
		{"everything", func(t *testing.T, s jetstream.Stream) {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			op := newOperator(t, nil)
			nc := client(t, op.url())
			js := jetStream(t, nc)
			create(t, js, jetstream.StreamConfig{
				Name: DefaultStream, Subjects: []string{streamSubjects}, Duplicates: 100 * time.Millisecond, AllowBatchPublish: true,
			})
			outbox := newFakeOutbox()
			f := start(t, clusterConfig(op.url()), outbox, nil)
			outbox.fill(1, 10)
			f.awaitDelivered(10)
			stream, err := js.Stream(t.Context(), DefaultStream)
			if err != nil {
				t.Fatal(err)
			}
			c.lose(t, stream)
			until(t, "the dedupe window is over", func() bool {
				return !publishForged(t, js, "simbind.v1.other.change.bound", "probe").Duplicate
			})
			op.stop() // the server comes back without them
			op.start()
			outbox.fill(11, 15)
			f.awaitDelivered(15)
			got := ofSite(readAll(t, nc))
			wantChanges(t, got, "abc", c.first, 15)
		})
	}
}

func TestMessageIDsParse(t *testing.T) {
	for _, c := range []struct {
		id  string
		inc string
		seq uint64
		ok  bool
	}{
		{"lab-abc-7", "abc", 7, true},
		{"lab-abc.30-7", "abc.30", 7, true},
		{"lab-a-b-c-18446744073709551615", "a-b-c", 1<<64 - 1, true},
		{"lab-abc-0", "", 0, false},
		{"lab-abc-", "", 0, false},
		{"lab-abc-x", "", 0, false},
		{"lab-7", "", 0, false},
		{"lab--7", "", 0, false},
		{"other-abc-7", "", 0, false},
		{"", "", 0, false},
	} {
		inc, seq, ok := parseMessageID("lab", c.id)
		if ok != c.ok || ok && (inc != c.inc || seq != c.seq) {
			t.Errorf("%q: %q %d %v", c.id, inc, seq, ok)
		}
		if ok && messageID("lab", inc, seq) != c.id {
			t.Errorf("%q does not come back", c.id)
		}
	}
}

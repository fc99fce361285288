package feed

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

func TestTheStreamIsMadeAsConfigured(t *testing.T) {
	op := newOperator(t, nil)
	cfg := clusterConfig(op.url())
	cfg.Stream = Stream{Name: "CHANGES", MaxAge: time.Hour, MaxBytes: 64 << 20}
	f := start(t, cfg, newFakeOutbox(), nil)
	until(t, "ready", f.Ready)
	got := streamConfig(t, op, "CHANGES")
	if got.MaxAge != time.Hour || got.MaxBytes != 64<<20 || got.Replicas != 1 || got.Storage != jetstream.FileStorage ||
		got.Discard != jetstream.DiscardOld || !got.AllowBatchPublish || !got.AllowAtomicPublish || got.Subjects[0] != "simbind.v1.*.change.>" {
		t.Errorf("stream %+v", got)
	}
	if st := f.State(); st.Stream != "CHANGES" || len(st.Warnings) != 0 {
		t.Errorf("state %+v", st)
	}
}

func streamConfig(t *testing.T, op *operator, name string) jetstream.StreamConfig {
	t.Helper()
	stream, err := jetStream(t, client(t, op.url())).Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config
}

func TestAStreamOfTheOperatorIsTakenAsItIs(t *testing.T) {
	op := newOperator(t, nil)
	js := jetStream(t, client(t, op.url()))
	create(t, js, jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{"simbind.>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1000, MaxAge: time.Hour, Duplicates: time.Minute,
	})
	before := streamConfig(t, op, DefaultStream)
	outbox := newFakeOutbox()
	outbox.fill(1, 40)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitDelivered(40)
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 40)
	after := streamConfig(t, op, DefaultStream)
	if after.MaxAge != before.MaxAge || after.AllowBatchPublish || after.Storage != before.Storage || after.Duplicates != before.Duplicates {
		t.Errorf("the stream was changed: %+v", after)
	}
	warnings := strings.Join(f.State().Warnings, "\n")
	for _, want := range []string{"one at a time", "kept in memory", "only 1000 changes per subject", "keeps changes for 1h"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning of %q in %q", want, warnings)
		}
	}
}

func TestAStreamForOtherSubjectsIsRefused(t *testing.T) {
	op := newOperator(t, nil)
	js := jetStream(t, client(t, op.url()))
	cfg := jetstream.StreamConfig{Name: DefaultStream, Subjects: []string{"simbind.v1.other.change.>"}, AllowBatchPublish: true}
	create(t, js, cfg)
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitProblem("does not take simbind.v1.lab.change.>")
	cfg.Subjects = append(cfg.Subjects, "simbind.v1.lab.change.>")
	update(t, js, cfg)
	f.awaitDelivered(3)
}

func TestAServerWithoutJetStreamIsAProblem(t *testing.T) {
	op := newOperator(t, func(o *server.Options) { o.JetStream = false })
	f := start(t, clusterConfig(op.url()), newFakeOutbox(), nil)
	f.awaitProblem("no JetStream")
	if st := f.State(); !st.Connected || f.Ready() {
		t.Errorf("state %+v", st)
	}
}

func TestSeveralSitesShareAStream(t *testing.T) {
	op := newOperator(t, nil)
	outboxes := map[string]*fakeOutbox{}
	feeds := map[string]*running{}
	for _, site := range []string{"lab", "north", "south"} {
		cfg := clusterConfig(op.url())
		cfg.Site = site
		outboxes[site] = newFakeOutbox()
		feeds[site] = start(t, cfg, outboxes[site], nil)
	}
	for first := uint64(1); first < 1000; first += 50 {
		for _, o := range outboxes {
			o.fill(first, first+49)
		}
	}
	for _, f := range feeds {
		f.awaitDelivered(1000)
	}
	all := readAll(t, client(t, op.url()))
	wantChanges(t, ofSite(all), "abc", 1, 1000)
	if len(all) != 3000 {
		t.Errorf("%d messages, want 3000", len(all))
	}
}

func TestTheEmbeddedStreamFollowsTheConfiguration(t *testing.T) {
	cfg := embeddedConfig(t)
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(5)
	_ = f.stop()
	cfg.Stream.MaxAge, cfg.Journal.Seq = 2*time.Hour, 5
	f = start(t, cfg, outbox, nil)
	until(t, "ready", f.Ready)
	stream, err := jetStream(t, client(t, f.Addr())).Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo(); got.Config.MaxAge != 2*time.Hour || got.State.Msgs != 5 {
		t.Errorf("stream %+v", got)
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"simbind.v1.*.change.>", "simbind.v1.lab.change.>", true},
		{"simbind.v1.lab.change.>", "simbind.v1.lab.change.>", true},
		{"simbind.>", "simbind.v1.lab.change.>", true},
		{">", "simbind.v1.lab.change.>", true},
		{"simbind.v1.*.change.*", "simbind.v1.lab.change.>", false},
		{"simbind.v1.other.change.>", "simbind.v1.lab.change.>", false},
		{"simbind.v1.lab.change.bound", "simbind.v1.lab.change.>", false},
		{"simbind.v1.lab", "simbind.v1.lab.change.>", false},
		{"a.*.c", "a.b.c", true},
		{"a.b.>", "a.b", false},
	} {
		if got := covers(c.outer, c.inner); got != c.want {
			t.Errorf("covers(%s, %s) = %v", c.outer, c.inner, got)
		}
		if got := server.SubjectsCollide(c.outer, c.inner); c.want && !got {
			t.Errorf("the server thinks that %s and %s do not even collide", c.outer, c.inner)
		}
	}
}

package feed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// forgetful is a stream with a short dedupe window.
func forgetful(t *testing.T) (op *operator, nc *nats.Conn, js jetstream.JetStream) {
	t.Helper()
	op = newOperator(t, nil)
	nc = client(t, op.url())
	js = jetStream(t, nc)
	create(t, js, jetstream.StreamConfig{
		Name: DefaultStream, Subjects: []string{streamSubjects}, AllowDirect: true, AllowBatchPublish: true, AllowAtomicPublish: true, Duplicates: 100 * time.Millisecond,
	})
	return op, nc, js
}

// again has some of the first changes of the stream stored again among a site's: the
// second and the third one, the first one names what it must follow.
func again(t *testing.T, nc *nats.Conn, site string) {
	t.Helper()
	awaitWindow(t, jetStream(t, nc))
	before := messages(t, nc)
	strayed["of a consumer, some of the changes"](t, nc, "simbind.v1."+site+".change.bound")
	until(t, "they are stored again", func() bool { return messages(t, nc) >= before+2 })
	if err := jetStream(t, nc).DeleteConsumer(t.Context(), DefaultStream, "again"); err != nil {
		t.Fatal(err)
	}
}

// ofIncarnation leaves the changes of an incarnation.
func ofIncarnation(list []received, incarnation string) (out []received) {
	for _, m := range ofSite(list) {
		if inc, _, ok := parseMessageID("lab", m.id); ok && inc == incarnation {
			out = append(out, m)
		}
	}
	return out
}

// fill stores messages of nobody on a subject.
func fill(t *testing.T, js jetstream.JetStream, subject string, n int) {
	t.Helper()
	for i := range n {
		if _, err := js.PublishAsync(subject, nil); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 || i == n-1 {
			<-js.PublishAsyncComplete()
		}
	}
}

func TestARepeatedChangeOfAnEarlierJournalStopsNobody(t *testing.T) {
	op, nc, js := forgetful(t)
	old := clusterConfig(op.url())
	old.Journal.Incarnation = "old"
	deliver(t, old, 1, 5)
	cfg := clusterConfig(op.url()) // with a new data_dir
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, cfg, outbox, newFakeAsker(t))
	f.awaitDelivered(5)
	fill(t, js, "simbind.v1.other.change.bound", 3*nearMax)
	again(t, nc, "lab") // among the last ones
	again(t, nc, "lab")
	outbox.fill(6, 8)
	f.awaitDelivered(8)
	again(t, nc, "lab")
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	outbox.fill(9, 10)
	cfg.Journal.Seq = 10
	f = start(t, cfg, outbox, newFakeAsker(t))
	f.awaitDelivered(10)
	wantChanges(t, ofIncarnation(readAll(t, nc), "abc"), "abc", 1, 10)
	if s := f.State(); s.Incarnation != "abc" || f.health.isHeld() {
		t.Errorf("incarnation %q, held %v", s.Incarnation, f.health.isHeld())
	}
}

func TestARepeatedChangeOfAFormerPairStopsNobody(t *testing.T) {
	op, nc, js := forgetful(t)
	tell := func() {
		msg := nats.NewMsg("simbind.v1.lab.change.bound")
		msg.Header.Set(memberHeader, "a/3")
		if _, err := js.PublishMsg(t.Context(), msg, jetstream.WithMsgID("lab-old-7")); err != nil {
			t.Fatal(err)
		}
	}
	tell()
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitDelivered(5)
	awaitWindow(t, js)
	tell()
	outbox.fill(6, 8)
	f.awaitDelivered(8)
	wantChanges(t, ofIncarnation(readAll(t, nc), "abc"), "abc", 1, 8)
}

func TestManyRepetitionsBeginNoIncarnation(t *testing.T) {
	op, nc, js := forgetful(t)
	old := func() {
		for n := range 10 * nearMax {
			publishForged(t, js, "simbind.v1.lab.change.bound", fmt.Sprintf("lab-old-%d", n+1))
		}
	}
	old()
	cfg := clusterConfig(op.url())
	outbox := deliver(t, cfg, 1, 5)
	awaitWindow(t, js)
	old()
	outbox.fill(6, 8)
	cfg.Journal.Seq = 8
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(8)
	wantChanges(t, ofIncarnation(readAll(t, nc), "abc"), "abc", 1, 8)
}

func TestARepetitionThatIsKnownIsNotTakenForTheLastChange(t *testing.T) {
	op, nc, _ := forgetful(t)
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, clusterConfig(op.url()), outbox, newFakeAsker(t))
	f.awaitDelivered(5)
	again(t, nc, "lab")
	resumes := func() uint64 { return f.health.count().resumes }
	for range 2 { // nothing is sent in between
		was := resumes()
		op.stop()
		op.start()
		until(t, "it has taken up again", func() bool { return resumes() > was })
	}
	outbox.fill(6, 8)
	f.awaitDelivered(8)
	list := ofIncarnation(readAll(t, client(t, op.url())), "abc")
	if want := 8 + 2; len(list) != want {
		t.Errorf("%d changes are stored, want %d", len(list), want)
	}
}

func TestARepeatedChangeOfAnotherPublisherSaysThatThereIsOne(t *testing.T) {
	op, nc, js := forgetful(t)
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, clusterConfig(op.url()), outbox, nil)
	f.awaitDelivered(5)
	publishForged(t, js, "simbind.v1.lab.change.bound", "lab-def-1")
	publishForged(t, js, "simbind.v1.lab.change.bound", "lab-def-2")
	awaitWindow(t, jetStream(t, nc))
	publishForged(t, js, "simbind.v1.lab.change.bound", "lab-def-1")
	outbox.fill(6, 8)
	f.awaitProblem("another publisher uses this site's name")
	p := looker(t, op)
	end, err := p.lastStored(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last, err := p.original(t.Context(), end.last); err != nil || last == nil || last.incarnation != "def" || last.seq != 2 {
		t.Errorf("the last one that is no repetition: %+v, %v", last, err)
	}
}

func TestARepeatedChangeOfBeforeDisturbsNoPair(t *testing.T) {
	op, nc, _ := forgetful(t)
	before := clusterConfig(op.url()) // alone
	before.Site, before.Journal.Incarnation = "north", "old"
	deliver(t, before, 1, 5)
	both := &couple{t, map[string]*station{}}
	for _, member := range []string{"a", "b"} {
		both.each[member] = newMember(t, member, op.url())
		until(t, "a is active", func() bool { return both.each["a"].feed.State().Role == RoleActive })
	}
	centre := newStation(t, "centre", op.url(), All)
	for n := range 5 {
		both.says(binding.SessionStart, fmt.Sprint(n), fmt.Sprintf("10.1.0.%d", n+1), n)
	}
	centre.awaits("10.1.0.5", 4, "match/bound")
	until(t, "b has heard it", both.each["b"].shadowed)
	was, a := centre.progress("north"), both.each["a"].feed
	again(t, nc, "north")
	both.says(binding.SessionStart, "6", "10.1.0.6", 6)
	centre.awaits("10.1.0.6", 6, "match/bound")
	until(t, "b has heard it", both.each["b"].shadowed)
	if n := a.health.count().takeovers; n != 1 || a.State().Role != RoleActive {
		t.Errorf("a is %s and took over %d times", a.State().Role, n)
	}
	again(t, nc, "north") // and nothing of the site behind it
	both.each["a"].stop()
	both.each["b"].says(binding.SessionStart, "7", "10.1.0.7", 7)
	centre.awaits("10.1.0.7", 7, "match/bound")
	if p := centre.progress("north"); p.Snapshots != was.Snapshots || p.Gaps != 0 {
		t.Errorf("the replica noticed it: %+v, was %+v", p, was)
	}
}

// looker is a publisher of site lab that only asks the stream.
func looker(t *testing.T, op *operator) *publisher {
	t.Helper()
	f := &Feed{cfg: clusterConfig(op.url()), timeout: answerTimeout, log: testDiscard}
	f.cfg.Stream.Name = DefaultStream
	p, err := newPublisher(f, client(t, op.url()))
	if err != nil {
		t.Fatal(err)
	}
	if p.stream, err = p.js.Stream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheMessageBeforeIsFoundAmongThoseOfOtherSites(t *testing.T) {
	op, _, js := forgetful(t)
	want := map[uint64]uint64{} // by number of the stream, the site's last one before
	random := rand.New(rand.NewPCG(1, 2))
	last := uint64(0)
	for seq := uint64(1); seq <= 300; seq++ {
		want[seq] = last
		subject := "simbind.v1.other.change.bound"
		if near := seq > 200 || random.IntN(20) == 0; near && seq%7 > 0 {
			subject, last = "simbind.v1.lab.change.bound", seq
		}
		publishForged(t, js, subject, fmt.Sprint(seq))
	}
	p := looker(t, op)
	for seq, want := range want {
		msg, err := p.msgBefore(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		got := uint64(0)
		if msg != nil {
			got = msg.Sequence
		}
		if got != want {
			t.Errorf("before %d: %d, want %d", seq, got, want)
		}
	}
}

func TestChangesOfOtherSitesBehindALastOneCostFewQuestions(t *testing.T) {
	op, nc, js := forgetful(t)
	cfg := clusterConfig(op.url())
	outbox := deliver(t, cfg, 1, 5)
	fill(t, js, "simbind.v1.other.change.bound", lookBackMax+500)
	publishForged(t, js, "simbind.v1.lab.change.bound", "forged")
	outbox.fill(6, 8)
	cfg.Journal.Seq = 8
	received := func() int64 {
		v, err := op.srv.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.InMsgs
	}
	was := received()
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(8)
	if n := received() - was; n > 200 {
		t.Errorf("it asked %d times", n)
	}
	wantChanges(t, ofIncarnation(readAll(t, nc), "abc"), "abc", 1, 8)
}

func TestRepetitionsBehindChangesOfOtherSitesAreKnown(t *testing.T) {
	op, nc, js := forgetful(t)
	outbox := newFakeOutbox()
	outbox.fill(1, 5)
	f := start(t, clusterConfig(op.url()), outbox, newFakeAsker(t))
	f.awaitDelivered(5)
	fill(t, js, "simbind.v1.other.change.bound", lookBackMax+500)
	again(t, nc, "lab")
	outbox.fill(6, 8)
	f.awaitDelivered(8)
	if list := ofIncarnation(readAll(t, nc), "abc"); len(list) != 8+2 {
		t.Errorf("%d changes are stored, want each once and two repetitions", len(list))
	}
}

func TestWhereTheLastChangeIsTooFarBackNothingIsConcluded(t *testing.T) {
	op, _, js := forgetful(t)
	deliver(t, clusterConfig(op.url()), 1, 5)
	fill(t, js, "simbind.v1.lab.change.bound", lookBackMax+1)
	p := looker(t, op)
	end, err := p.lastStored(t.Context())
	if err != nil || end.last != nil || !end.far {
		t.Fatalf("the end is %+v, %v", end, err)
	}
	pair := &pair{now: time.Now}
	if err := (&standby{p: p, pair: pair}).reconcile(t.Context()); !errors.Is(err, errFar) {
		t.Errorf("a shadow is begun: %v", err)
	}
	p.pos = position{incarnation: "abc", after: 5, streamSeq: 5, own: 5}
	pos, err := p.nextPosition(t.Context(), end)
	if want := (position{incarnation: "abc", after: 5, streamSeq: end.site, own: 5}); err != nil || pos != want {
		t.Errorf("the position is %+v, %v, want %+v", pos, err, want)
	}
}

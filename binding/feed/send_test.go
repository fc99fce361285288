package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// A stall is a proxy that forwards what a client sends up to a text, and what
// follows only when it is released, like a link that hangs for a moment.
type stall struct {
	net.Listener
	held, free chan struct{}
	release    func()
}

func newStall(t *testing.T, to, before string) *stall {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stall{Listener: l, held: make(chan struct{}), free: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.free) })
	t.Cleanup(func() { s.release(); l.Close() })
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer out.Close()
		go s.forward(out, in, before)
		_, _ = io.Copy(in, out) // until the test ends
	}()
	return s
}

func (s *stall) forward(to io.WriteCloser, from io.Reader, before string) {
	defer to.Close()
	var seen []byte
	buf := make([]byte, 32<<10)
	for sent := 0; ; {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		seen = append(seen, buf[:n]...)
		if at := bytes.Index(seen, []byte(before)); at >= 0 && sent <= at {
			if _, err := to.Write(seen[sent:at]); err != nil {
				return
			}
			sent = at
			close(s.held)
			<-s.free
		}
		if _, err := to.Write(seen[sent:]); err != nil {
			return
		}
		sent = len(seen)
	}
}

// sending is a sender for the stream as it is.
func sending(t *testing.T, url, member string, term uint64) sender {
	t.Helper()
	cfg := clusterConfig(url)
	cfg.Pair.Member = member
	nc := client(t, url)
	js := jetStream(t, nc)
	stream, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSender(cfg, term, answerTimeout, nc, js, stream.CachedInfo().Config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func changes(first, last uint64) (rows []binding.Change) {
	for seq := first; seq <= last; seq++ {
		rows = append(rows, change(seq))
	}
	return rows
}

// store stores the rows behind all that is there.
func store(t *testing.T, url string, s sender, incarnation string, rows ...binding.Change) (streamSeq uint64) {
	t.Helper()
	seq, err := s.store(t.Context(), incarnation, lastSeq(t, url), rows)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func lastSeq(t *testing.T, url string) uint64 {
	t.Helper()
	stream, err := jetStream(t, client(t, url)).Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// An outcome is what a sender's store returned.
type outcome struct {
	seq uint64
	err error
}

// stalled has a sender store changes 2 to 40 behind change 1, over a link that
// hangs within change 6.
func stalled(t *testing.T, op *operator, member string) (link *stall, result chan outcome) {
	t.Helper()
	store(t, op.url(), sending(t, op.url(), member, 1), "abc", change(1))
	link = newStall(t, op.srv.Addr().String(), "lab-abc-6\r")
	s := sending(t, "nats://"+link.Addr().String(), member, 1)
	result = make(chan outcome, 1)
	go func() {
		seq, err := s.store(context.WithoutCancel(t.Context()), "abc", 1, changes(2, 40))
		result <- outcome{seq, err}
	}()
	<-link.held
	return link, result
}

func streamOf(t *testing.T, op *operator, fast, atomic bool) (js jetstream.JetStream, cfg jetstream.StreamConfig) {
	t.Helper()
	js = jetStream(t, client(t, op.url()))
	cfg = jetstream.StreamConfig{Name: DefaultStream, Subjects: []string{streamSubjects}, AllowBatchPublish: fast, AllowAtomicPublish: atomic}
	create(t, js, cfg)
	return js, cfg
}

func TestWhatIsLeftOfAMembersBatchComesTooLateAfterATakeover(t *testing.T) {
	for name, stream := range map[string]struct {
		fast, atomic bool
		stored       int // of the batch, before the link hangs
	}{
		"atomic and fast batches": {true, true, 0},
		"fast batches only":       {true, false, 4},
		"no batches":              {false, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			op := newOperator(t, nil)
			streamOf(t, op, stream.fast, stream.atomic)
			link, result := stalled(t, op, "a")
			until(t, "the server has dealt with what came", func() bool { return lastSeq(t, op.url()) == uint64(1+stream.stored) })
			said := change(100)
			said.Seq = uint64(2 + stream.stored)
			store(t, op.url(), sending(t, op.url(), "b", 2), "abc", said)
			link.release()
			if late := <-result; late.err == nil {
				t.Errorf("the member was told that its changes are stored, the last one as number %d", late.seq)
			}
			list := readAll(t, client(t, op.url()))
			var last toldChange
			if err := json.Unmarshal(list[len(list)-1].payload, &last); err != nil {
				t.Fatal(err)
			}
			if len(list) != 2+stream.stored || last.Addr != said.Addr.String() {
				t.Errorf("%d messages, the last of %s, want %d up to that of the other member, %s", len(list), last.Addr, 2+stream.stored, said.Addr)
			}
		})
	}
}

func TestASecondDaemonWithinABatchIsNoticed(t *testing.T) {
	op := newOperator(t, nil)
	streamOf(t, op, true, true)
	link, result := stalled(t, op, "")
	until(t, "half of the batch is stored", func() bool { return lastSeq(t, op.url()) == 5 })
	cfg := clusterConfig(op.url())
	cfg.Journal.Incarnation = "def"
	outbox := newFakeOutbox()
	outbox.fill(1, 1)
	second := start(t, cfg, outbox, nil)
	second.awaitDelivered(1)
	link.release()
	<-result
	outbox.fill(2, 2)
	second.awaitProblem("another publisher")
}

func TestABatchIsRefusedThatTheStreamHasInPart(t *testing.T) {
	for name, stream := range map[string]struct{ fast, atomic bool }{
		"atomic batches": {false, true}, "one at a time": {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			op := newOperator(t, nil)
			streamOf(t, op, stream.fast, stream.atomic)
			s := sending(t, op.url(), "a", 1)
			last := store(t, op.url(), s, "abc", changes(1, 5)...)
			for _, rows := range [][]binding.Change{changes(5, 5), changes(5, 8), changes(5, 8+few)} {
				if _, err := s.store(t.Context(), "abc", last, rows); !errors.Is(err, errRepeated) {
					t.Errorf("%d changes: %v, want %v", len(rows), err, errRepeated)
				}
			}
			for _, rows := range [][]binding.Change{changes(6, 7), changes(6, 8+few)} {
				if _, err := s.store(t.Context(), "abc", last-1, rows); err == nil || errors.Is(err, errRepeated) {
					t.Errorf("%d that do not follow: %v", len(rows), err)
				}
			}
			for _, end := range []uint64{8, 8 + 2*few, 8 + 2*few + 1} {
				if last = store(t, op.url(), s, "abc", changes(last+1, end)...); last != end {
					t.Errorf("the last one is number %d of the stream, want %d", last, end)
				}
			}
			wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, last)
		})
	}
}

func TestAServerThatTakesNoBatchAsLargeGetsOneChangeAtATime(t *testing.T) {
	op := newOperator(t, func(o *server.Options) { o.JetStreamLimits.MaxBatchSize = 100 })
	streamOf(t, op, true, true)
	s := sending(t, op.url(), "a", 1)
	store(t, op.url(), s, "abc", change(1))
	for _, end := range []uint64{300, 600} {
		store(t, op.url(), s, "abc", changes(end-300+2, end)...)
		store(t, op.url(), s, "abc", change(end+1))
	}
	if _, err := s.store(t.Context(), "abc", 599, changes(602, 900)); err == nil {
		t.Error("changes are stored that do not follow")
	}
	wantChanges(t, readAll(t, client(t, op.url())), "abc", 1, 601)
}

func TestBatchesThatAreLeftOpenHoldNobodyUp(t *testing.T) {
	op := newOperator(t, nil)
	streamOf(t, op, true, true)
	store(t, op.url(), sending(t, op.url(), "a", 1), "abc", change(1))
	nc := client(t, op.url())
	for i := range 60 { // more than the server takes for a stream
		msg := &nats.Msg{Subject: "simbind.v1.lab.change.bound", Reply: nc.NewInbox(), Header: nats.Header{
			batchIDHeader: {fmt.Sprint(i)}, batchSequenceHeader: {"1"},
		}}
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s := sending(t, op.url(), "a", 1)
	store(t, op.url(), s, "abc", changes(2, 300)...)
	if _, err := s.store(t.Context(), "abc", 299, changes(301, 400)); err == nil {
		t.Error("changes are stored that do not follow")
	}
	store(t, op.url(), s, "abc", changes(301, 400)...)
	wantChanges(t, readAll(t, nc), "abc", 1, 400)
}

func TestAPairWithoutAtomicBatchesIsToldSo(t *testing.T) {
	op := newOperator(t, nil)
	js, cfg := streamOf(t, op, true, false)
	m := newMember(t, "a", op.url())
	m.says(binding.SessionStart, "1", "10.1.0.1", 1)
	until(t, "it is published", func() bool { return m.feed.State().Role == RoleActive && m.published() })
	if warnings := strings.Join(m.feed.State().Warnings, "\n"); !strings.Contains(warnings, "allow_atomic") {
		t.Errorf("no warning in %q", warnings)
	}
	cfg.AllowAtomicPublish = true
	update(t, js, cfg)
	m.crash()
	m.start()
	until(t, "there is no warning", func() bool {
		return m.feed.State().Role == RoleActive && !strings.Contains(strings.Join(m.feed.State().Warnings, "\n"), "allow_atomic")
	})
}

// BenchmarkSend is a batch, encoded, sent, stored and acknowledged, for each way
// to send: by one server in another process, and by a cluster in this one.
func BenchmarkSend(b *testing.B) {
	for _, way := range []struct {
		name, member string
		atomic       bool
	}{{"fast", "", false}, {"atomic", "a", true}, {"single", "a", false}} {
		for _, replicas := range []int{1, 3} {
			for _, size := range []int{1, 16, batchMax} {
				b.Run(fmt.Sprintf("%s/replicas=%d/size=%d", way.name, replicas, size), func(b *testing.B) {
					benchmarkSend(b, serversOf(b, replicas), way.member, size, jetstream.StreamConfig{
						Name: DefaultStream, Subjects: []string{streamSubjects}, Replicas: replicas, Duplicates: dedupeWindow,
						AllowBatchPublish: true, AllowAtomicPublish: way.atomic,
					})
				})
			}
		}
	}
}

func serversOf(b *testing.B, replicas int) (url string) {
	if replicas == 1 {
		addr, _ := startProcess(b, b.TempDir(), "127.0.0.1:0")
		return "nats://" + addr
	}
	var urls []string
	for _, n := range newCluster(b) {
		urls = append(urls, n.url())
	}
	return strings.Join(urls, ",")
}

func benchmarkSend(b *testing.B, url, member string, size int, stream jetstream.StreamConfig) {
	nc := client(b, url)
	js := jetStream(b, nc)
	until(b, "the servers make the stream", func() bool { _, err := js.CreateStream(b.Context(), stream); return err == nil })
	cfg := clusterConfig(url)
	cfg.Pair.Member = member
	s, err := newSender(cfg, 1, answerTimeout, nc, js, stream)
	if err != nil {
		b.Fatal(err)
	}
	rows, last := changes(1, uint64(size)), uint64(0)
	for b.Loop() {
		if last, err = s.store(b.Context(), "abc", last, rows); err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			rows[i].Seq += uint64(size)
		}
	}
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "changes/s")
}

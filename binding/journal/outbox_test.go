package journal

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

func (h *history) changes(seq uint64, n int) []binding.Change {
	var list []binding.Change
	for range n {
		seq++
		list = append(list, h.change(seq))
	}
	return list
}

func TestReadOutbox(t *testing.T) {
	j, h := openTest(t, vfs.NewMem()), newHistory(2)
	var all []binding.Change
	for _, n := range []int{1, 3, 0, groupMax, groupMax + 1, 5, 3 * groupMax, 2} {
		more := h.changes(uint64(len(all)), n)
		mustCommit(t, j, &binding.Batch{Changes: more})
		all = append(all, more...)
	}
	check := func(after uint64, limit int) {
		t.Helper()
		got, err := j.ReadOutbox(after, limit)
		if err != nil {
			t.Fatal(err)
		}
		from := min(max(after, j.trimmed.Load()), uint64(len(all)))
		want := all[from:min(from+uint64(max(limit, 0)), uint64(len(all)))]
		if len(got) != len(want) || len(want) != 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("after %d, %d at most: got %d changes, want %d", after, limit, len(got), len(want))
		}
	}
	read := func() {
		t.Helper()
		for range 200 {
			check(h.Uint64N(uint64(len(all))+3), h.IntN(600)-1)
		}
		check(1<<64-1, 1)
		check(0, 1<<30)
	}
	read()
	for _, upto := range []uint64{1, 2, 3, 100, 100, 7, 261, 600, uint64(len(all)) - 1, uint64(len(all)), 1 << 60} {
		if err := j.TrimOutbox(upto); err != nil {
			t.Fatal(err)
		}
		read()
		if first, last := j.OutboxRange(); first != j.trimmed.Load()+1 || last != uint64(len(all)) {
			t.Errorf("trimmed to %d: outbox is %d to %d", upto, first, last)
		}
	}
	more := h.changes(uint64(len(all)), 1)
	mustCommit(t, j, &binding.Batch{Changes: more})
	all = append(all, more...)
	read()
}

func TestNumberingOutlivesATrim(t *testing.T) {
	disk, h := vfs.NewMem(), newHistory(3)
	j := openTest(t, disk)
	mustCommit(t, j, &binding.Batch{Changes: h.changes(0, 300)})
	if err := j.TrimOutbox(300); err != nil {
		t.Fatal(err)
	}
	mustClose(t, j)
	j = openTest(t, disk)
	if m := j.Meta(); m.Seq != 300 {
		t.Errorf("last change is %d", m.Seq)
	}
	if list, err := j.ReadOutbox(0, 10); len(list) != 0 || err != nil {
		t.Errorf("%d changes are back, %v", len(list), err)
	}
	mustCommit(t, j, &binding.Batch{Changes: h.changes(300, 1)})
	if list, err := j.ReadOutbox(0, 10); len(list) != 1 || err != nil {
		t.Errorf("%d changes, %v", len(list), err)
	}
}

// groups lists the first numbers of the groups that are stored.
func groups(t *testing.T, j *Journal) []uint64 {
	t.Helper()
	it, err := newOutboxIter(j.store.db)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var list []uint64
	for ok := it.First(); ok; ok = it.Next() {
		first, err := outboxFirst(it.Key())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, first)
	}
	return list
}

func TestTrimFreesSpace(t *testing.T) {
	j, h := openTest(t, vfs.NewMem()), newHistory(4)
	var seq uint64
	for range 2 * sweepEvery / 100 {
		mustCommit(t, j, &binding.Batch{Changes: h.changes(seq, 100)})
		seq += 100
		if err := j.TrimOutbox(seq - 50); err != nil {
			t.Fatal(err)
		}
	}
	list := groups(t, j)
	if len(list) > sweepEvery/100+1 || list[len(list)-1] != seq-99 {
		t.Errorf("%d groups are left of %d changes", len(list), seq)
	}
	if list, err := j.ReadOutbox(0, 100); len(list) != 50 || err != nil {
		t.Errorf("%d changes, %v", len(list), err)
	}
}

// TestFailedBatchLeavesNoGroups commits a batch that reaches the disk although
// its sync fails, and then others in its place.
func TestFailedBatchLeavesNoGroups(t *testing.T) {
	for name, again := range map[string]struct {
		changes int
		groups  []uint64
	}{
		"the same": {300, []uint64{1, 11, 267}},
		"longer":   {600, []uint64{1, 11, 267, 523}},
		"shorter":  {3, []uint64{1, 11}},
		"none":     {0, []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &faults{mishap: done, match: func(op, _ string) bool { return op == "sync" }}
			disk, h := vfs.NewMem(), newHistory(5)
			j := openTest(t, f.wrap(disk))
			mustCommit(t, j, &binding.Batch{Changes: h.changes(0, 10)})
			f.from.Store(f.writes.Load())
			f.to.Store(1 << 60)
			if err := j.Commit(&binding.Batch{Changes: h.changes(10, 300)}); !isInjected(err) {
				t.Fatalf("got %v", err)
			}
			f.lift()
			select {
			case <-j.OutboxNotify():
			default:
				t.Error("the first commit was not notified")
			}
			b := &binding.Batch{Changes: h.changes(10, again.changes)}
			mustCommit(t, j, b)
			if got := groups(t, j); !reflect.DeepEqual(got, again.groups) {
				t.Errorf("groups at %v, want %v", got, again.groups)
			}
			list, err := j.ReadOutbox(10, 1000)
			if err != nil || len(list) != again.changes || len(list) != 0 && !reflect.DeepEqual(list, b.Changes) {
				t.Errorf("%d changes, %v", len(list), err)
			}
			mustClose(t, j)
			if seq := openTest(t, disk).Meta().Seq; seq != 10+uint64(again.changes) {
				t.Errorf("last change is %d", seq)
			}
		})
	}
}

// TestFailedBatchWasOnDisk makes sure that the test above tests something: what
// it replaces can really be there.
func TestFailedBatchWasOnDisk(t *testing.T) {
	f := &faults{mishap: done, match: func(op, _ string) bool { return op == "sync" }}
	disk, h := vfs.NewCrashableMem(), newHistory(5)
	j := openTest(t, f.wrap(disk))
	f.from.Store(f.writes.Load())
	f.to.Store(1 << 60)
	if err := j.Commit(&binding.Batch{Changes: h.changes(0, 300)}); !isInjected(err) {
		t.Fatalf("got %v", err)
	}
	if seq := openTest(t, killed(disk)).Meta().Seq; seq != 300 {
		t.Errorf("last change is %d", seq)
	}
}

// TestOutboxWhileCommitting reads and trims while another goroutine commits:
// each change is seen once and in order, and only after its Commit returned.
func TestOutboxWhileCommitting(t *testing.T) {
	j, h := openTest(t, vfs.NewMem()), newHistory(6)
	const commits = 300
	var wg sync.WaitGroup
	done := make(chan uint64, 1)
	wg.Go(func() {
		var seq uint64
		for i := range commits {
			n := h.IntN(60)
			if err := j.Commit(&binding.Batch{Changes: h.changes(seq, n), Alive: int64(i)}); err != nil {
				t.Error(err)
				break
			}
			seq += uint64(n)
		}
		done <- seq
	})
	stop := make(chan struct{})
	wg.Go(func() { follow(t, j, done, stop) })
	wg.Go(func() { pester(j, stop) })
	wg.Wait()
}

// follow is a feed. It ends, and closes stop, when it has seen the number that
// comes out of done.
func follow(t *testing.T, j *Journal, done chan uint64, stop chan struct{}) {
	defer close(stop)
	rnd := rand.New(rand.NewPCG(1, 1))
	var after, end uint64
	ended := false
	for !ended || after < end {
		select {
		case <-j.OutboxNotify():
		case end = <-done:
			ended = true
		}
		for {
			list, err := j.ReadOutbox(after, 1+rnd.IntN(100))
			if err != nil {
				t.Error(err)
				return
			}
			if len(list) == 0 {
				break
			}
			for i := range list {
				if list[i].Seq != after+1 {
					t.Errorf("change %d after %d", list[i].Seq, after)
					return
				}
				after++
			}
			if seq := j.Meta().Seq; seq < after {
				t.Errorf("change %d is shown before its commit returned", after)
			}
			if err := j.TrimOutbox(after - uint64(rnd.IntN(3))); err != nil {
				t.Error(err)
			}
		}
	}
}

// pester calls everything else until stop is closed.
func pester(j *Journal, stop chan struct{}) {
	for i := int64(0); ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		ch := make(chan prometheus.Metric, 100)
		j.Collector().Collect(ch)
		_ = j.Touch(i)
		_ = j.Load(&counting{})
		_, _ = j.OutboxRange()
	}
}

func TestMissingChangeIsAnError(t *testing.T) {
	j, h := openTest(t, vfs.NewMem()), newHistory(7)
	for _, first := range []uint64{0, 10, 20} {
		mustCommit(t, j, &binding.Batch{Changes: h.changes(first, 10)})
	}
	if err := j.store.db.Delete(appendOutboxKey(nil, 11), nil); err != nil {
		t.Fatal(err)
	}
	for after := range uint64(20) {
		if list, err := j.ReadOutbox(after, 30); !errors.Is(err, errMalformed) {
			t.Errorf("after %d: %d changes, %v", after, len(list), err)
		}
	}
	if list, err := j.ReadOutbox(20, 30); len(list) != 10 || err != nil {
		t.Errorf("%d changes, %v", len(list), err)
	}
}

package feed

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A fakeOutbox keeps changes in memory.
type fakeOutbox struct {
	mu     sync.Mutex
	rows   []binding.Change
	broken error
	notify chan struct{}
}

func newFakeOutbox() *fakeOutbox { return &fakeOutbox{notify: make(chan struct{}, 1)} }

func (o *fakeOutbox) ReadOutbox(after uint64, limit int) ([]binding.Change, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return nil, o.broken
	}
	i, found := slices.BinarySearchFunc(o.rows, after, func(c binding.Change, seq uint64) int {
		return int(int64(c.Seq) - int64(seq))
	})
	if found {
		i++
	}
	return slices.Clone(o.rows[i:min(i+limit, len(o.rows))]), nil
}

func (o *fakeOutbox) TrimOutbox(upto uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return o.broken
	}
	if n := len(o.rows); n > 0 && upto > o.rows[n-1].Seq {
		return fmt.Errorf("trim up to %d beyond %d", upto, o.rows[n-1].Seq)
	}
	o.rows = slices.DeleteFunc(o.rows, func(c binding.Change) bool { return c.Seq <= upto })
	return nil
}

func (o *fakeOutbox) OutboxNotify() <-chan struct{} { return o.notify }

// add appends changes like a commit of the journal.
func (o *fakeOutbox) add(rows ...binding.Change) {
	o.mu.Lock()
	o.rows = append(o.rows, rows...)
	o.mu.Unlock()
	select {
	case o.notify <- struct{}{}:
	default:
	}
}

// fill adds changes numbered from first to last.
func (o *fakeOutbox) fill(first, last uint64) {
	for seq := first; seq <= last; seq++ {
		o.add(change(seq))
	}
}

func (o *fakeOutbox) breakWith(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = err
}

func (o *fakeOutbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

var errDisk = errors.New("disk is gone")

var testTime = time.Date(2026, 3, 1, 10, 0, 0, 125e6, time.UTC)

// change makes a change whose whole content follows from its number.
func change(seq uint64) binding.Change {
	addr, err := binding.IPv4(netip.AddrFrom4([4]byte{10, byte(seq >> 16), byte(seq >> 8), byte(seq)}))
	if err != nil {
		panic(err)
	}
	return binding.Change{
		Seq: seq, Kind: binding.ChangeKind(1 + seq%5),
		At: testTime.Add(time.Duration(seq) * time.Millisecond), EventTime: testTime,
		Domain: "internet", Addr: addr,
		Now: binding.Subscriber{MSISDN: binding.MSISDN(491700000000 + seq), IMSI: imsi("001010000000001"), IMEI: imei("3534900698733190")},
		APN: "internet", RAT: 6, Node: "pgw1.example", Sources: binding.SourceSet(0).Add(binding.SourceGx), Why: "start",
	}
}

func imsi(s string) binding.IMSI {
	i, err := binding.ParseIMSI(s)
	if err != nil {
		panic(err)
	}
	return i
}

func imei(s string) binding.IMEI {
	i, err := binding.ParseIMEI(s)
	if err != nil {
		panic(err)
	}
	return i
}

func prefix(t testing.TB, s string) binding.Address {
	t.Helper()
	a, err := binding.NewAddress(netip.MustParsePrefix(s))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

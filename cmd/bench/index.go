package main

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/simbind/simbind/binding/index"
)

// runIndex compares a read from a table of the given number of keys, half IPv4
// addresses and half IPv6 /64, with a read from a bare array that takes as much
// memory of the same kind, alone and beside a writer. One reader, one writer.
func runIndex(ctx context.Context, s *stage) ([]result, error) {
	array, table, closeAll, err := newSubjects(s.sessions)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	for range s.rounds {
		for _, how := range manners {
			for _, sub := range []*subject{array, table} {
				sub.times[how] = append(sub.times[how], sub.measure(ctx, s.scale(1_000_000), how))
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return indexResults(s.sessions, array, table), nil
}

// A manner is how reads are made: one waits for each answer before it asks the
// next question, as a single lookup does; many ask without waiting, so that the
// processor overlaps what it can.
type manner struct{ many, beside bool }

var manners = []manner{{many: false}, {many: false, beside: true}, {many: true}, {many: true, beside: true}}

func (m manner) String() string {
	text := "one after the other"
	if m.many {
		text = "overlapping"
	}
	if m.beside {
		text += fmt.Sprintf(", beside %d writes/s", writesPerSecond)
	}
	return text
}

func indexResults(n int, array, table *subject) []result {
	var list []result
	for _, how := range manners {
		list = append(list, versus("lookup, "+how.String(), "s", table.times[how], "bare array", array.times[how], atMost(3)))
	}
	list[0] = list[0].noted("%d keys; the array takes as many bytes as the table: %d MB; time of the reading thread's processor", n, index.TableWords(n)*8>>20)
	for _, many := range []bool{false, true} {
		how, beside := manner{many: many}, manner{many: many, beside: true}
		list = append(list, versus("slowed by the writer, "+how.String(), "s", table.times[beside], "alone", table.times[how], atMost(1.2)))
	}
	allocs := testing.AllocsPerRun(1000, func() { table.one(1) })
	return append(list, figure("allocations a lookup", "", []float64{allocs}, &goal{Zero: true}))
}

// A subject is one thing to read from while it may be written.
type subject struct {
	one, many func(reads int) (sum uint64)
	write     func(changes int)
	times     map[manner][]float64 // seconds a read
}

func newSubjects(n int) (array, table *subject, closeAll func(), err error) {
	words := index.TableWords(n)
	arrayMemory, err := index.Map(words)
	if err != nil {
		return nil, nil, nil, err
	}
	tableMemory, err := index.Map(words)
	if err != nil {
		arrayMemory.Close()
		return nil, nil, nil, err
	}
	closeAll = func() { arrayMemory.Close(); tableMemory.Close() }
	return arraySubject(arrayMemory.Words()), tableSubject(tableMemory.Words(), uint64(n)), closeAll, nil
}

func arraySubject(words []uint64) *subject {
	for i := range words {
		words[i] = uint64(i)
	}
	var r, w random = 1, 1
	n := uint64(len(words))
	return &subject{
		times: map[manner][]float64{},
		one: func(reads int) (sum uint64) {
			for range reads {
				sum = atomic.LoadUint64(&words[r.below(n-1)+sum&1])
			}
			return sum
		},
		many: func(reads int) (sum uint64) {
			for range reads {
				sum += atomic.LoadUint64(&words[r.below(n)])
			}
			return sum
		},
		write: func(changes int) {
			for range changes {
				atomic.AddUint64(&words[w.below(n)], 2)
			}
		},
	}
}

func tableSubject(words []uint64, n uint64) *subject {
	t := index.NewTable(words, int(n))
	for i := range n {
		t.Put(indexKey(i), index.Value{W: [4]uint64{i}})
	}
	var r, w random = 1, 1
	return &subject{
		times: map[manner][]float64{},
		one: func(reads int) (sum uint64) {
			for range reads {
				v, _, _ := t.Get(indexKey(r.below(n-1) + sum&1))
				sum = v.W[0]
			}
			return sum
		},
		many: func(reads int) (sum uint64) {
			for range reads {
				v, _, _ := t.Get(indexKey(r.below(n)))
				sum += v.W[0]
			}
			return sum
		},
		// Half of the writes replace a value; the others take a key out and put
		// it back: two changes.
		write: func(changes int) {
			for changes > 0 {
				i := w.below(n)
				if w&(1<<40) == 0 {
					t.Delete(indexKey(i))
					changes--
				}
				t.Put(indexKey(i), index.Value{W: [4]uint64{i}})
				changes--
			}
		},
	}
}

// indexKey is the i-th key: even ones IPv4 addresses, odd ones IPv6 /64.
func indexKey(i uint64) index.Key {
	if i&1 == 0 {
		return index.NewKey(0, 0, 32, 10<<56|i<<31, 0)
	}
	return index.NewKey(0, 1, 64, 0x20010db8<<32|i>>1, 0)
}

// random is a small generator with no memory.
type random uint64

func (r *random) below(n uint64) uint64 {
	*r = *r*6364136223846793005 + 1442695040888963407
	i, _ := bits.Mul64(uint64(*r), n)
	return i
}

// measure returns the seconds of one read, in time of this thread's processor,
// so that what else runs on the machine counts as little as possible.
func (sub *subject) measure(ctx context.Context, reads int, how manner) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	read := sub.one
	if how.many {
		read = sub.many
	}
	if how.beside {
		defer pace(ctx, sub.write)()
	}
	read(reads / 10)
	began := threadTime()
	sum := read(reads)
	elapsed := threadTime() - began
	runtime.KeepAlive(sum)
	return elapsed.Seconds() / float64(reads)
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(ts.Nano())
}

const writesPerSecond = 100_000

// pace writes at writesPerSecond, in steps of a millisecond, until stop.
func pace(ctx context.Context, write func(times int)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		start, total := time.Now(), 0
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				due := int(now.Sub(start).Seconds()*writesPerSecond) - total
				write(due)
				total += due
			}
		}
	}()
	return func() { cancel(); <-done }
}

package index

import (
	"context"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The benchmarks compare reads from a table of INDEX_ENTRIES keys (default a
// million; half IPv4 addresses, half IPv6 /64) with reads from a bare array
// that takes as much memory of the same kind, alone and beside a writer that
// makes 100 000 changes a second:
//
//	INDEX_ENTRIES=20000000 go test -run '^$' -bench . -count 5 ./binding/index
//	INDEX_ENTRIES=20000000 go test -run '^$' -bench Ratio -benchtime 500x ./binding/index
//
// "one" waits for each answer before it asks the next question, as a single
// lookup does; "many" asks without waiting, so that the processor overlaps
// what it can. Longest answers from the longest length in use here; each
// longer one in use costs one GetMiss more.

const writesPerSecond = 100_000

func benchEntries(b *testing.B) uint64 {
	s := os.Getenv("INDEX_ENTRIES")
	if s == "" {
		return 1_000_000
	}
	n, err := strconv.ParseUint(s, 10, 30)
	if err != nil || n < 2 {
		b.Fatalf("INDEX_ENTRIES=%s: not a number of entries", s)
	}
	return n
}

func benchWords(b *testing.B, words int) []uint64 {
	m, err := Map(words)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	return m.Words()
}

// benchKey is the i-th key: even ones IPv4, odd ones IPv6. No branch, as the
// processor would guess it wrongly every other time.
func benchKey(i uint64) Key {
	six := -(i & 1)
	return Key{Hi: (10<<56+i<<31)&^six | (0x20010db8<<32+i>>1)&six, Meta: uint32(32 + six&(1<<8+32))}
}

func benchTable(b *testing.B) (*Table, uint64) {
	n := benchEntries(b)
	t := NewTable(benchWords(b, TableWords(int(n))), int(n))
	for i := range n {
		if !t.Put(benchKey(i), Value{W: [4]uint64{i}}) {
			b.Fatal("table is full")
		}
	}
	return t, n
}

// random is a small generator: the same for every benchmark, with no memory.
type random uint64

func (r *random) below(n uint64) uint64 {
	*r = *r*6364136223846793005 + 1442695040888963407
	i, _ := bits.Mul64(uint64(*r), n)
	return i
}

// A loop makes so many reads.
type loop func(reads int) (sum uint64)

// measure runs each loop alone and beside write, which makes so many changes.
func measure(b *testing.B, one, many loop, write func(changes int)) {
	for _, how := range []struct {
		name string
		read loop
	}{{"one", one}, {"many", many}} {
		if how.read == nil {
			continue
		}
		b.Run(how.name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			keep(b, how.read(b.N))
		})
		b.Run(how.name+"/writer", func(b *testing.B) {
			stop := startWriter(b, write)
			keep(b, how.read(b.N))
			stop()
		})
	}
}

func startWriter(b *testing.B, write func(changes int)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int)
	start := time.Now()
	go func() { done <- pace(ctx, write) }()
	return func() {
		took := time.Since(start)
		cancel()
		b.ReportMetric(float64(<-done)/took.Seconds(), "writes/s")
	}
}

func pace(ctx context.Context, write func(changes int)) (total int) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return total
		case now := <-ticker.C:
			due := int(now.Sub(start).Seconds()*writesPerSecond) - total
			write(due)
			total += due
		}
	}
}

func keep(b *testing.B, sum uint64) {
	if sum == 1<<63 {
		b.Log(sum)
	}
}

func BenchmarkBareArray(b *testing.B) {
	words := benchArray(b)
	one, many := arrayLoops(words)
	var w random = 1
	measure(b, one, many, func(changes int) {
		for range changes {
			words[w.below(uint64(len(words)))] += 2
		}
	})
}

func BenchmarkGet(b *testing.B) {
	t, n := benchTable(b)
	one, many := getLoops(t, n)
	measure(b, one, many, churn(t, n))
}

func BenchmarkGetMiss(b *testing.B) {
	t, n := benchTable(b)
	measure(b, nil, missLoop(t, n), churn(t, n))
}

func BenchmarkLongest(b *testing.B) {
	t, n := benchTable(b)
	one, many := longestLoops(t, n)
	measure(b, one, many, churn(t, n))
}

// BenchmarkRatio is for a machine that is not quiet. It makes short rounds of
// each kind of read in turn, without and with the writer, so that all meet the
// same disturbance. It reports the median time of each, in ns, as a multiple
// of the bare array's (x) and, with the writer, of that without (slower);
// ns/op means nothing here.
func BenchmarkRatio(b *testing.B) {
	words := benchArray(b)
	t, n := benchTable(b)
	write := churn(t, n)
	arrayOne, arrayMany := arrayLoops(words)
	getOne, getMany := getLoops(t, n)
	longestOne, longestMany := longestLoops(t, n)
	b.Run("one", func(b *testing.B) { rounds(b, write, arrayOne, getOne, longestOne) })
	b.Run("many", func(b *testing.B) { rounds(b, write, arrayMany, getMany, longestMany) })
}

func rounds(b *testing.B, write func(changes int), array, get, longest loop) {
	const reads = 5000
	loops := [...]loop{array, get, longest}
	var alone, beside [len(loops)][]float64
	round := func(times *[len(loops)][]float64) {
		for i, read := range loops {
			keep(b, read(reads)) // another processor, perhaps: warm its caches
			start := time.Now()
			keep(b, read(reads))
			times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/reads)
		}
	}
	for range b.N {
		round(&alone)
		stop := startWriter(b, write)
		round(&beside)
		stop()
	}
	for i, name := range []string{"array", "get", "longest"} {
		b.ReportMetric(median(alone[i]), name+"-ns")
		b.ReportMetric(median(beside[i])/median(alone[i]), name+"-slower")
		if i > 0 {
			b.ReportMetric(median(alone[i])/median(alone[0]), name+"-x")
		}
	}
}

func median(times []float64) float64 {
	slices.Sort(times)
	return times[len(times)/2]
}

func benchArray(b *testing.B) []uint64 {
	words := benchWords(b, TableWords(int(benchEntries(b))))
	for i := range words {
		words[i] = uint64(i)
	}
	return words
}

func arrayLoops(words []uint64) (one, many loop) {
	seed := random(2)
	n := uint64(len(words))
	one = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			sum = words[r.below(n-1)+sum&1]
		}
		return sum
	}
	many = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			sum += words[r.below(n)]
		}
		return sum
	}
	return one, many
}

func getLoops(t *Table, n uint64) (one, many loop) {
	seed := random(3)
	one = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			v, _, _ := t.Get(benchKey(r.below(n-1) + sum&1))
			sum = v.W[0]
		}
		return sum
	}
	many = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			v, _, _ := t.Get(benchKey(r.below(n)))
			sum += v.W[0]
		}
		return sum
	}
	return one, many
}

func missLoop(t *Table, n uint64) loop {
	seed := random(5)
	return func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			v, _, _ := t.Get(benchKey(n + r.below(n)))
			sum += v.W[0]
		}
		return sum
	}
}

func longestLoops(t *Table, n uint64) (one, many loop) {
	seed := random(4)
	one = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			k := benchKey(r.below(n-1) + sum&1)
			_, v, _, _ := t.Longest(0, k.Class(), k.Hi, k.Lo, maxBits)
			sum = v.W[0]
		}
		return sum
	}
	many = func(reads int) (sum uint64) {
		r := random(seed.below(1 << 62))
		for range reads {
			k := benchKey(r.below(n))
			_, v, _, _ := t.Longest(0, k.Class(), k.Hi, k.Lo, maxBits)
			sum += v.W[0]
		}
		return sum
	}
	return one, many
}

// churn replaces the value of a key, or takes the key out and puts it back: two
// changes.
func churn(t *Table, n uint64) func(changes int) {
	var w random = 1
	return func(changes int) {
		for changes > 0 {
			i := w.below(n)
			if w&(1<<40) == 0 {
				t.Delete(benchKey(i))
				changes--
			}
			t.Put(benchKey(i), Value{W: [4]uint64{i}})
			changes--
		}
	}
}

func BenchmarkPutReplace(b *testing.B) {
	t, n := benchTable(b)
	var w random = 1
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		i := w.below(n)
		t.Put(benchKey(i), Value{W: [4]uint64{i}})
	}
}

func BenchmarkDeletePut(b *testing.B) {
	t, n := benchTable(b)
	var w random = 1
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		i := w.below(n)
		t.Delete(benchKey(i))
		t.Put(benchKey(i), Value{W: [4]uint64{i}})
	}
}

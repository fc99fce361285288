package crowdtest

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Latencies counts durations in buckets that are at most 1/16 wide, so that a
// long run needs no memory for each request. Anyone may add.
type Latencies struct {
	buckets [64 * 16]atomic.Uint64
	count   atomic.Uint64
}

// Add counts one.
func (l *Latencies) Add(d time.Duration) {
	l.buckets[bucketOf(uint64(max(d, 0)))].Add(1)
	l.count.Add(1)
}

func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-5, 0)
	return shift*16 + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(bucket int) uint64 {
	if bucket < 32 {
		return uint64(bucket)
	}
	shift := bucket/16 - 1
	return uint64(bucket-shift*16+1)<<shift - 1
}

// Quantile is the duration that the fraction q of those added did not exceed,
// or zero if there are none.
func (l *Latencies) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(l.count.Load()))
	var seen uint64
	last := 0
	for i := range l.buckets {
		n := l.buckets[i].Load()
		if n == 0 {
			continue
		}
		if seen += n; seen > rank {
			return time.Duration(upper(i))
		}
		last = i
	}
	return time.Duration(upper(last))
}

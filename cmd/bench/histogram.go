package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are at most 1/16 wide, in a fixed
// amount of memory. It is for one goroutine.
type histogram struct {
	buckets [64 * 16]uint64
	count   uint64
	max     time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	v := uint64(d)
	shift := max(bits.Len64(v)-5, 0)
	h.buckets[shift*16+int(v>>shift)]++
	h.count++
	h.max = max(h.max, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// quantile is the duration that the fraction q of those added did not exceed,
// in seconds, rounded up to the end of its bucket.
func (h *histogram) quantile(q float64) float64 {
	rank := uint64(q * float64(h.count))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen > rank {
			return min(upper(i), h.max).Seconds()
		}
	}
	return h.max.Seconds()
}

// upper is the largest value of a bucket.
func upper(bucket int) time.Duration {
	if bucket < 32 {
		return time.Duration(bucket)
	}
	shift := bucket/16 - 1
	return time.Duration(uint64(bucket-shift*16+1)<<shift - 1)
}

package index

import "fmt"

// A Carver cuts one piece of memory into consecutive regions.
type Carver struct {
	rest []uint64
}

// NewCarver cuts words, which should start at a cache line.
func NewCarver(words []uint64) *Carver { return &Carver{rest: words} }

// Take cuts off the next n words. The region after it starts at a multiple of
// 64 bytes. It panics when fewer than Aligned(n) words are left.
func (c *Carver) Take(n int) []uint64 {
	used := Aligned(n)
	if n < 0 || used > len(c.rest) {
		panic(fmt.Sprintf("index: carve %d words of %d left", n, len(c.rest)))
	}
	region := c.rest[:n:n]
	c.rest = c.rest[used:]
	return region
}

// Aligned is the number of words that Take(n) uses up.
func Aligned(n int) int { return (n + lineWords - 1) &^ (lineWords - 1) }

package index

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	wordBytes = 8
	lineWords = 8 // a cache line of 64 bytes
)

// A Memory is one private anonymous mapping outside the Go heap, so that the
// garbage collector never looks at it. Pages are zero and are taken from the
// system when they are first touched.
type Memory struct {
	mapped []byte
}

// Map reserves memory for the given number of words (at least 1). Huge pages
// are asked for; a system that has none is no error.
func Map(words int) (*Memory, error) {
	if words < 1 || words > 1<<56 {
		return nil, fmt.Errorf("map %d words: out of range", words)
	}
	mapped, err := unix.Mmap(-1, 0, words*wordBytes, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d words: %w", words, err)
	}
	_ = unix.Madvise(mapped, unix.MADV_HUGEPAGE) // advice: slower without, never wrong
	return &Memory{mapped: mapped}, nil
}

// Words is the memory as words, aligned to a page. It is nil after Close.
func (m *Memory) Words() []uint64 {
	if len(m.mapped) == 0 {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&m.mapped[0])), len(m.mapped)/wordBytes)
}

// Close gives the memory back. Whatever was built on its words must no longer
// be used by any goroutine: an access would end the process. A second Close
// does nothing.
func (m *Memory) Close() error {
	if m.mapped == nil {
		return nil
	}
	if err := unix.Munmap(m.mapped); err != nil {
		return fmt.Errorf("unmap: %w", err)
	}
	m.mapped = nil
	return nil
}

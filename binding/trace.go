package binding

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// traceSize is how many recent events can be traced.
const traceSize = 1 << 16

// A traceRing keeps the last events and what became of them.
type traceRing struct {
	mu      sync.Mutex
	entries []TraceEntry
	next    int
}

func (t *traceRing) add(entries []TraceEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		if len(t.entries) < traceSize {
			t.entries = append(t.entries, e)
			continue
		}
		t.entries[t.next] = e
		t.next = (t.next + 1) % traceSize
	}
}

// Trace returns recent events of one subscriber or address, newest first. The
// key is an address, a number with '+', or an IMSI.
func (r *Registry) Trace(key string, limit int) ([]TraceEntry, error) {
	if limit < 1 || limit > maxSelection {
		return nil, fmt.Errorf("limit %d is not within 1 to %d", limit, maxSelection)
	}
	is, err := traceMatch(key)
	if err != nil {
		return nil, err
	}
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	found := []TraceEntry{}
	n := len(r.ring.entries)
	for i := range n {
		e := &r.ring.entries[(r.ring.next+n-1-i)%n]
		if is(e) {
			if found = append(found, *e); len(found) == limit {
				break
			}
		}
	}
	return found, nil
}

func traceMatch(key string) (func(*TraceEntry) bool, error) {
	if addr, err := ParseAddr(key); err == nil {
		return func(e *TraceEntry) bool {
			return slices.ContainsFunc(e.Addrs, func(a Address) bool { return a.Prefix.Contains(addr) })
		}, nil
	}
	if strings.HasPrefix(key, "+") {
		m, err := ParseMSISDN(key)
		return func(e *TraceEntry) bool { return e.MSISDN == m }, err
	}
	imsi, err := ParseIMSI(key)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address, a number with '+' or an IMSI", key)
	}
	return func(e *TraceEntry) bool { return e.IMSI == imsi }, nil
}

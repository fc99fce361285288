package registry

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// traceSize is how many recent events can be traced.
const traceSize = 1 << 16

// A traceRing keeps the last events and what became of them.
type traceRing struct {
	mu      sync.Mutex
	entries []binding.TraceEntry
	next    int
}

func (t *traceRing) add(entries []binding.TraceEntry) {
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
func (r *Registry) Trace(key string, limit int) ([]binding.TraceEntry, error) {
	if limit < 1 || limit > table.MaxSelection {
		return nil, fmt.Errorf("limit %d is not within 1 to %d", limit, table.MaxSelection)
	}
	is, err := traceMatch(key)
	if err != nil {
		return nil, err
	}
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	found := []binding.TraceEntry{}
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

func traceMatch(key string) (func(*binding.TraceEntry) bool, error) {
	if addr, err := binding.ParseAddr(key); err == nil {
		return func(e *binding.TraceEntry) bool {
			return slices.ContainsFunc(e.Addrs, func(a binding.Address) bool { return a.Prefix.Contains(addr) })
		}, nil
	}
	if strings.HasPrefix(key, "+") {
		m, err := binding.ParseMSISDN(key)
		return func(e *binding.TraceEntry) bool { return e.MSISDN == m }, err
	}
	imsi, err := binding.ParseIMSI(key)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address, a number with '+' or an IMSI", key)
	}
	return func(e *binding.TraceEntry) bool { return e.IMSI == imsi }, nil
}

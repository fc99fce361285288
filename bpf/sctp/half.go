package sctp

import (
	"slices"
	"time"
)

const (
	// maxHeld and maxFragments bound what waits of one direction for the rest
	// of its message.
	maxHeld      = 256 << 10
	maxFragments = 1024
	// maxRuns bounds the runs of TSNs that are known beyond a hole.
	maxRuns = 64
	// maxAhead is how far from the next TSN one may be that is of the same
	// sequence; maxBehind is how many chunks in a row may be further away, or
	// of what came already, before the sequence is taken up where they are.
	maxAhead  = 1 << 14
	maxBehind = 32
)

// A half is one direction of an association.
type half struct {
	association *association
	side        Side
	direction   direction
	// known: next is the lowest TSN that did not come yet.
	known  bool
	next   uint32
	runs   []run // that came beyond it, in order and apart
	behind int
	// held are fragments of messages that are not whole, by TSN.
	held      []heldFragment
	heldBytes int
}

// A run is TSNs in a row, and when the first of them came.
type run struct {
	from, to uint32 // to is the last
	at       time.Time
}

type heldFragment struct {
	fragment
	at time.Time
}

func (h *half) ahead(tsn uint32) int { return int(int32(tsn - h.next)) }

// after reports whether TSN a is after b (RFC 9260 section 1.6).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// note marks a TSN as come. It reports false for one that came before.
func (h *half) note(tsn uint32, at time.Time) (fresh, moved bool) {
	if !h.known {
		h.known, h.next = true, tsn
	}
	ahead := h.ahead(tsn)
	i, in := h.find(tsn)
	if ahead < 0 || ahead > maxAhead || in {
		if h.behind++; h.behind < maxBehind {
			return false, false
		}
		h.drop()
		h.runs, h.behind, h.next = nil, 0, tsn+1
		return true, true
	}
	h.behind = 0
	h.insert(i, tsn, at)
	h.advance()
	return true, false
}

// find is the place among the runs for a TSN, and whether it is in one.
func (h *half) find(tsn uint32) (i int, in bool) {
	for i = range h.runs {
		if !after(tsn, h.runs[i].to) {
			return i, !after(h.runs[i].from, tsn)
		}
	}
	return len(h.runs), false
}

// insert adds a TSN that is in no run; i is the first run behind it.
func (h *half) insert(i int, tsn uint32, at time.Time) {
	before := i > 0 && h.runs[i-1].to+1 == tsn
	behind := i < len(h.runs) && h.runs[i].from == tsn+1
	switch {
	case before && behind:
		h.runs[i-1].to = h.runs[i].to
		h.runs = slices.Delete(h.runs, i, i+1)
	case before:
		h.runs[i-1].to = tsn
	case behind:
		h.runs[i].from = tsn
	default:
		h.runs = slices.Insert(h.runs, i, run{tsn, tsn, at})
	}
}

// advance takes up the run that begins at the next TSN.
func (h *half) advance() {
	if len(h.runs) > 0 && h.runs[0].from == h.next {
		h.next = h.runs[0].to + 1
		h.runs = slices.Delete(h.runs, 0, 1)
	}
}

// skip gives up the first hole, and what cannot become whole without it.
func (h *half) skip() {
	h.next = h.runs[0].from
	h.advance()
	h.prune()
}

// prune drops fragments of messages that miss a TSN that was given up: those
// without a row of fragments from their beginning to the next TSN.
func (h *half) prune() {
	for i := 0; i < len(h.held) && after(h.next, h.held[i].tsn); {
		j := i + 1
		for j < len(h.held) && h.joined(j) {
			j++
		}
		if h.held[i].begins && !after(h.next, h.held[j-1].tsn+1) {
			return // its end is still to come
		}
		h.remove(i, j)
	}
}

// joined reports whether the fragment with that number continues the one
// before it.
func (h *half) joined(i int) bool {
	return h.held[i].tsn == h.held[i-1].tsn+1 && h.held[i].continues(&h.held[i-1].fragment)
}

func (h *half) remove(i, j int) {
	for _, f := range h.held[i:j] {
		h.heldBytes -= len(f.data)
	}
	h.held = slices.Delete(h.held, i, j)
}

// take keeps a copy of a fragment, and returns the message that it makes whole.
func (h *half) take(f fragment, at time.Time) (message []byte, whole bool) {
	i, found := slices.BinarySearchFunc(h.held, f.tsn, func(held heldFragment, tsn uint32) int { return int(int32(held.tsn - tsn)) })
	if found {
		return nil, false
	}
	f.data = slices.Clone(f.data)
	h.held = slices.Insert(h.held, i, heldFragment{f, at})
	h.heldBytes += len(f.data)
	first, end := i, i+1
	for first > 0 && h.joined(first) {
		first--
	}
	for end < len(h.held) && h.joined(end) {
		end++
	}
	if !h.held[first].begins || !h.held[end-1].ends {
		return nil, false
	}
	for _, part := range h.held[first:end] {
		message = append(message, part.data...)
	}
	h.remove(first, end)
	return message, true
}

// drop forgets all fragments.
func (h *half) drop() { h.held, h.heldBytes = nil, 0 }

// overdue gives up holes that were waited for long enough, or are too many, and
// reports whether there were any.
func (h *half) overdue(now time.Time, patience time.Duration) (gaps int) {
	for len(h.runs) > 0 && (len(h.runs) > maxRuns || now.Sub(h.oldest()) >= patience) {
		h.skip()
		gaps++
	}
	for len(h.held) > 0 && now.Sub(h.held[0].at) >= 10*patience && patience > 0 {
		h.remove(0, 1)
	}
	return gaps
}

func (h *half) oldest() time.Time {
	oldest := h.runs[0].at
	for _, r := range h.runs[1:] {
		if r.at.Before(oldest) {
			oldest = r.at
		}
	}
	return oldest
}

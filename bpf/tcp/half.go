package tcp

import (
	"slices"
	"time"
)

const (
	// maxHeld bounds the octets of one direction that wait for a hole to be
	// filled.
	maxHeld   = 256 << 10
	maxPieces = 1024
	// maxAhead is how far from the next octet one may be that is of the same
	// stream. An end that keeps sending beyond is followed there.
	maxAhead = 16 << 20
	// maxBehind is how many segments in a row may be of what was passed
	// already, or too far ahead. More, and it was not the true stream that was
	// followed.
	maxBehind = 32
	// disorder is how long a hole is waited for that the receiver says it does
	// not have.
	disorder = 200 * time.Millisecond
)

// A half is one direction of a connection.
type half struct {
	// known: next is the sequence number of the octet to come.
	known bool
	next  uint32
	// first is the sequence number of the SYN, if it was seen.
	first    uint32
	hasFirst bool
	// held are segments after a hole, by sequence number and apart from each
	// other.
	held      []piece
	heldBytes int
	behind    int
	acked     uint32 // by the other end
	hasAcked  bool
	end       uint32 // of the stream, where hasEnd
	hasEnd    bool
}

// A piece is the payload of a segment that came before its turn.
type piece struct {
	seq  uint32
	at   time.Time
	data []byte
}

// begin has the half expect the octet after a SYN.
func (h *half) begin(seq uint32) {
	*h = half{known: true, next: seq + 1, first: seq, hasFirst: true}
}

// ahead is how far a sequence number is after the next octet (RFC 9293 section
// 3.4: modulo 2^32).
func (h *half) ahead(seq uint32) int { return int(int32(seq - h.next)) }

// done reports that all of a stream that ended was passed on.
func (h *half) done() bool { return h.hasEnd && h.known && h.ahead(h.end) <= 0 }

// take puts a payload into its place. out is told of what is in order then.
func (h *half) take(seq uint32, data []byte, at time.Time, out output) {
	if !h.known {
		h.known, h.next = true, seq
		out.midway()
	}
	ahead := h.ahead(seq)
	switch {
	case ahead > maxAhead || -ahead >= len(data):
		h.elsewhere(seq, data, at, out)
		return
	case ahead < 0:
		data, ahead = data[-ahead:], 0
	}
	h.behind = 0
	if ahead > 0 {
		h.hold(seq, data, at)
		if h.heldBytes > maxHeld || len(h.held) > maxPieces {
			h.skip(out)
		}
		return
	}
	h.pass(data, at, out)
	h.drain(out)
}

// elsewhere notes a segment of octets that were passed on already, or are out
// of reach. Probes to keep a connection alive are such, too, and have one octet
// at most (RFC 9293 section 3.8.4).
func (h *half) elsewhere(seq uint32, data []byte, at time.Time, out output) {
	if len(data) <= 1 {
		return
	}
	if h.behind++; h.behind < maxBehind {
		return
	}
	h.drop()
	h.behind, h.next = 0, seq
	out.gap(at)
	h.pass(data, at, out)
}

func (h *half) pass(data []byte, at time.Time, out output) {
	h.next += uint32(len(data))
	out.data(at, data)
}

// hold keeps a copy of what is not held yet of a payload.
func (h *half) hold(seq uint32, data []byte, at time.Time) {
	i := 0
	for ; i < len(h.held) && len(data) > 0; i++ {
		p := &h.held[i]
		if before := int(int32(p.seq - seq)); before > 0 {
			if before >= len(data) {
				break
			}
			h.insert(i, piece{seq, at, slices.Clone(data[:before])})
			i++
			seq, data = seq+uint32(before), data[before:]
			p = &h.held[i]
		}
		if covered := int(int32(p.seq+uint32(len(p.data))) - int32(seq)); covered > 0 {
			covered = min(covered, len(data))
			seq, data = seq+uint32(covered), data[covered:]
		}
	}
	if len(data) > 0 {
		h.insert(i, piece{seq, at, slices.Clone(data)})
	}
}

func (h *half) insert(i int, p piece) {
	h.held = slices.Insert(h.held, i, p)
	h.heldBytes += len(p.data)
}

// drain passes on what the hole before it no longer holds back.
func (h *half) drain(out output) {
	n := 0
	for ; n < len(h.held); n++ {
		p := h.held[n]
		ahead := h.ahead(p.seq)
		if ahead > 0 {
			break
		}
		h.heldBytes -= len(p.data)
		if -ahead < len(p.data) {
			h.pass(p.data[-ahead:], p.at, out)
		}
	}
	h.held = slices.Delete(h.held, 0, n)
}

// skip gives up the first hole.
func (h *half) skip(out output) {
	if len(h.held) == 0 {
		return
	}
	h.next = h.held[0].seq
	out.gap(h.held[0].at)
	h.drain(out)
}

// drop forgets what is held.
func (h *half) drop() { h.held, h.heldBytes = nil, 0 }

// overdue gives up holes that were waited for long enough: shortly where the
// receiver has what we miss.
func (h *half) overdue(now time.Time, patience time.Duration, out output) {
	for len(h.held) > 0 {
		limit := patience
		if h.hasAcked && int32(h.acked-h.held[0].seq) >= 0 {
			limit = min(limit, disorder)
		}
		oldest := h.held[0].at
		for _, p := range h.held[1:] {
			if p.at.Before(oldest) {
				oldest = p.at
			}
		}
		if now.Sub(oldest) < limit {
			return
		}
		h.skip(out)
	}
}

package diameter

import (
	"sync"
	"time"

	"github.com/simbind/simbind/binding"
)

const (
	slotBits = 20
	slotMask = 1<<slotBits - 1
	// keptFrame is up to which size a slot's buffer is kept for the next
	// request.
	keptFrame = 4 << 10
)

// pending are the requests that were forwarded on one connection and are not
// answered yet. The Hop-by-Hop Identifier that they were given names the slot.
type pending struct {
	mu    sync.Mutex
	limit int // zero: nothing is forwarded any more
	slots []forwarded
	free  []uint32
	held  int // octets of messages
}

// A forwarded request is a slot.
type forwarded struct {
	from     *conn  // that it came on
	hopByHop uint32 // that it came with
	message  frame  // as it came, for another upstream
	deadline time.Time
	// event is what the Registry is told when the answer has come, if learn is set.
	event binding.Event
	learn bool
	moves int // upstreams that failed to answer
	gen   uint32
	busy  bool
}

// begin takes a slot for a request; the identifier is what it is to be
// forwarded with. Not ok: too many are pending.
func (p *pending) begin(r *forwarded) (hopByHop uint32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var i uint32
	switch n := len(p.free); {
	case p.limit == 0, p.held+len(r.message) > maxHeld:
		return 0, false
	case n > 0:
		i, p.free = p.free[n-1], p.free[:n-1]
	case len(p.slots) < p.limit:
		i, p.slots = uint32(len(p.slots)), append(p.slots, forwarded{})
	default:
		return 0, false
	}
	slot := &p.slots[i]
	message, gen := append(slot.message[:0], r.message...), slot.gen+1
	if gen<<slotBits|i == 0 {
		gen++ // go-diameter answers zero with an identifier of its own
	}
	*slot = *r
	p.held += len(message)
	slot.message, slot.gen, slot.busy = message, gen, true
	return gen<<slotBits | i, true
}

// answered frees the slot of the request that an answer is to, and returns what
// it held; its message is valid only until the next begin. Not ok: nobody waits
// for the answer. Identifiers are used again after some thousand requests: a
// late answer is told by the End-to-End Identifier, which is the sender's (RFC
// 6733 section 3).
func (p *pending) answered(m frame) (r forwarded, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.find(m.hopByHop())
	if !ok {
		return forwarded{}, false
	}
	if asked := p.slots[i].message; asked.endToEnd() != m.endToEnd() || asked.command() != m.command() {
		return forwarded{}, false
	}
	return p.release(i), true
}

// end frees the slot of a request that was not sent after all.
func (p *pending) end(hopByHop uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.find(hopByHop); ok {
		p.release(i)
	}
}

// find is the slot of an identifier; the caller holds the mutex.
func (p *pending) find(hopByHop uint32) (slot uint32, ok bool) {
	slot = hopByHop & slotMask
	if slot >= uint32(len(p.slots)) {
		return 0, false
	}
	s := &p.slots[slot]
	return slot, s.busy && s.gen<<slotBits == hopByHop&^slotMask
}

// release frees a slot; the caller holds the mutex.
func (p *pending) release(i uint32) forwarded {
	slot := &p.slots[i]
	r := *slot
	message := slot.message
	p.held -= len(message)
	if cap(message) > keptFrame {
		message = nil
	}
	*slot = forwarded{message: message, gen: slot.gen}
	p.free = append(p.free, i)
	return r
}

// take frees the requests for which ok holds, and returns them with messages of
// their own.
func (p *pending) take(ok func(r *forwarded) bool) []forwarded {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []forwarded
	for i := range p.slots {
		if slot := &p.slots[i]; slot.busy && ok(slot) {
			r := p.release(uint32(i))
			r.message = append(frame(nil), r.message...)
			list = append(list, r)
		}
	}
	return list
}

// close lets nothing begin any more.
func (p *pending) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit = 0
}

func (p *pending) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slots) - len(p.free)
}

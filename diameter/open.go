package diameter

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/simbind/simbind/binding"
)

// openRequests are the requests of one connection that wait for their commit.
// Each has its answer ready, but for the result.
type openRequests struct {
	conn *conn

	mu    sync.Mutex
	limit int
	slots []openRequest
	free  []uint32
	held  int // octets of answers that wait
}

// maxHeld bounds, for each connection, the octets that are held for requests
// under way: their answers, or in relay mode the requests themselves.
const maxHeld = 8 << 20

// An openRequest is a slot. Its buffer is used again.
type openRequest struct {
	answer []byte
	at     int // of Result-Code's value in answer
	gen    uint32
	busy   bool
}

func newOpenRequests(c *conn, limit int) *openRequests { return &openRequests{conn: c, limit: limit} }

// begin takes a slot for a request and prepares its answer. Not ok: too many
// are open.
func (o *openRequests) begin(m frame, f *fields) (token uint64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var i uint32
	switch n := len(o.free); {
	case n > 0:
		i, o.free = o.free[n-1], o.free[:n-1]
	case len(o.slots) < o.limit:
		i, o.slots = uint32(len(o.slots)), append(o.slots, openRequest{})
	default:
		return 0, false
	}
	slot := &o.slots[i]
	defer func() {
		if !ok {
			o.release(i)
		}
	}()
	slot.answer, slot.at = o.conn.server.appendAnswer(slot.answer[:0], m, f, resultSuccess, nil)
	if o.held += len(slot.answer); o.held > maxHeld {
		return 0, false
	}
	slot.gen++
	slot.busy = true
	return uint64(slot.gen)<<32 | uint64(i), true
}

// Acknowledge takes the fate of an event from the Registry, and sends the
// answer.
func (o *openRequests) Acknowledge(token uint64, err error) {
	if o.settle(token, resultFor(err)) {
		o.conn.out.flush()
	}
}

// settle queues the answer.
func (o *openRequests) settle(token uint64, result resultCode) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := uint32(token)
	if i >= uint32(len(o.slots)) || o.slots[i].gen != uint32(token>>32) || !o.slots[i].busy {
		return false
	}
	slot := &o.slots[i]
	slot.busy = false
	defer o.release(i)
	binary.BigEndian.PutUint32(slot.answer[slot.at:], uint32(result))
	if result/1000 == 3 {
		slot.answer[4] |= flagError
	}
	o.conn.peer.counts.answered(result)
	return o.conn.queue(slot.answer)
}

// release frees a slot; the caller holds the mutex. The buffer of an answer of
// usual size is used again.
func (o *openRequests) release(i uint32) {
	slot := &o.slots[i]
	o.held -= len(slot.answer)
	if slot.answer = slot.answer[:0]; cap(slot.answer) > keptFrame {
		slot.answer = nil
	}
	o.free = append(o.free, i)
}

// waiting is how many requests are open.
func (o *openRequests) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.slots) - len(o.free)
}

// resultFor translates what became of an event. A peer repeats what is
// answered TOO_BUSY; what cannot be made durable it has to take elsewhere.
func resultFor(err error) resultCode {
	switch {
	case err == nil:
		return resultSuccess
	case errors.Is(err, binding.ErrBusy), errors.Is(err, binding.ErrClosed):
		return resultTooBusy
	}
	return resultUnableToComply
}

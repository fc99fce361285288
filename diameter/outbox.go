package diameter

import "sync"

const (
	// outboxHigh is how much may wait for a peer before its own requests are
	// read no further.
	outboxHigh = 1 << 20
	// outboxMax is how much may wait at all.
	outboxMax = 8 << 20
)

// An outbox holds messages to one peer until its writer takes them, all at
// once: what many requests caused leaves with one write. Anyone may add; one
// goroutine takes.
type outbox struct {
	mu     sync.Mutex
	buf    []byte
	closed bool
	wake   chan struct{} // holds one when there is something to take
	room   chan struct{} // holds one when what waited was taken
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// lock gives the buffer to append to; unlock takes it back. In between nothing
// may block. The buffer is nil if nothing can be sent any more.
func (o *outbox) lock() (buf []byte, ok bool) {
	o.mu.Lock()
	return o.buf, !o.closed && len(o.buf) < outboxMax
}

func (o *outbox) unlock(buf []byte) {
	o.buf = buf
	o.mu.Unlock()
}

// add queues a message without waking the writer.
func (o *outbox) add(message []byte) (ok bool) {
	buf, ok := o.lock()
	if ok {
		buf = append(buf, message...)
	}
	o.unlock(buf)
	return ok
}

// flush wakes the writer.
func (o *outbox) flush() { signal(o.wake) }

// take returns what waits and keeps spare for what comes.
func (o *outbox) take(spare []byte) []byte {
	o.mu.Lock()
	buf := o.buf
	o.buf = spare[:0]
	o.mu.Unlock()
	signal(o.room)
	return buf
}

// waiting is how much waits.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.buf)
}

// close lets nothing in any more. What waits can still be taken.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	signal(o.room)
}

// signal leaves one token in c.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

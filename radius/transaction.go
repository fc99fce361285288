package radius

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// A verdict says whether a request is new.
type verdict uint8

const (
	fresh    verdict = iota // not seen before
	open                    // seen, and its answer will come
	answered                // seen and answered: the same answer goes out again
	another                 // the same octets as an open one, whose answer waits for this one too
	full                    // no room for another open request
)

// A requestKey identifies a request and its repetitions: the source address
// and port, the Identifier and the Request Authenticator, which covers the
// content (RFC 5080 section 2.2.2).
type requestKey struct {
	peer sockaddr
	auth authenticator
	id   byte
	code byte
}

// A transaction is one request, until its answer is forgotten. It is guarded
// by the table's mutex. It fills two cache lines: the table is as large as the
// requests of a busy moment.
type transaction struct {
	key    requestKey
	waits  uint16 // outcomes to come
	asked  local
	home   uint32 // where it waits at the home server; zero: nowhere
	client *client
	attrs  []byte // of the answer, Proxy-States among them
	// answeredAt is in nanoseconds since the table was made.
	answeredAt int64
	gen        uint32
	chain      uint32 // next in the bucket, or of the free ones
	younger    uint32 // next that was answered
	state      txState
	failed     bool // an outcome was no success
}

type txState uint8

const (
	txFree txState = iota
	txOpen
	txAnswered
)

const chunkBits = 8

// transactions is a table of fixed capacity. Slots are numbered from 1; zero is
// none. An answered transaction is kept for the window, or until its room is
// needed.
type transactions struct {
	mu       sync.Mutex
	seed     maphash.Seed
	began    time.Time
	window   time.Duration
	capacity uint32
	heads    []uint32
	chunks   [][]transaction // grown on demand
	made     uint32          // slots that exist
	free     uint32
	oldest   uint32 // of the answered
	newest   uint32
	open     int
}

func newTransactions(capacity int, window time.Duration) *transactions {
	buckets := 2
	for buckets < 2*capacity {
		buckets *= 2
	}
	return &transactions{
		seed: maphash.MakeSeed(), began: time.Now(), window: window, capacity: uint32(capacity), heads: make([]uint32, buckets),
	}
}

func (x *transactions) at(slot uint32) *transaction {
	return &x.chunks[(slot-1)>>chunkBits][(slot-1)&(1<<chunkBits-1)]
}

func (x *transactions) bucket(k *requestKey) *uint32 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	h.Write(k.auth[:])
	h.Write(k.peer[:])
	h.WriteByte(k.id)
	return &x.heads[h.Sum64()&uint64(len(x.heads)-1)]
}

// begin looks a request up. A fresh one is open from now on and waits for
// waits outcomes; the token names it. The answer will leave from asked. One that
// counts each time it comes is never a repetition.
func (x *transactions) begin(
	k *requestKey, asked *local, c *client, p packet, waits int, each bool, now time.Time,
) (token uint64, v verdict) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expire(now)
	bucket := x.bucket(k)
	if slot := x.same(k); slot != 0 {
		t := x.at(slot)
		t.asked = *asked
		switch {
		case t.state == txOpen && each && t.waits < math.MaxUint16:
			t.waits++
			return t.token(slot), another
		case t.state == txOpen:
			return t.token(slot), open
		case each:
			t.key.code = 0 // it is found no more
		case !x.over(t, now):
			return t.token(slot), answered
		default:
			// It is forgotten, and so is what was answered before it.
			for t.state != txFree {
				x.dropOldest()
			}
		}
	}
	slot := x.alloc()
	if slot == 0 {
		return 0, full
	}
	t := x.at(slot)
	t.key, t.asked, t.client, t.state = *k, *asked, c, txOpen
	t.waits, t.failed, t.home = uint16(waits), false, 0
	t.attrs = appendProxyStates(t.attrs[:0], p.attributes())
	t.chain = *bucket
	*bucket = slot
	x.open++
	return t.token(slot), fresh
}

// same finds a request of the same octets, zero for none; the caller holds the
// mutex.
func (x *transactions) same(k *requestKey) uint32 {
	slot := *x.bucket(k)
	for slot != 0 && x.at(slot).key != *k {
		slot = x.at(slot).chain
	}
	return slot
}

// setHome notes where the request waits at the home server; homeOf tells.
func (x *transactions) setHome(token uint64, home uint32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if t := x.find(token); t != nil {
		t.home = home
	}
}

func (x *transactions) homeOf(token uint64) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if t := x.find(token); t != nil {
		return t.home
	}
	return 0
}

// prepend puts attributes of the home server's answer before the request's own
// Proxy-States.
func (x *transactions) prepend(token uint64, attrs []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.find(token)
	if t == nil {
		return
	}
	t.home = 0
	if headerLen+len(attrs)+len(t.attrs) <= maxPacket {
		t.attrs = append(attrs[:len(attrs):len(attrs)], t.attrs...)
	}
}

// forget drops an open transaction, so that a repetition counts as fresh.
func (x *transactions) forget(token uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if t := x.find(token); t != nil {
		x.release(uint32(token))
	}
}

// settle takes one outcome; the caller holds the mutex. It returns the
// transaction if its answer is to be sent now, and whether an open one ended.
func (x *transactions) settle(c completion, now time.Time) (answer *transaction, ended bool) {
	t := x.find(c.token)
	switch {
	case t == nil:
		return nil, false
	case t.state == txAnswered:
		return t, false
	case c.outcome == outcomeRepeat:
		return nil, false
	}
	if c.outcome != outcomeDurable {
		t.failed = true
		t.client.counts.refused[c.outcome].Add(1)
	}
	if t.waits--; t.waits > 0 {
		return nil, false
	}
	if t.failed {
		x.release(uint32(c.token))
		return nil, true
	}
	x.open--
	t.state, t.answeredAt, t.younger = txAnswered, int64(now.Sub(x.began)), 0
	if x.newest != 0 {
		x.at(x.newest).younger = uint32(c.token)
	} else {
		x.oldest = uint32(c.token)
	}
	x.newest = uint32(c.token)
	return t, true
}

func (x *transactions) find(token uint64) *transaction {
	slot := uint32(token)
	if slot == 0 || slot > x.made {
		return nil
	}
	if t := x.at(slot); t.state != txFree && t.gen == uint32(token>>32) {
		return t
	}
	return nil
}

func (t *transaction) token(slot uint32) uint64 { return uint64(t.gen)<<32 | uint64(slot) }

// alloc finds a free slot, at the expense of the oldest answer if need be.
func (x *transactions) alloc() uint32 {
	if x.free == 0 && x.made == x.capacity {
		if x.oldest == 0 {
			return 0
		}
		x.dropOldest()
	}
	if slot := x.free; slot != 0 {
		x.free = x.at(slot).chain
		return slot
	}
	if int(x.made>>chunkBits) == len(x.chunks) {
		x.chunks = append(x.chunks, make([]transaction, 1<<chunkBits))
	}
	x.made++
	return x.made
}

// expire drops answers that are older than the window, a few at a time.
func (x *transactions) expire(now time.Time) {
	for range 4 {
		if x.oldest == 0 || !x.over(x.at(x.oldest), now) {
			return
		}
		x.dropOldest()
	}
}

// over reports whether the answer is older than the window.
func (x *transactions) over(t *transaction, now time.Time) bool {
	return int64(now.Sub(x.began))-t.answeredAt >= int64(x.window)
}

func (x *transactions) dropOldest() {
	slot := x.oldest
	if x.oldest = x.at(slot).younger; x.oldest == 0 {
		x.newest = 0
	}
	x.release(slot)
}

// release unlinks a slot from its bucket and frees it.
func (x *transactions) release(slot uint32) {
	t := x.at(slot)
	link := x.bucket(&t.key)
	for *link != slot {
		link = &x.at(*link).chain
	}
	*link = t.chain
	if t.state == txOpen {
		x.open--
	}
	if cap(t.attrs) > maxKeptAttrs {
		t.attrs = nil
	}
	t.state, t.client, t.chain = txFree, nil, x.free
	t.gen++
	x.free = slot
}

// maxKeptAttrs bounds the buffer that a free slot keeps.
const maxKeptAttrs = 128

// opened is how many requests wait for their commit.
func (x *transactions) opened() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open
}

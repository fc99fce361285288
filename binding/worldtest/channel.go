package worldtest

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// A transit is a word on its way, to be sent again or to be heard at a moment;
// or, without a word, something that happens then.
type transit struct {
	due     tick
	seq     int
	word    *Word
	attempt int
	send    bool
	link    uint64
	do      func()
}

type transits []transit

func (h transits) Len() int { return len(h) }
func (h transits) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}
func (h transits) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is of container/heap.
func (h *transits) Push(x any) { *h = append(*h, x.(transit)) }

// Pop is of container/heap.
func (h *transits) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (w *world) enqueue(t transit) {
	w.seq++
	t.seq = w.seq
	if t.word != nil && t.word.voice != nil {
		t.word.voice.pending++
	}
	heap.Push(&w.ways, t)
}

// later lets something happen after some time.
func (w *world) later(after tick, do func()) { w.enqueue(transit{due: w.now + after, do: do}) }

// dequeue takes the next transit that is due by a moment.
func (w *world) dequeue(by tick) (transit, bool) {
	if len(w.ways) == 0 || w.ways[0].due > by {
		return transit{}, false
	}
	t := heap.Pop(&w.ways).(transit)
	if t.word != nil && t.word.voice != nil {
		t.word.voice.pending--
	}
	return t, true
}

// send sends a word for the first time, now.
func (w *world) send(word *Word) {
	v := word.voice
	if v.wire != nil {
		w.sendByWire(word)
		return
	}
	if v.gw.clean && v.liesOf == nil {
		v.lastDue = max(v.lastDue+1, w.now+1+tick(w.r.IntN(40)))
		w.enqueue(transit{due: v.lastDue, word: word})
		return
	}
	w.transmit(word, 0)
}

// transmit sends a datagram once, and perhaps again later.
func (w *world) transmit(word *Word, attempt int) {
	v, r := word.voice, w.r
	m := &v.manner
	if attempt > 0 {
		word = v.repetition(w.now, word)
	}
	again := r.Float64() < m.repeat
	if r.Float64() < m.loss {
		v.dirty = true
		again = again || r.IntN(2) == 0 // nobody answered
	} else {
		w.carry(word)
		if r.Float64() < m.double {
			v.dirty = true
			w.carry(word)
		}
	}
	if again {
		wait := second + tick(r.Int64N(int64(8*second)))<<min(attempt, 3)
		if w.now+wait-word.at < v.limit()-second {
			v.dirty = true
			w.enqueue(transit{due: w.now + wait, word: word, attempt: attempt + 1, send: true})
		}
	}
}

// carry takes a datagram to us, soon or late.
func (w *world) carry(word *Word) {
	v, r := word.voice, w.r
	takes := 1 + tick(r.IntN(60))
	if r.Float64() < v.manner.late {
		v.dirty = true
		left := v.limit() - second - (w.now - word.at)
		if left <= onTime {
			return
		}
		takes = onTime + tick(r.Int64N(int64(left-onTime)))>>r.IntN(8)
		if v.clock == nil && v.manner.delays {
			takes = min(takes, onTime+tick(r.Int64N(int64(second-onTime)))) // it tells of all longer delays
		}
	}
	w.enqueue(transit{due: w.now + takes, word: word})
}

// repetition is a word that is sent once more.
func (v *voice) repetition(now tick, word *Word) *Word {
	if !v.manner.delays {
		return word // the same octets
	}
	again := *word
	again.Way = (word.Way + v.sent) % v.ways
	again.Delay = (now - word.at).duration().Truncate(time.Second)
	again.Octets = v.octets()
	if v.manner.fresh && v.clock != nil {
		again.epoch, again.stamped = v.clock.present, now
		again.Stamp = v.clock.stamp(now, again.epoch, v.manner.rounded)
	}
	return &again
}

// octets numbers what a voice sends.
func (v *voice) octets() uint64 {
	v.sent++
	return uint64(v.id)<<32 | uint64(v.sent)
}

// sendByWire sends by an ordered transport, which is down perhaps.
func (w *world) sendByWire(word *Word) {
	v, r := word.voice, w.r
	if v.wire.link == 0 {
		v.dirty = true
		if !v.wire.capture {
			v.queue = append(v.queue, word)
		}
		return
	}
	if r.Float64() < v.manner.loss {
		v.dirty = true
		if v.wire.capture && r.IntN(3) == 0 {
			w.enqueue(transit{due: w.now + 1 + tick(r.IntN(1000)), word: w.lostNews(v.source)})
		}
		return
	}
	takes := 1 + tick(r.IntN(20))
	if r.Float64() < v.manner.late {
		takes = 1 + tick(r.Int64N(int64(flight-10)))
		v.dirty = v.dirty || takes >= onTime
	}
	w.putOnWire(word, w.now+takes)
}

func (w *world) putOnWire(word *Word, due tick) {
	wr := word.voice.wire
	if n := len(word.voice.recent); n >= 4 {
		word.voice.recent = slices.Delete(word.voice.recent, 0, n-3)
	}
	word.voice.recent = append(word.voice.recent, word)
	word.Link = wr.link
	wr.lastDue = max(wr.lastDue, due)
	w.enqueue(transit{due: wr.lastDue, word: word, link: wr.link})
}

// cut loses a connection; it is made again after a while.
func (w *world) cut(v *voice, back tick) {
	wr := v.wire
	if wr == nil || wr.link == 0 {
		return
	}
	wr.link = 0
	for _, word := range v.recent {
		if w.now-word.at < second && w.r.IntN(2) == 0 { // our answer was lost
			v.queue = append(v.queue, word)
		}
	}
	v.recent = v.recent[:0]
	w.later(back-w.now, func() { w.reconnect(v) })
}

// missed is of a word that came when nobody was there.
func (w *world) missed(word *Word, down tick) {
	v := word.voice
	if v == nil {
		return
	}
	v.dirty = true
	switch {
	case v.wire == nil:
		if again := max(down, w.now) + tick(w.r.Int64N(int64(8*second))); w.r.IntN(4) > 0 &&
			again-word.at < v.limit()-second {
			w.enqueue(transit{due: again, word: word, attempt: 1, send: true})
		}
	case !v.wire.capture && v.wire.link == 0:
		v.queue = append(v.queue, word)
	}
}

// reconnect makes a connection again: what was not answered comes first and
// says so.
func (w *world) reconnect(v *voice) {
	if v.wire.link != 0 {
		return
	}
	if w.now < w.down { // nobody to connect to
		w.later(w.down-w.now+tick(w.r.IntN(3000)), func() { w.reconnect(v) })
		return
	}
	w.connect(v.wire)
	v.wire.lastDue = w.now
	if v.wire.capture {
		return
	}
	w.putOnWire(w.nodeWord(v, binding.NodeUp), w.now)
	queue := v.queue
	v.queue = nil
	slices.SortStableFunc(queue, func(a, b *Word) int { return cmp.Compare(a.at, b.at) })
	for _, word := range queue {
		due := w.now + 1 + tick(w.r.IntN(100))
		if due-word.at >= v.limit()-second || w.r.IntN(5) == 0 {
			continue
		}
		v.dirty = true
		again := *word
		again.Repeated = true
		again.Octets = v.octets()
		w.putOnWire(&again, due)
	}
}

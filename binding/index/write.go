package index

import "sync/atomic"

// Put stores the value of a key, replacing an earlier one. It is false, and
// nothing changes, if the key is new and the table is full. It panics on a key
// whose length or class NewKey refuses. Only the writer may call it.
func (t *Table) Put(k Key, v Value) bool {
	if n := k.Bits(); n < 1 || n > maxBits || k.Class() >= maxClasses {
		panic("index: key with a length or class out of range")
	}
	if at, lane, held := t.locate(k); held {
		slot := &t.lines[at].slots[lane]
		old := *slot
		t.name(slot, t.fill(k, v))
		t.retire(old)
		return true
	}
	if t.Len() == t.capacity {
		return false
	}
	number := t.fill(k, v)
	t.addLength(k)
	t.name(t.claim(k.hash()), number)
	t.store(&t.head[headVersion], t.head[headVersion]+1)
	t.store(&t.head[headLen], t.head[headLen]+1)
	return true
}

// Delete removes a key; false if it is not there. Only the writer may call it.
func (t *Table) Delete(k Key) bool {
	at, lane, held := t.locate(k)
	if !held {
		return false
	}
	l := &t.lines[at]
	number := l.slots[lane]
	t.name(&l.slots[lane], 0)
	t.store(l.withLane(lane, 0))
	t.unpass(t.home(k.hash()), at)
	t.retire(number)
	t.dropLength(k)
	t.store(&t.head[headLen], t.head[headLen]-1)
	return true
}

// locate finds the line and lane of a key.
func (t *Table) locate(k Key) (at uint64, lane int, held bool) {
	h := k.hash()
	at = t.home(h)
	for range t.lines {
		l := &t.lines[at]
		for in := withTag(l.tags[0], l.tags[1], tagOf(h)); in != 0; in &= in - 1 {
			lane = int(in.first())
			rec := &t.records[l.slots[lane]]
			if rec[recordHi] == k.Hi && rec[recordLo] == k.Lo && uint32(rec[recordMeta]) == k.Meta {
				return at, lane, true
			}
		}
		if l.passed() == 0 {
			break
		}
		at = t.after(at)
	}
	return 0, 0, false
}

// claim gives a new key the first free lane from its home line on, and tells
// the full lines before it that a key has passed. The lane's slot is still
// zero.
func (t *Table) claim(hash uint64) (slot *uint32) {
	for at := t.home(hash); ; at = t.after(at) {
		l := &t.lines[at]
		if lane, ok := l.free(); ok {
			t.store(l.withLane(lane, tagOf(hash)))
			return &l.slots[lane]
		}
		if l.passed() < passedMax {
			t.store(&l.tags[0], l.tags[0]+1<<passedShift)
		}
	}
}

// unpass takes back what claim told the lines between home and a key's own. A
// line that reached the maximum no longer knows and keeps it: readers then look
// one line further than they would have to.
func (t *Table) unpass(home, own uint64) {
	for at := home; at != own; at = t.after(at) {
		if l := &t.lines[at]; l.passed() < passedMax {
			t.store(&l.tags[0], l.tags[0]-1<<passedShift)
		}
	}
}

// fill writes a fresh record that no slot names yet.
func (t *Table) fill(k Key, v Value) (number uint32) {
	number = t.take()
	rec := &t.records[number]
	generation := rec[recordLo] + 1
	t.store(&rec[recordHi], k.Hi)
	t.store(&rec[recordLo], k.Lo)
	t.store(&rec[recordMeta], uint64(k.Meta)|uint64(v.Aux)<<32)
	for i, w := range v.W {
		t.store(&rec[recordValue+i], w)
	}
	t.store(&rec[recordGeneration], generation)
	return number
}

// take chooses a record: one that has rested, else one never used.
func (t *Table) take() uint32 {
	limit := t.Limit()
	if t.free.len <= t.resting && int(limit) < len(t.records)-1 {
		t.store(&t.head[headLimit], uint64(limit+1))
		return limit + 1
	}
	number := t.free.head
	t.free.head = uint32(t.records[number][recordHi])
	t.free.len--
	return number
}

// retire ends a record that no slot names any more.
func (t *Table) retire(number uint32) {
	rec := &t.records[number]
	generation := rec[recordGeneration]
	t.store(&rec[recordGeneration], 0)
	t.store(&rec[recordLo], generation)
	if t.free.len == 0 {
		t.free.head = number
	} else {
		t.store(&t.records[t.free.tail][recordHi], uint64(number))
	}
	t.free.tail = number
	t.free.len++
}

// addLength makes the length of a key known to Longest, before the key is.
func (t *Table) addLength(k Key) {
	if t.lengths[k.Class()][k.Bits()]++; t.lengths[k.Class()][k.Bits()] == 1 {
		word, bit := t.lengthBit(k)
		t.store(word, *word|bit)
	}
}

// dropLength forgets the length of a key that is gone, if it was the last.
func (t *Table) dropLength(k Key) {
	if t.lengths[k.Class()][k.Bits()]--; t.lengths[k.Class()][k.Bits()] == 0 {
		word, bit := t.lengthBit(k)
		t.store(word, *word&^bit)
	}
}

func (t *Table) lengthBit(k Key) (word *uint64, bit uint64) {
	n := int(k.Bits()) - 1
	return &t.head[headLengths+2*int(k.Class())+n/64], 1 << (n % 64)
}

// store and name are the only ways in which the writer changes shared words.
func (t *Table) store(word *uint64, v uint64) {
	atomic.StoreUint64(word, v)
	if t.stored != nil {
		t.stored()
	}
}

func (t *Table) name(slot *uint32, number uint32) {
	atomic.StoreUint32(slot, number)
	if t.stored != nil {
		t.stored()
	}
}

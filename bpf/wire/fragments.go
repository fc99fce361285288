package wire

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// maxDatagram is the largest payload of an IP datagram.
const maxDatagram = 1<<16 - 1

// maxPieces bounds the gaps in one datagram.
const maxPieces = 64

// A datagramKey says which fragments belong together.
type datagramKey struct {
	src, dst netip.Addr
	id       uint32
	proto    byte
	v6       bool
}

// A datagram gathers fragments.
type datagram struct {
	key    datagramKey
	began  time.Time
	data   []byte
	pieces []piece // in order, none touching another
	size   int     // zero while the last fragment is missing
	heard  uint64  // fragments
	spoilt bool    // fragments overlapped, or one was cut: never whole
}

// A piece is a run of bytes that is there.
type piece struct{ from, to int }

// fragments are the datagrams that wait. The oldest is given up first.
type fragments struct {
	maxDatagrams int
	maxBytes     int
	maxAge       time.Duration

	byKey map[datagramKey]*datagram
	queue []*datagram // in the order of their beginning; may hold finished ones
	bytes int
	lost  uint64
}

// add keeps one fragment. It returns the datagram's payload once all of it is
// there, else nil.
func (fs *fragments) add(key datagramKey, offset int, more bool, b []byte, cut bool, now time.Time) []byte {
	fs.giveUp(now)
	if offset+len(b) > maxDatagram || len(b) == 0 || more && len(b)%8 != 0 {
		fs.lost++
		return nil
	}
	d := fs.datagram(key, now)
	d.heard++
	if cut {
		d.spoilt = true
	}
	if d.spoilt {
		return nil
	}
	if !more {
		d.size = offset + len(b)
	}
	if grown := offset + len(b) - len(d.data); grown > 0 {
		d.data = append(d.data, make([]byte, grown)...)
		fs.bytes += grown
	}
	p := piece{offset, offset + len(b)}
	if d.has(p) {
		if !bytes.Equal(d.data[p.from:p.to], b) {
			fs.spoil(d)
		}
		return nil // repeated on the wire
	}
	if !d.insert(p) || d.size != 0 && len(d.data) > d.size {
		fs.spoil(d)
		return nil
	}
	copy(d.data[offset:], b)
	if d.size == 0 || len(d.pieces) != 1 || d.pieces[0] != (piece{0, d.size}) {
		return nil
	}
	fs.remove(d)
	whole := d.data
	d.data = nil // the queue still knows d
	return whole
}

// datagram finds or begins the one that a fragment belongs to.
func (fs *fragments) datagram(key datagramKey, now time.Time) *datagram {
	if d, ok := fs.byKey[key]; ok {
		return d
	}
	for len(fs.queue) > 0 && (len(fs.byKey) >= fs.maxDatagrams || fs.bytes >= fs.maxBytes) {
		fs.dropOldest()
	}
	d := &datagram{key: key, began: now}
	if fs.byKey == nil {
		fs.byKey = map[datagramKey]*datagram{}
	}
	fs.byKey[key] = d
	if fs.queue = append(fs.queue, d); len(fs.queue) > 2*fs.maxDatagrams {
		fs.queue = slices.DeleteFunc(fs.queue, func(d *datagram) bool { return fs.byKey[d.key] != d })
	}
	return d
}

// giveUp drops what waits for too long.
func (fs *fragments) giveUp(now time.Time) {
	for len(fs.queue) > 0 && (fs.byKey[fs.queue[0].key] != fs.queue[0] || now.Sub(fs.queue[0].began) > fs.maxAge) {
		fs.dropOldest()
	}
}

func (fs *fragments) dropOldest() {
	d := fs.queue[0]
	fs.queue = fs.queue[1:]
	if fs.byKey[d.key] == d {
		fs.lost += d.heard
		fs.remove(d)
	}
}

func (fs *fragments) remove(d *datagram) {
	delete(fs.byKey, d.key)
	fs.bytes -= len(d.data)
}

// spoil makes a datagram that cannot become whole wait for its end without
// its bytes, so that its later fragments begin no other.
func (fs *fragments) spoil(d *datagram) {
	fs.bytes -= len(d.data)
	d.data, d.pieces, d.spoilt = nil, nil, true
}

// has reports whether all of a run of bytes is there.
func (d *datagram) has(p piece) bool {
	return slices.ContainsFunc(d.pieces, func(q piece) bool { return q.from <= p.from && p.to <= q.to })
}

// insert notes a run of bytes; false if it overlaps another, or if there are
// too many.
func (d *datagram) insert(p piece) bool {
	i := 0
	for i < len(d.pieces) && d.pieces[i].to < p.from {
		i++
	}
	joinsLeft := i < len(d.pieces) && d.pieces[i].to == p.from
	right := i
	if joinsLeft {
		right = i + 1
	}
	if right < len(d.pieces) && d.pieces[right].from < p.to {
		return false
	}
	if joinsLeft {
		p.from = d.pieces[i].from
	}
	end := right
	if right < len(d.pieces) && d.pieces[right].from == p.to {
		p.to = d.pieces[right].to
		end++
	}
	rest := append([]piece{p}, d.pieces[end:]...)
	d.pieces = append(d.pieces[:i], rest...)
	return len(d.pieces) <= maxPieces
}

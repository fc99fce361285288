package gx

import (
	"github.com/simbind/simbind/diameter"
)

// A framer cuts one direction of a connection into messages. Where it does not
// know where one begins, after a gap, it looks for octets that can be nothing
// else: a header that fits, AVPs that fill the message to its end, and another
// header behind it, if there is more yet.
type framer struct {
	// rest is what is not passed on yet.
	rest []byte
	lost bool
	// skip is what is still to come of a message that is too long to be read.
	skip int
}

// maxKept is the largest buffer that is kept for the next message.
const maxKept = 8 << 10

// gap notes that octets are missing.
func (f *framer) gap() { *f = framer{lost: true} }

// add takes the next octets and calls take with each message, which is valid
// during the call.
func (f *framer) add(b []byte, counts *counts, take func(message []byte)) {
	if f.skip > 0 {
		n := min(f.skip, len(b))
		f.skip -= n
		b = b[n:]
	}
	if len(f.rest) > 0 {
		f.rest = append(f.rest, b...)
		b = f.rest
	}
	b = f.cut(b, counts, take)
	switch {
	case len(b) == 0 && cap(f.rest) > maxKept:
		f.rest = nil
	case len(b) == 0:
		f.rest = f.rest[:0]
	case len(f.rest) > 0:
		f.rest = b // its own end
	default:
		f.rest = append(f.rest, b...)
	}
}

// cut takes messages off b and returns what is not a whole one yet.
func (f *framer) cut(b []byte, counts *counts, take func(message []byte)) []byte {
	for {
		var n int
		if f.lost {
			skipped, length := find(b)
			counts.addN(octetsSkipped, skipped)
			if b, n = b[skipped:], length; n == 0 {
				return b
			}
			f.lost = false
			counts.add(resynchronized)
		} else {
			if len(b) < 4 {
				return b
			}
			length, err := diameter.FrameLength(b)
			if err != nil {
				if long := longMessage(b); long > 0 {
					counts.add(droppedLong)
					f.skip = max(long-len(b), 0)
					b = b[min(long, len(b)):]
					continue
				}
				counts.add(boundaryLost)
				f.lost = true
				continue
			}
			if n = length; len(b) < n {
				return b
			}
		}
		take(b[:n:n])
		b = b[n:]
	}
}

// find looks for a message in octets that may begin anywhere. It returns how
// many cannot be the beginning of one, and the length of the message behind
// them; zero if that needs more octets to tell.
func find(b []byte) (skipped, length int) {
	for i := 0; ; i++ {
		if len(b)-i < diameter.HeaderLength {
			return i, 0
		}
		if !diameter.Plausible(b[i:]) {
			continue
		}
		n, _ := diameter.FrameLength(b[i:])
		if len(b)-i < n {
			return i, 0
		}
		if diameter.Whole(b[i:i+n]) && follows(b[i+n:]) {
			return i, n
		}
	}
}

// follows reports whether b can be what comes after a message: nothing yet, or
// another.
func follows(b []byte) bool {
	if len(b) < 4 {
		return len(b) == 0 || b[0] == 1
	}
	_, err := diameter.FrameLength(b)
	return err == nil || longMessage(b) > 0
}

// longMessage is the length of a message that is longer than package diameter
// reads, or zero.
func longMessage(b []byte) int {
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if b[0] == 1 && n > diameter.MaxMessage && n%4 == 0 {
		return n
	}
	return 0
}

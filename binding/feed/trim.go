package feed

import "time"

// trimStep bounds how often the outbox is trimmed.
const trimStep = time.Second

// A trimmer remembers which changes the stream has stored, and since when,
// until they have been held long enough to be forgotten from the outbox.
type trimmer struct {
	hold  time.Duration
	marks []mark // by seq and time
}

type mark struct {
	seq uint64
	at  time.Time
}

// stored notes that the stream has everything up to seq. Marks closer together
// than trimStep are joined, under the later time.
func (t *trimmer) stored(seq uint64, now time.Time) {
	n := len(t.marks)
	if n > 1 && now.Sub(t.marks[n-2].at) < trimStep {
		t.marks[n-1] = mark{seq, now}
		return
	}
	t.marks = append(t.marks, mark{seq, now})
}

// forget drops all marks: the stream no longer has what it had.
func (t *trimmer) forget() { t.marks = t.marks[:0] }

// due returns the highest number that may be trimmed, zero if none, and how
// long until there may be another one, zero if nothing is left.
func (t *trimmer) due(now time.Time) (upto uint64, next time.Duration) {
	n := 0
	for n < len(t.marks) && now.Sub(t.marks[n].at) >= t.hold {
		upto = t.marks[n].seq
		n++
	}
	t.marks = t.marks[:copy(t.marks, t.marks[n:])]
	if len(t.marks) > 0 {
		next = max(t.hold-now.Sub(t.marks[0].at), trimStep)
	}
	return upto, next
}

package registry

import (
	"testing"
	"time"
)

// TestReuse holds claims about words that may be of another session with the id
// than the known one, and about what is known of sessions that are over.
func TestReuse(t *testing.T) {
	const ms = time.Millisecond
	mayHaveStopped := func(gap time.Duration, crash bool) func(w *tale) {
		return func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.now = w.now.Add(200 * ms)
			n.start("a", simA, ue2)
			w.now = w.now.Add(40 * time.Second)
			w.releaseAt(ue1)
			w.releaseAt(ue2)
			n.stop("a", late(gap), delayed(gap))
			if crash {
				w.crash(0)
			}
			n.settle()
			n.start("a", simA, ue3, late(31*time.Second)) // of before the stop
			w.silent(ue3, simA)
		}
	}
	prove(t, []claim{
		{"a stop of which of two sessions nobody knows holds back a start of before it", mayHaveStopped(12*time.Second, false)},
		{"and over a crash too", mayHaveStopped(12*time.Second, true)},
	})
}

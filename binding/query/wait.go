package query

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// spinFor is how long the loop looks for the next request before it sleeps,
	// while requests come in such quick succession. To sleep and be woken costs
	// about as much, for us and for the peer that has to wake us.
	spinFor = 20 * time.Microsecond
	// maxPatience bounds how many pauses in a row must have been short before
	// the loop spins again after it did so in vain.
	maxPatience = 256
)

// A pacer decides whether to spin. With little to do pauses are long and it
// never does; where spinning does not help, as when the peer needs the very
// core that spins, it soon hardly ever does.
type pacer struct {
	may      bool
	short    int // pauses in a row that were shorter than spinFor
	patience int // how many it takes, from 1
}

// spins reports whether to spin in this pause.
func (p *pacer) spins() bool { return p.may && p.short >= p.patience }

// spun learns how it went.
func (p *pacer) spun(found bool) {
	if found {
		p.patience = 1
		return
	}
	p.short, p.patience = 0, min(2*p.patience, maxPatience)
}

// slept learns how long a pause without spinning was.
func (p *pacer) slept(d time.Duration) {
	if d >= spinFor {
		p.short = 0
		return
	}
	p.short++
}

// wait returns what epoll has to tell, and waits for it.
func (l *loop) wait(events []unix.EpollEvent) (int, error) {
	if !l.pace.may {
		return unix.EpollWait(l.epoll, events, -1)
	}
	start := time.Now()
	if !l.pace.spins() {
		n, err := unix.EpollWait(l.epoll, events, -1)
		l.pace.slept(time.Since(start))
		return n, err
	}
	for time.Since(start) < spinFor {
		if n := poll(l.epoll, events); n > 0 {
			l.pace.spun(true)
			return n, nil
		}
	}
	l.pace.spun(false)
	return unix.EpollWait(l.epoll, events, -1)
}

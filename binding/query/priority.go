package query

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const highNice = -10

// raise gives the calling thread, which must be locked to its goroutine, a
// priority above ordinary ones, so that a question is answered at once although
// ingest keeps every core busy: the lowest real-time priority (SCHED_FIFO 1), or
// else nice -10. It tells what it got, and leaves a thread alone that is in a
// real-time class already. Threads that the runtime starts later do not inherit
// it.
func raise() (string, error) {
	if now, err := unix.SchedGetAttr(0, 0); err == nil && (now.Policy == unix.SCHED_FIFO || now.Policy == unix.SCHED_RR) {
		return "real-time already", nil
	}
	fifo := unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	errFIFO := unix.SchedSetAttr(0, &fifo, 0)
	if errFIFO == nil {
		return "fifo", nil
	}
	nice := unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: highNice, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if err := unix.SchedSetAttr(0, &nice, 0); err != nil {
		return "normal", fmt.Errorf("SCHED_FIFO: %w; nice: %w", errFIFO, err)
	}
	return "nice", nil
}

package diameter

import (
	"math/rand/v2"
	"time"
)

// A linkState is the state of a connection's watchdog (RFC 3539 section
// 3.4.1). Before it is the capabilities exchange, after it the connection is
// closed.
type linkState uint8

const (
	linkOkay    linkState = iota
	linkSuspect           // a watchdog stayed unanswered
	linkReopen            // connected again after a failure: three answers make it okay
)

var linkNames = [...]string{"okay", "suspect", "reopen"}

func (s linkState) String() string { return linkNames[s] }

// An action is what the watchdog's owner has to do.
type action uint8

const (
	actNothing action = iota
	actSend           // send a Device-Watchdog-Request
	actFailover
	actFailback
	actClose
)

// A watchdog is the algorithm of RFC 3539 section 3.4.1. The owner restarts the
// timer after each event.
type watchdog struct {
	state   linkState
	pending bool // a request is unanswered
	answers int  // in linkReopen
}

// newWatchdog starts for a new connection; again tells that the one before
// failed.
func newWatchdog(again bool) watchdog {
	if again {
		return watchdog{state: linkReopen}
	}
	return watchdog{}
}

// received is told of each message; answer says that it is a
// Device-Watchdog-Answer.
func (w *watchdog) received(answer bool) action {
	if answer {
		w.pending = false
	}
	switch {
	case w.state == linkSuspect:
		w.state = linkOkay
		return actFailback
	case w.state == linkReopen && answer:
		if w.answers++; w.answers > 2 {
			w.state = linkOkay
			return actFailback
		}
	}
	return actNothing
}

// expired is told that the timer ran out.
func (w *watchdog) expired() action {
	switch {
	case w.state == linkSuspect:
		return actClose
	case !w.pending:
		w.pending = true
		return actSend
	case w.state == linkOkay:
		w.state = linkSuspect
		return actFailover
	case w.answers >= 0:
		w.answers = -1
		return actNothing
	}
	return actClose
}

// maxJitter is how far an interval is from Tw, either way (RFC 3539 section
// 3.4.1).
const maxJitter = 2 * time.Second

// jittered is one interval: peers that started together do not stay so.
func jittered(tw time.Duration) time.Duration {
	spread := min(maxJitter, tw/4)
	return tw - spread + rand.N(2*spread+1)
}

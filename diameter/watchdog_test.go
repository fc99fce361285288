package diameter

import (
	"testing"
	"time"
)

// The transitions are those of RFC 3539 section 3.4.1.
func TestWatchdog(t *testing.T) {
	const (
		answer  = 'a' // a Device-Watchdog-Answer is received
		message = 'm' // anything else is
		timer   = 't' // the timer expires
	)
	for _, c := range []struct {
		claim  string
		again  bool
		events string
		want   []action
		state  linkState
	}{
		{"a quiet peer is asked", false, "t", []action{actSend}, linkOkay},
		{"an answer keeps it okay", false, "tatata", []action{actSend, 0, actSend, 0, actSend, 0}, linkOkay},
		{"other messages do too", false, "mmm", []action{0, 0, 0}, linkOkay},
		{"no answer: suspect, and others take over", false, "tt", []action{actSend, actFailover}, linkSuspect},
		{"an answer ends the suspicion", false, "tta", []action{actSend, actFailover, actFailback}, linkOkay},
		{"any message ends the suspicion", false, "ttm", []action{actSend, actFailover, actFailback}, linkOkay},
		{"but the question stays open", false, "ttmt", []action{actSend, actFailover, actFailback, actFailover}, linkSuspect},
		{"suspect for too long: closed", false, "ttt", []action{actSend, actFailover, actClose}, linkSuspect},
		{"after a failure three answers are needed", true, "tatata", []action{actSend, 0, actSend, 0, actSend, actFailback}, linkOkay},
		{"other messages do not count then", true, "tmmmt", []action{actSend, 0, 0, 0, 0}, linkReopen},
		{"after a failure two missing answers close", true, "ttt", []action{actSend, 0, actClose}, linkReopen},
		{"an answer in between goes on counting", true, "ttatatata", []action{actSend, 0, 0, actSend, 0, actSend, 0, actSend, actFailback}, linkOkay},
	} {
		t.Run(c.claim, func(t *testing.T) {
			w := newWatchdog(c.again)
			for i, e := range c.events {
				var got action
				switch e {
				case timer:
					got = w.expired()
				default:
					got = w.received(e == answer)
				}
				if got != c.want[i] {
					t.Errorf("event %d (%c): action %d, want %d", i, e, got, c.want[i])
				}
			}
			if w.state != c.state {
				t.Errorf("the state is %v, want %v", w.state, c.state)
			}
		})
	}
	_ = message
}

func TestIntervalsAreJittered(t *testing.T) {
	low, high := time.Hour, time.Duration(0)
	for range 10000 {
		d := jittered(30 * time.Second)
		low, high = min(low, d), max(high, d)
	}
	if low < 28*time.Second || high > 32*time.Second || high-low < 3*time.Second {
		t.Errorf("from %v to %v, want 28s to 32s", low, high)
	}
}

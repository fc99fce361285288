package binding

import "time"

// sought is how many numbers one piece of the sweep asks the directory for;
// seekEvery is how long a round over all sessions takes at least.
const (
	sought    = 128
	seekEvery = 5 * time.Second
)

// seekSome goes on to the sessions behind those that the last piece visited.
func (a *arbiter) seekSome(sw *sweeper, n int, now int64) {
	if a.directory.resolve == nil || sw.seeker == 0 && now < sw.seekFrom && sw.seekFrom-now <= seekEvery.Milliseconds() {
		return
	}
	if sw.seeker == 0 {
		sw.seekFrom = now + seekEvery.Milliseconds()
	}
	sw.sought = 0
	for ; n > 0 && sw.sought < sought; n-- {
		if sw.seeker++; sw.seeker > a.m.sessions.Limit() {
			sw.seeker = 0
			return
		}
		if a.m.sessions.Load(sw.seeker, 0) == 0 {
			continue
		}
		s := a.m.session(sw.seeker)
		if l, _ := a.m.judge(&s, now, a.times); !s.ended() && l < lifeExpired {
			a.seekAgain(sw, &s)
		}
	}
}

// seekAgain asks for the number of a session that has none, and whether that
// which the directory gave it is still right.
func (a *arbiter) seekAgain(sw *sweeper, s *session) {
	if s.imsi == 0 || a.m.node(s.node).source == SourceFeed {
		return
	}
	if m := a.m.subscriber(s.sub).MSISDN; m == 0 || s.flags&flagDirectory != 0 {
		sw.sought++
		a.directory.resolve(s.imsi, m)
	}
}

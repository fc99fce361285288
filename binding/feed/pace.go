package feed

import "time"

// A pace tells how long a heartbeat had to wait on its way. A program that was
// suspended, or a link that stood still, gets late what was sent meanwhile; it
// says how things were then, not how they are now.
//
// The clocks of the two sides need not agree: a heartbeat waited as much longer
// as it was under way longer, by the two clocks, than the quickest one. When a
// clock was set, by as much as that shows, another one is the quickest.
type pace struct {
	speaker       speaker
	sent, arrived time.Time     // of the last
	quickest      time.Duration // from when one was sent to when it arrived
	stepped       time.Duration // how much later they may seem because a clock was set; not believed yet
	steady        int           // heartbeats in a row that came as far apart as they were sent
	from          time.Duration // how long the first of those was under way
}

// A speaker is whose clock a heartbeat is of.
type speaker struct {
	member  string
	started time.Time
}

const (
	// paceSteady is after how many steady heartbeats in a row a clock that seems
	// to be set is believed to be: what was held up comes in a rush.
	paceSteady = 5
	// paceDrain is how much quicker they may become meanwhile; more is a queue
	// that gets shorter.
	paceDrain = heartbeatEvery / 4
	// paceDrift: a clock may run off by a second in so many.
	paceDrift = 1000
	// paceJump is what counts between the two clocks here.
	paceJump = heartbeatEvery / 10
	// paceFar is how far two clocks may be apart, and stands for any step.
	paceFar = time.Duration(1 << 61)
)

// waited takes the next heartbeat.
func (p *pace) waited(h *heartbeat, arrived time.Time) time.Duration {
	under := arrived.Round(0).Sub(h.At) // by the wall: the other clock may stand still while we are suspended
	if h.At.IsZero() || under.Abs() > paceFar {
		return 0 // it does not say
	}
	last, gap, jump := *p, arrived.Sub(p.arrived), time.Duration(0)
	if wall := arrived.Round(0).Sub(p.arrived.Round(0)); (wall - gap).Abs() > paceJump {
		jump = wall - gap
	}
	p.speaker, p.sent, p.arrived = speaker{h.Member, h.Started.UTC()}, h.At, arrived
	if last.sent.IsZero() {
		p.quickest, p.from = under, under
		return 0
	}
	p.step(h.At.Sub(last.sent), jump, p.speaker != last.speaker)
	return p.next(under, gap, h.At.Sub(last.sent), jump != 0)
}

// step notes by how much a clock may have been set. A stall is none: what was held
// up was sent a second apart.
func (p *pace) step(sentGap, jump time.Duration, other bool) {
	if other { // with a clock of its own
		p.stepped = paceFar
	}
	if sentGap < heartbeatEvery/2 { // the clock there was set back
		p.stepped += heartbeatEvery - sentGap
	}
	if jump < 0 {
		p.quickest += jump
	} else { // set forward, or we were suspended
		p.stepped += jump
	}
	p.stepped = min(p.stepped, paceFar)
}

// next is how long a heartbeat waited that came gap after the last one.
func (p *pace) next(under, gap, sentGap time.Duration, jumped bool) time.Duration {
	if p.steady++; jumped || gap < sentGap/2 || gap > 2*sentGap || under < p.from-paceDrain {
		p.steady, p.from = 0, under
	}
	if under-p.quickest < heartbeatEvery/2 {
		p.stepped = 0 // it is in time
	}
	if p.steady >= paceSteady {
		p.quickest += p.stepped
		p.stepped = 0
	}
	if p.steady > paceSteady {
		p.quickest += heartbeatEvery / paceDrift
	}
	p.quickest = min(p.quickest, under)
	return under - p.quickest
}

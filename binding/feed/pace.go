package feed

import "time"

// A pace tells how long a heartbeat had to wait on its way. A program that was
// suspended, or a link that stood still, gets at once what was sent meanwhile;
// it says how things were then, not how they are now.
//
// The clocks of the two sides need not agree: a heartbeat waited as much longer
// as it was under way longer, by the two clocks, than the quickest one.
type pace struct {
	known         bool
	quickest      time.Duration // from when one was sent to when it arrived
	sent, arrived time.Time     // of the last
	steady        int           // heartbeats in a row that came as far apart as they were sent
}

// paceSteady is after how many steady heartbeats in a row that all are late a
// clock must have been set.
const paceSteady = 5

// waited takes the next heartbeat.
func (p *pace) waited(sent, arrived time.Time) time.Duration {
	if sent.IsZero() {
		return 0 // it does not say
	}
	arrived = arrived.Round(0) // by the wall: the other clock may stand still while we are suspended
	under, gap, sentGap := arrived.Sub(sent), arrived.Sub(p.arrived), sent.Sub(p.sent)
	if p.steady++; gap < sentGap/2 || gap > 2*sentGap {
		p.steady = 0
	}
	if !p.known || under < p.quickest || p.steady >= paceSteady {
		p.known, p.quickest, p.steady = true, under, 0
	}
	p.sent, p.arrived = sent, arrived
	return under - p.quickest
}

package worldtest

import (
	"testing"
	"time"
)

func TestTheGuardLosesWhatMayNotBeHeard(t *testing.T) {
	type message struct {
		sent  tick // true time of the stamp
		takes tick
		set   tick // by so much before it is sent
		slip  tick // its stamp is wrong by so much
		pass  bool
	}
	many := func(n int, m message) []message {
		list := make([]message, n)
		for i := range list {
			list[i] = m
			list[i].sent += tick(i) * second
		}
		return list
	}
	for _, c := range []struct {
		name  string
		words []message
	}{
		{"seven late words in a row are heard, and no eighth", append(
			many(7, message{takes: second, pass: true}), message{sent: 8 * second, takes: second})},
		{"a late word may come first", []message{{takes: minute, pass: true}}},
		{"a late word needs one on time in the minute before it", []message{
			{takes: 10, pass: true}, {sent: 30 * second, takes: 29 * second, pass: true},
			{sent: 40 * second, takes: 21 * second}}},
		{"after a step forward a word on time is heard before one as late as the step", []message{
			{takes: 10, pass: true}, {sent: 10 * second, set: 20 * second, takes: 25 * second},
			{sent: 11 * second, takes: 10 * second, pass: true}, {sent: 12 * second, takes: 10, pass: true},
			{sent: 10 * second, takes: 25 * second, pass: true}}},
		{"a bad stamp is on time when it is first heard", []message{
			{takes: 10, pass: true}, {sent: second, slip: hour, takes: second},
			{sent: 2 * second, slip: hour, takes: 10, pass: true}}},
		{"a clock that was set back shortly before is not heard for the first time", []message{
			{sent: 0, set: -minute, takes: 10}, {sent: 4 * minute, takes: 10}, {sent: 6 * minute, takes: 10, pass: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g guard
			g.reset(1, 1)
			v := &voice{clock: newClock(0, 0, 0)}
			for i, m := range c.words {
				if m.set != 0 {
					v.clock.set(m.sent, m.set)
				}
				w := &Word{truth: truth{at: m.sent, stamped: m.sent, voice: v, epoch: v.clock.present}}
				if m.slip != 0 {
					w.epoch = v.clock.slip(m.sent, m.slip)
				}
				w.Stamp = v.clock.stamp(m.sent, w.epoch, false)
				if got := g.pass(w, m.sent+m.takes); got != m.pass {
					t.Errorf("word %d: %v", i, got)
				}
			}
		})
	}
}

func TestTheGuardWantsBothNamesFirst(t *testing.T) {
	var g guard
	g.reset(0, 1)
	v := &voice{alias: "192.0.2.1"}
	alone, both := &Word{truth: truth{voice: v}}, &Word{Also: "192.0.2.1", truth: truth{voice: v}}
	for i, c := range []struct {
		word *Word
		pass bool
	}{{alone, false}, {both, true}, {alone, true}} {
		if got := g.pass(c.word, 0); got != c.pass {
			t.Errorf("word %d: %v", i, got)
		}
	}
}

func TestAClockShowsWhatItIsSetTo(t *testing.T) {
	c := newClock(0, hour, 0)
	c.set(minute, -second)
	bad := c.slip(2*minute, 10*second)
	for _, x := range []struct {
		name  string
		epoch int
		want  time.Duration
	}{
		{"before it was set", 0, time.Hour}, {"after", 1, time.Hour - time.Second},
		{"the bad stamp", bad, time.Hour + 9*time.Second}, {"after that", c.present, time.Hour - time.Second},
	} {
		if got := c.stamp(1400, x.epoch, false).Sub(genesis); got != x.want+time.Second {
			t.Errorf("%s: %v", x.name, got)
		}
	}
	if got := c.stamp(1500, 0, true).Sub(genesis); got != time.Hour+2*time.Second {
		t.Errorf("rounded: %v", got)
	}
}

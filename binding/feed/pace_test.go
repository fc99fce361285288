package feed

import (
	"testing"
	"time"
)

// TestPace: a heartbeat that had to wait is as old as it is, whatever the clocks
// of the two sides say.
func TestPace(t *testing.T) {
	type beat struct {
		sent, arrived float64 // seconds, each by its own clock
		member        string
	}
	every := func(n int, sent, arrived float64) (list []beat) {
		for i := range n {
			list = append(list, beat{sent: sent + float64(i), arrived: arrived + float64(i)})
		}
		return list
	}
	draining := func(n int, sent, arrived, gap float64) (list []beat) {
		for i := range n {
			list = append(list, beat{sent: sent + float64(i), arrived: arrived + float64(i)*gap})
		}
		return list
	}
	of := func(member string, list []beat) []beat {
		for i := range list {
			list[i].member = member
		}
		return list
	}
	join := func(parts ...[]beat) (list []beat) {
		for _, part := range parts {
			list = append(list, part...)
		}
		return list
	}
	for _, tt := range []struct {
		claim string
		beats []beat
		want  float64 // how long the last one waited
	}{
		{"the first one is taken as it comes", every(1, 1000, 20), 0},
		{"clocks that differ do not make it late", every(30, 1000, 20), 0},
		{"what came at once after a long silence had waited", join(every(4, 0, 20), []beat{{sent: 4, arrived: 35}}), 11},
		{"so had all but the last of what came with it", join(every(4, 0, 20), []beat{{sent: 4, arrived: 35}, {sent: 5, arrived: 35.001}, {sent: 6, arrived: 35.002}, {sent: 7, arrived: 35.003}, {sent: 8, arrived: 35.004}, {sent: 9, arrived: 35.005}}), 6.005},
		{"however many that are", join(every(4, 0, 20), []beat{{sent: 4, arrived: 35}, {sent: 5, arrived: 35.1}, {sent: 6, arrived: 35.2}, {sent: 7, arrived: 35.3}, {sent: 8, arrived: 35.4}, {sent: 9, arrived: 35.5}, {sent: 10, arrived: 35.6}, {sent: 11, arrived: 35.7}, {sent: 12, arrived: 35.8}, {sent: 13, arrived: 35.9}, {sent: 14, arrived: 36}}), 2},
		{"the one of now had not", join(every(4, 0, 20), []beat{{sent: 13, arrived: 35}, {sent: 14, arrived: 35.001}, {sent: 15, arrived: 35.002}}), 0.002},
		{"silence alone makes none late", join(every(4, 0, 20), []beat{{sent: 60, arrived: 80}}), 0},
		{"a clock there that was set back makes them late", join(every(4, 1000, 20), every(3, 904, 24)), 100},
		{"until it is clear that they come as they are sent", join(every(4, 1000, 20), every(7, 904, 24)), 0},
		{"a clock there that was set forward does not", join(every(4, 1000, 20), every(1, 1104, 24)), 0},
		{"a link that drains slowly makes them as late as they are", join(every(4, 0, 20), draining(15, 4, 44, 0.8)), 17.2},
		{"so does one that drains very slowly", join(every(4, 0, 20), draining(15, 4, 44, 0.95)), 19.3},
		{"a link that stays as late does not make them good", join(every(4, 0, 20), every(5, 4, 44)), 20},
		{"a link that stays late is not taken for the clock that was set before", join(every(4, 1000, 20), every(3, 904, 24), every(6, 907, 47)), 20},
		{"nor is one that drains slowly", join(every(4, 1000, 20), every(3, 904, 24), draining(6, 907, 47, 0.8), every(6, 913, 51.8)), 18.8},
		{"a clock there that was set back while the link stood still leaves them as late", join(every(4, 1000, 20), every(6, 904, 44)), 20},
		{"until the link has caught up", join(every(4, 1000, 20), every(7, 904, 44), every(1, 930, 50)), 0},
		{"another member has a clock of its own", join(of("a", every(4, 1000, 20)), of("b", every(7, 907, 27))), 0},
		{"which may be known only when they come as they are sent", join(of("a", every(4, 1000, 20)), of("b", every(3, 907, 27))), 100},
		{"once it is in time a stall makes its heartbeats late", join(of("a", every(4, 1000, 20)), of("b", every(2, 1004, 24)), of("b", every(6, 1006, 46))), 20},
		{"a quick one shows that the others were late", join(every(3, 0, 21), []beat{{sent: 3, arrived: 23.5}}, every(1, 4, 25)), 0.5},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			var p pace
			var got time.Duration
			at := func(seconds float64) time.Time { return testTime.Add(time.Duration(seconds * float64(time.Second))) }
			for _, b := range tt.beats {
				got = p.waited(&heartbeat{At: at(b.sent), Member: b.member}, at(b.arrived))
			}
			if diff := got - time.Duration(tt.want*float64(time.Second)); diff.Abs() > time.Microsecond {
				t.Errorf("waited %v, want %v", got, tt.want)
			}
		})
	}
	var p pace
	if p.waited(&heartbeat{At: testTime}, testTime); p.waited(&heartbeat{}, testTime.Add(time.Hour)) != 0 {
		t.Error("one that does not say when it was sent had waited")
	}
}

// TestPaceOfAClockHere: the clock that can be set is held against the one that
// cannot, and which stands still while we are suspended.
func TestPaceOfAClockHere(t *testing.T) {
	for claim, tt := range map[string]struct {
		wait, jump, gap float64 // of the first after it: how much later, the wall's step, and the gap of those that follow
		then            int     // how many do
		want            float64
	}{
		"set back it makes no late one good":                            {wait: -80, jump: -100, gap: 1, then: 9, want: 20},
		"set back it makes none late":                                   {wait: -100, jump: -100, gap: 1, then: 1, want: 0},
		"set forward it makes them late":                                {wait: 100, jump: 100, gap: 1, then: 2, want: 100},
		"until it is clear that they come as they are sent":             {wait: 100, jump: 100, gap: 1, then: 5, want: 0},
		"set forward while the link stands still it leaves them late":   {wait: 120, jump: 100, gap: 1, then: 5, want: 20},
		"what comes in a rush after we were suspended had waited":       {wait: 20, jump: 20, gap: 0.01, then: 10, want: 10.1},
		"so had what comes slowly":                                      {wait: 20, jump: 20, gap: 0.9, then: 10, want: 19},
		"what comes in time after we were suspended shows no step":      {wait: 0, jump: 20, gap: 1, then: 9, want: 0},
		"a difference of nothing to speak of is none, and soon in time": {wait: 0.05, jump: 0.05, gap: 1, then: 1, want: 0.05},
	} {
		t.Run(claim, func(t *testing.T) {
			var p pace
			seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
			var got time.Duration
			hear := func(under, gap, jump float64) {
				p.step(time.Second, seconds(jump), false)
				got = p.next(seconds(under), seconds(gap), time.Second, jump != 0)
			}
			for range 4 {
				hear(0, 1, 0)
			}
			hear(tt.wait, 1, tt.jump)
			for n := range tt.then {
				hear(tt.wait-float64(n+1)*(1-tt.gap), tt.gap, 0)
			}
			if diff := got - seconds(tt.want); diff.Abs() > 10*time.Millisecond {
				t.Errorf("waited %v, want %v", got, tt.want)
			}
		})
	}
}

// TestPaceOfAClockThatRunsOff: no two run alike.
func TestPaceOfAClockThatRunsOff(t *testing.T) {
	var p pace
	at := testTime
	for n := range 24 * 3600 {
		at = at.Add(time.Second)
		if late := p.waited(&heartbeat{At: at.Add(-time.Duration(n) * heartbeatEvery / 2000)}, at); late > time.Second/100 {
			t.Fatalf("after %v a heartbeat seems to be %v late", time.Duration(n)*time.Second, late)
		}
	}
}

package feed

import (
	"testing"
	"time"
)

// TestPace: a heartbeat that had to wait is as old as it is, whatever the clocks
// of the two sides say.
func TestPace(t *testing.T) {
	type beat struct{ sent, arrived float64 } // seconds, each by its own clock
	every := func(n int, sent, arrived float64) (list []beat) {
		for i := range n {
			list = append(list, beat{sent + float64(i), arrived + float64(i)})
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
		{"what came at once after a long silence had waited", join(every(4, 0, 20), []beat{{4, 35}}), 11},
		{"so had all but the last of what came with it", join(every(4, 0, 20), []beat{{4, 35}, {5, 35.001}, {6, 35.002}, {7, 35.003}, {8, 35.004}, {9, 35.005}}), 6.005},
		{"however many that are", join(every(4, 0, 20), []beat{{4, 35}, {5, 35.1}, {6, 35.2}, {7, 35.3}, {8, 35.4}, {9, 35.5}, {10, 35.6}, {11, 35.7}, {12, 35.8}, {13, 35.9}, {14, 36}}), 2},
		{"the one of now had not", join(every(4, 0, 20), []beat{{13, 35}, {14, 35.001}, {15, 35.002}}), 0.002},
		{"silence alone makes none late", join(every(4, 0, 20), []beat{{60, 80}}), 0},
		{"a clock there that was set back makes them late", join(every(4, 1000, 20), every(3, 904, 24)), 100},
		{"until it is clear that they come as they are sent", join(every(4, 1000, 20), every(7, 904, 24)), 0},
		{"a clock there that was set forward does not", join(every(4, 1000, 20), every(1, 1104, 24)), 0},
		{"a quick one shows that the others were late", join(every(3, 0, 21), []beat{{3, 23.5}}, every(1, 4, 25)), 0.5},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			var p pace
			var got time.Duration
			at := func(seconds float64) time.Time { return testTime.Add(time.Duration(seconds * float64(time.Second))) }
			for _, b := range tt.beats {
				got = p.waited(at(b.sent), at(b.arrived))
			}
			if diff := got - time.Duration(tt.want*float64(time.Second)); diff.Abs() > time.Microsecond {
				t.Errorf("waited %v, want %v", got, tt.want)
			}
		})
	}
	var p pace
	if p.waited(testTime, testTime); p.waited(time.Time{}, testTime.Add(time.Hour)) != 0 {
		t.Error("one that does not say when it was sent had waited")
	}
}

package query

import (
	"testing"
	"time"
)

func TestThePacer(t *testing.T) {
	short, long := spinFor/2, spinFor*2

	t.Run("a loop with little to do never spins", func(t *testing.T) {
		p := pacer{may: true, patience: 1}
		for range 1000 {
			p.slept(long)
			if p.spins() {
				t.Fatal("it spins")
			}
		}
	})
	t.Run("it spins after a short pause and as long as that helps", func(t *testing.T) {
		p := pacer{may: true, patience: 1}
		p.slept(short)
		for range 1000 {
			if !p.spins() {
				t.Fatal("it does not spin")
			}
			p.spun(true)
		}
	})
	t.Run("where it never helps it soon hardly ever does", func(t *testing.T) {
		p := pacer{may: true, patience: 1}
		spins := 0
		for range 10000 {
			if p.spins() {
				spins++
				p.spun(false)
			} else {
				p.slept(short)
			}
		}
		if spins > 10000/maxPatience+10 {
			t.Errorf("%d spins in 10000 pauses", spins)
		}
	})
	t.Run("it may not spin at all", func(t *testing.T) {
		p := pacer{patience: 1}
		for range 10 {
			p.slept(time.Nanosecond)
		}
		if p.spins() {
			t.Error("it spins")
		}
	})
}

func TestTheLoopSpinsAndStillAnswers(t *testing.T) {
	_, path := start(t, newFake(100), func(s *Server) { s.cfg.Priority = "high" })
	testPipeline(t, path, 5000)
	c := dialRaw(t, path)
	for range 2000 {
		if got := c.ask("GET 10.45.0.7"); got != "+491700000007" {
			t.Fatalf("got %q", got)
		}
	}
}

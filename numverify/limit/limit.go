// Package limit keeps any one client or address from taking all.
package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds how many keys are told apart; beyond it the oldest are
// forgotten, which gives them a full burst again.
const maxKeys = 50_000

// A Limit allows each key so much. Any goroutine may use it.
type Limit struct {
	rate  rate.Limit
	burst int
	now   func() time.Time

	mu         sync.Mutex
	young, old map[string]*rate.Limiter // two generations
}

// New allows each key perSecond events and bursts of so many. A rate of zero
// allows all.
func New(perSecond float64, burst int, now func() time.Time) *Limit {
	return &Limit{rate: rate.Limit(perSecond), burst: max(burst, 1), now: now, young: map[string]*rate.Limiter{}}
}

// Allow reports whether an event of this key may happen now.
func (l *Limit) Allow(key string) bool {
	if l.rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.young[key]
	if one == nil {
		if one = l.old[key]; one == nil {
			one = rate.NewLimiter(l.rate, l.burst)
		}
		if len(l.young) >= maxKeys/2 {
			l.young, l.old = map[string]*rate.Limiter{}, l.young
		}
		l.young[key] = one
	}
	return one.AllowN(l.now(), 1)
}

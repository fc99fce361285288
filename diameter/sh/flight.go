package sh

import (
	"sync"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
)

// flights are the subscribers that are being asked for. There are as many as
// callers of Resolve.
type flights struct {
	mu     sync.Mutex
	byIMSI map[binding.IMSI]*flight
}

// A flight is one subscriber, and all who ask for it.
type flight struct {
	askers  int
	changed atomic.Bool // since the last request
}

func (f *flights) begin(imsi binding.IMSI) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.byIMSI[imsi]
	if one == nil {
		one = &flight{}
		f.byIMSI[imsi] = one
	}
	one.askers++
	return one
}

func (f *flights) end(imsi binding.IMSI, one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.askers--; one.askers == 0 {
		delete(f.byIMSI, imsi)
	}
}

// changed notes that the number of a subscriber changed.
func (f *flights) changed(imsi binding.IMSI) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.byIMSI[imsi]; one != nil {
		one.changed.Store(true)
	}
}

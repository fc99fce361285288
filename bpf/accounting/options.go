package accounting

import (
	"fmt"
	"time"

	"github.com/simbind/simbind/radius"
)

// Options of a Follower. Zero values mean the defaults.
type Options struct {
	// Clients are those whose requests count, and their secrets. None: anybody's
	// count, unchecked.
	Clients []radius.Client
	// Pending bounds the requests that are kept, 16384 by default.
	Pending int
	// Timeout is how long an answer is waited for, and how long one that was
	// answered is known; 30 s by default.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Pending == 0 {
		o.Pending = 16384
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	return o
}

// Check reports what is wrong with them.
func (o Options) Check() error {
	o = o.withDefaults()
	switch {
	case o.Pending < 1 || o.Pending > 1<<20:
		return fmt.Errorf("%d pending requests are not within 1 to %d", o.Pending, 1<<20)
	case o.Timeout < 0:
		return fmt.Errorf("the timeout %v is negative", o.Timeout)
	}
	_, err := radius.NewObserver(o.Clients)
	return err
}

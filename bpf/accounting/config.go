package accounting

import (
	"fmt"
	"time"

	"github.com/simbind/simbind/radius"
)

// Config of a Watcher. Zero values mean the defaults.
type Config struct {
	// Clients are those whose requests count, and their secrets. None: anybody's
	// count, unchecked.
	Clients []radius.Client
	// Pending bounds the requests that are kept, 16384 by default.
	Pending int
	// Timeout is how long an answer is waited for, and how long one that was
	// answered is known; 30 s by default.
	Timeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Pending == 0 {
		c.Pending = 16384
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return c
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.Pending < 1 || c.Pending > 1<<20:
		return fmt.Errorf("%d pending requests are not within 1 to %d", c.Pending, 1<<20)
	case c.Timeout < 0:
		return fmt.Errorf("the timeout %v is negative", c.Timeout)
	}
	_, err := radius.NewObserver(c.Clients)
	return err
}

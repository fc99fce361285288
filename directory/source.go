package directory

import (
	"context"
	"errors"

	"github.com/simbind/simbind/binding"
)

// ErrUnknown reports that a source has no such subscriber, or one without a
// number, or with none that is clear: it would say so again. After any other
// error it may be asked again later.
var ErrUnknown = errors.New("no number is known")

// A Source knows numbers. Its methods may be called by anyone.
type Source interface {
	// Name says who it is, in logs and metrics.
	Name() string
	// Resolve returns the number of a SIM. It may block until ctx ends.
	Resolve(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, error)
}

package directory

import (
	"context"

	"github.com/simbind/simbind/binding"
)

// Learned is the source of what signalling brought: NumberOf is
// Registry.NumberOf.
type Learned struct {
	NumberOf func(binding.IMSI) binding.MSISDN
}

// Name implements Source.
func (Learned) Name() string { return "learned" }

// Resolve implements Source. It does not block.
func (l Learned) Resolve(_ context.Context, imsi binding.IMSI) (binding.MSISDN, error) {
	if m := l.NumberOf(imsi); m != 0 {
		return m, nil
	}
	return 0, ErrUnknown
}

package sh

import "errors"

// ErrUnknown reports that an HSS has no number for a SIM, and would say so
// again.
var ErrUnknown = errors.New("no number is known")

// Package worldtest is a world that knows the truth about who holds which
// address, says it as gateways would, loses, delays, repeats and reorders what
// they say, and judges every verdict of a [Subject] from the delivered words
// alone.
package worldtest

// Package shtest is an HSS that speaks Diameter Sh (3GPP TS 29.329): what comes
// and goes is read and written by go-diameter, with a dictionary of its own.
// It is for tests and simulations; nothing of it belongs into the daemon.
package shtest

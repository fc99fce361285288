// Command simbindd is the daemon: it learns from the packet core's signalling
// which SIM holds which address, answers over a Unix socket, and publishes
// every change on NATS.
//
//	simbindd --config FILE [--check]
//	simbindd demo [--stay]
//	simbindd version
//
// run.go is the wiring: every part is built there once, in flow order. Parts
// (part.go) start one after the other and stop in the reverse order, so that
// what was heard is still decided, committed, published and answered.
// reload.go is what SIGHUP does, http.go what monitoring sees.
//
// It exits with 0 after an orderly stop, with 1 if a part failed, with 2 if the
// command line or the configuration makes no sense.
package main

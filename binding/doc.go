// Package binding holds the terms of Simbind and the Registry that decides
// which SIM holds which address.
//
// Sources (Gx, RADIUS accounting, GTP, PFCP) turn what they hear into an
// [Event] and Submit it. One goroutine, the [Registry], applies events in
// arrival order by the rules of truth (rules.go), shows the outcome to
// lock-free readers at once, and hands one [Batch] per group of events to the
// [Journal]. Only when the journal has committed is the source told
// ([Acknowledger]), so that a peer is never answered for something that a crash
// could still lose.
//
// Every doubt is answered "cannot say" and a [Reason], never with a match.
package binding

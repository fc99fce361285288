// Package observe follows the protocols of the packet core in packets that were
// only seen: from the live tap or from a capture file, through the same code.
//
// An [Observer] takes frames (or packets) in the order in which they were seen,
// gives each to the [Protocol] of its port, and offers the events that these
// make to a [binding.SubmitFunc]. Observation cannot ask a peer to repeat: what
// the Registry has no room for waits here, in order and within bounds, and is
// offered again.
//
// An Observer reads no clock: time is that of the packets and of Advance.
package observe

// Package tcp puts the segments of observed TCP connections (RFC 9293) back into
// order: what each end said, as the other heard it.
//
// A [Tracker] takes segments as they were captured, repeated, out of order or
// not at all, and gives the octets of each direction to the [Consumer] of the
// connection. What was not captured will not be sent again, for it arrived: a
// hole is waited for only as long as captures are out of order, and then told
// as a gap. A connection that was already there when observation began starts
// with one.
//
// Connections, held segments and their time are bounded. What both ends of an
// observed link could do to each other's TCP, they can do to this package's
// view of it; the worst of it is a gap. Checksums are not verified: the kernel
// shows outgoing segments before they have one.
package tcp

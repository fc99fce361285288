// Package radius is the RADIUS accounting edge: it turns what a PGW, GGSN or
// other NAS accounts into binding events.
//
// A [Server] hears Accounting-Request over UDP (RFC 2866) and over TLS
// (RadSec, RFC 6614), and Status-Server (RFC 5997). A request passes four
// steps, in the order of arrival on its socket or connection: the client's
// secret is found and the authenticators are checked (auth.go), a repetition
// is recognised (transaction.go), the attributes become a [binding.Event]
// (fields.go, event.go) of a node that belongs to the client's group (names.go),
// and the event is submitted. The answer leaves after the event is durable, from
// the address that was asked. A full queue, or any other failure, is answered by
// silence: the NAS repeats.
//
// An event says what the NAS says. What order follows from its times, and which
// names are one NAS, is for the Registry to decide.
//
// With [Proxy] each request also goes on to the operator's own AAA server, and
// the NAS is answered only when both are done.
//
// Each attribute that is read, and what becomes of it, is listed with its
// clause in docs/interfaces-radius.md. [Decode] is the same decoder for
// packets that were only observed.
package radius

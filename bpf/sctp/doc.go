// Package sctp puts the DATA chunks of observed SCTP associations (RFC 9260)
// together again: the messages that each end sent, as the other heard them.
//
// Each direction of an association has its own Verification Tag and its own
// sequence of TSNs, whatever addresses its packets use; the two directions of an
// association are joined by the tags in INIT and INIT ACK or, where those were
// not seen, by their addresses. A message is one chunk or several in a row, from
// the one with the B bit to the one with the E bit. It is given to the
// [Consumer] as soon as it is whole: not in the order of its stream, which the
// observer of requests and answers does not need, and which would let one lost
// chunk hold back the others.
//
// Associations, fragments and their time are bounded. Checksums are not
// verified: the kernel shows outgoing packets before they have one.
package sctp

// Package gtp follows GTPv2-C (3GPP TS 29.274) and GTPv1-C (TS 29.060) in
// packets that were only seen.
//
// A [Follower] pairs each request with its response (by the peers, the sequence
// number and, where it is known, the TEID) and binds on the response alone: who
// it is comes from the request, the address from what the gateway granted. A
// session belongs to its gateway's control endpoint: PGW or GGSN address (the
// node) and TEID. S11 and S5/S8 show the same session, because both name the
// PGW's endpoint; it is counted once, and it ends when the PGW ends it, or when
// the last access that was seen to it is released.
//
// Restart counters of a PGW or GGSN end its sessions; those of an MME or SGW end
// nothing (TS 23.007 clause 18), and that of an SGSN ends the contexts that it
// served. Which procedures and elements are read is listed with their clauses
// in docs/interfaces.md.
package gtp

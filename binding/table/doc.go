// Package table says what the words in memory mean, and reads them: which SIM
// holds an address right now, and how certainly.
//
// A [Memory] is the Registry's whole state that answers need: records of
// addresses, sessions, claims, subscribers and nodes in one mapping without
// pointers. The Registry (package registry) is the one goroutine that writes
// it. A [Reader] answers from it: any goroutine may ask, nobody locks,
// allocates or waits. A Reader has no way to the writer's own state.
//
// # From an address to a verdict
//
// An address is claimed by sessions: a [Holding] names the first of its claims,
// each names its session and the next claim. What the claims of an address come
// to (one holder, a conflict, nobody) is decided by the writer and stands in
// the Holding. What depends on the moment of asking is decided here, in
// [Memory.Judge]: leases, lost nodes, our own absence, restarts of nodes. A
// session in doubt does not match, and still stands against others; its Doubt
// says why, and is the reason of the verdict.
//
// What one session means for another on the same, a wider or a narrower address
// is decided in one place, [Memory.Against], for writer and reader alike.
package table

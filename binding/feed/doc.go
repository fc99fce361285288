// Package feed drains the journal's outbox to NATS JetStream and, unless the
// operator brings a cluster, runs the server itself.
//
// One publisher per site sends the changes in the order of their numbers, in
// batches, and forgets them from the outbox only when the stream has stored
// them. NATS being away, slow or full never reaches the Registry: the
// outbox grows, [State] says why, and publishing goes on where the stream
// itself says that it ended.
//
// The stream is the memory of what was delivered. At every start and after
// every error the publisher asks for the last stored message of its site and
// resumes after it (resume.go), so a dedupe window is never relied upon. Each
// batch names the message it must follow, so that two publishers of one site
// are noticed: the later one wins and the earlier one stops and says so. The
// batches of an HA pair are atomic (atomic.go): what its members send does not
// interleave.
//
// Beside the changes the package answers lookups as a NATS micro service
// (service.go), if it is told to.
package feed

// Package query answers questions about bindings over one Unix stream socket in
// the Redis protocol (RESP2, and RESP3 after HELLO 3), so that every language
// already has a client. docs/query-protocol.md is its contract.
//
// One goroutine, the loop, owns every connection: it waits with epoll, reads
// once, answers every complete request it read and writes once. Questions that
// are answered from the lock-free index (VERIFY, LOOKUP, GET, MGET) and what
// stock clients send on connect are answered on the loop itself; those that
// scan or write (SESSIONS, NODES, SITES, DIRECTORY, STATUS, INFO, TRACE, RELEASE) run on a few
// workers, and a WATCH on a goroutine of its own. They hand their bytes back to
// the loop, and a connection executes nothing else meanwhile, so replies keep
// the order of the requests.
//
// redcon encodes the replies and reads inline commands. Requests proper are
// read by a bounded reader of our own (request.go), because redcon's panics on a
// negative length.
//
// Who asks is told by the kernel (SO_PEERCRED, SO_PEERGROUPS), what they may ask
// by [Roles]. Everything a peer can make us keep is bounded; limits.go lists it.
package query

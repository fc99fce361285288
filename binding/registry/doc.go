// Package registry decides which SIM holds which address: it is the one writer
// of the memory that package table reads.
//
// # Time
//
// What a message tells of the moment it happened is two bounds (package clock).
// Of a session five are kept: between which its beginning lies, the latest
// moment at which it surely lived, the latest that any word of it can be of, and
// its end or what it must speak after. Every rule compares such bounds with
// clock.Before and nothing else. Where the order is not sure, a doubt stays, and
// goes with the next word that is surely later.
//
// # The way of an event
//
//	Submit → queue → Registry.take
//	  nodes.hear     whose event it is, and its bounds         nodes.go
//	  rules          what it means for its session             rules.go
//	  incarnations   which of those that had the id it is of   incarnations.go
//	  places.relate  what that means for all others            relate.go
//	  stays          what it means for its SIM elsewhere       stays.go
//	  places.settle  who holds each address now, and changes   settle.go
//	  batch → committer → Acknowledge                          commit.go
//
// What a word means for others is decided in table.Memory.Against, for readers
// too. A rule is found by its reason:
//
//	conflict    places.relate, table.Memory.Against: sessions of two SIMs, unordered or of two nodes
//	order       the same, against a session that has ended; rules.second: or that has its id
//	ending      places.ended: another source's session ended; stays.attached: its SIM attached anew;
//	            places.mayHaveEnded: a stop may be its own
//	number      rules.number: two numbers of one session in unknown order
//	restarted   rules.restart, table.Memory.Judge
//	released    Registry.Release
//	capacity    remains.go: what was forgotten, or refused, for lack of room
//	lease, node-lost, unconfirmed, not-ingesting   table.Memory.Judge
//
// # What is kept of what is over
//
// A session that ended stays, with its claims and bounds, until every message
// that it decides about must have been heard: Config.MaxDelay after its end.
// When room is needed it gives way earlier, and leaves its bounds in a coarse
// memory that can only add doubt (remains.go).
package registry

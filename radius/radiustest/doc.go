// Package radiustest plays the NAS: it sends accounting that an independent
// implementation (layeh.com/radius) encodes and verifies, so that nothing here
// shares the codec of package radius.
//
// [Session] and [NodeRequest] make packets, [Client] sends one and waits for
// its answer, [Simulate] lets many subscribers attach, refresh and detach at a
// rate and repeats what stays unanswered, and [Load] offers
// as much as a server takes.
package radiustest

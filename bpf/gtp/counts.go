package gtp

// Counts say what became of messages. The tap exports them.
type Counts struct {
	Messages    uint64 // read
	Events      uint64 // told
	Malformed   uint64 // that contradict themselves
	Cut         uint64 // that the capture did not hold whole
	Other       uint64 // of GTP', GTP version 0, or nothing like GTP
	BadIdentity uint64 // with digits that are no identity
	Repeated    uint64 // retransmissions
	Unpaired    uint64 // responses to requests that were not seen
	Unanswered  uint64 // requests without a response
	Rejected    uint64 // responses that refuse
	NoAddress   uint64 // accepted sessions without an address (yet)
	// Unresolved are messages of sessions whose beginning was not seen: the tap
	// started later than they did.
	Unresolved uint64
	Evicted    uint64 // sessions given up for newer ones
	Replaced   uint64 // sessions of a SIM that attached again
	Refused    uint64 // for lack of room for another node
	Restarts   uint64 // of nodes, by their restart counter
	Sessions   int    // remembered now
	Waiting    int    // requests that wait now
	Ending     int    // ends, and what is told after them, that wait now
	Silent     int    // nodes from which nothing is heard any more
}

// Counts returns what was counted so far.
func (f *Follower) Counts() Counts {
	c := f.counts
	c.Waiting, c.Ending, c.Silent = f.requests.Len(), f.outbox.Len(), f.peers.watch.Silent()
	c.Unpaired += uint64(f.early.Len())
	for _, table := range f.sessions {
		c.Sessions += table.Len()
	}
	return c
}

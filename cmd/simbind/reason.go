package main

import "github.com/simbind/simbind/binding"

// meaning says in words what a reason means, as docs/query-protocol.md does;
// empty for one of a daemon of another version.
func meaning(reason string) string {
	r, err := binding.ParseReason(reason)
	if err != nil {
		return ""
	}
	return meanings[r]
}

var meanings = map[binding.Reason]string{
	binding.ReasonBound:           "this SIM holds the address now",
	binding.ReasonOtherNumber:     "another number holds the address",
	binding.ReasonNoBinding:       "nobody is known to hold the address",
	binding.ReasonEnded:           "its session is over, or another source said so and it was not confirmed since",
	binding.ReasonWarming:         "the journal is still being loaded after a start",
	binding.ReasonNoMSISDN:        "the SIM is known, its number is not",
	binding.ReasonCapacity:        "its session was refused for lack of room: raise capacity",
	binding.ReasonOutOfPool:       "the address is in no pool of the domain: see domains",
	binding.ReasonNoDomain:        "no such address domain",
	binding.ReasonPortNeeded:      "the address is shared: ask with its port",
	binding.ReasonConflict:        "nodes or sources disagree about the holder",
	binding.ReasonEnding:          "its session may be over and has not surely spoken since",
	binding.ReasonDomainNeeded:    "several domains have this address: ask with the domain",
	binding.ReasonLease:           "it was not refreshed in time",
	binding.ReasonNodeLost:        "its node has not been heard for too long",
	binding.ReasonUnconfirmed:     "it was not confirmed since a gap in what Simbind heard",
	binding.ReasonNotIngesting:    "the journal is down and news is being refused",
	binding.ReasonSiteUnreachable: "the address is another site's, which does not answer",
	binding.ReasonOrder:           "whether its session or another SIM's held the address last is not known",
	binding.ReasonNumber:          "two numbers were told of its session, and which is the later one is not known",
	binding.ReasonRestarted:       "its node restarted, and its session has not surely spoken since",
	binding.ReasonReleased:        "an operator released it, and its session has not surely spoken since",
	binding.ReasonMultiSIM:        "this SIM holds the address now, and other SIMs have the number too; ambiguous if so configured",
}

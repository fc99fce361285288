// Package worldtest is a world that knows the truth about who holds which
// address. Its gateways say so in words ([Word]); a channel loses, delays,
// repeats and reorders them; a [Subject] hears what arrives and answers
// questions; and a judge decides about each answer from the delivered words
// alone. It shares nothing with what it tests but the terms of binding.
//
// [Run] plays many short histories of a [Profile] to fresh subjects. Everything
// follows from the seed. The first wrong or denied answer is shrunk to a
// history of a few lines, in which the channel still keeps what is assumed of
// it.
//
// # What is forbidden
//
// A session is open on an address if the latest delivered word about it, by
// true time, says that it holds the address, and no delivered word says with a
// later true time that the session ended, by whichever source, or gave the
// address up; that its node restarted; that its id was used again; that another
// SIM had something of that range (a Stop that names its addresses says so as
// well); where SIMs attach anew without detach, that its SIM did; or, of an
// operator, that it is released. A match is wrong if no session that is open on
// the address has that number as the latest told, or, of a question without
// port, if another SIM's block of ports on it is open. A mismatch for the
// number of the only holder is denied. What liars say (owners that use the name
// of a node of somebody else's) neither opens nor closes what is honest; a match
// for a liar is wrong only where an honest session of another SIM is open.
//
// # What is demanded
//
// Where the line of the holder's gateway, and of each that had the address
// before, was perfect so far, and the holder certain for some seconds and two
// words, anything but a match is counted as withheld, with its reason
// ([Report]). A lost or late message, a repetition, a liar, a release, a
// handover under way, a kill within a minute, or words about another session of
// the SIM that came by a bad line lift the demand, since a subject cannot know
// how much it does not know.
//
// # What is not judged
//
// Some things nobody can decide from what was delivered. There a match is
// accepted, and a mismatch too:
//
//   - A session that ended by the word of one source, which never named the
//     address, and whose identity has nothing in common with what the other
//     source said.
//   - A successor that no delivered word names, such as that of PFCP alone, or
//     that of IMSI alone where the holder is known by number alone: it may be
//     the holder's own session.
//   - Two sessions of one id of which neither the end of the first, nor the
//     Start of the second, nor a restart between them, nor two IMSIs, nor an age
//     that leaves no doubt was delivered: they look like one. So do two of one
//     SIM, of a node that tells no time, if the end of the first was heard after
//     the Start of the second.
//   - Other addresses of a range, or other ports of a block, of which an
//     operator released one; and a released address whose session spoke since
//     without naming addresses.
//   - The number of a session for which none was told, if several were told of
//     its SIM elsewhere and none of them is known to be later.
//   - A question without domain about an address that several domains have, if
//     one of them answers it as said and no other is surely held.
//   - A question without port about an address that the same SIM holds in
//     blocks.
//   - A session of a source whose node restarted, if that source never told of it
//     with the address, or if it spoke since without naming addresses.
//
// Not in this world: a word with a false Acct-Delay-Time or age, two SIMs of one
// number, a session that gives up part of a prefix, a clock that is set more
// often than every few minutes, gateways whose whole traffic is held up, and an
// end that only one bearer context of several tells.
package worldtest

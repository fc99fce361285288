// Package pairing holds requests that were observed until their answers are.
//
// What counts is a request that was answered, and the answer says little by
// itself. A [Table] keeps requests by whatever pairs the two, for a time and up
// to a number, so that no traffic can make it grow; it also remembers what was
// answered for as long, so that a repetition is known as one.
//
// [Sessions] are what accepted requests made, by the handles that later messages
// name them by, and a [Memo] is what the journal keeps of one, so that its end
// is recognised after a restart of the program. Of Sessions, too, the one that
// was unheard of for the longest goes first, and its owner is told: an end that
// can no longer be recognised must not leave a binding alive. An [Outbox] keeps
// their ends before whatever comes after them.
package pairing

// Package pairing holds requests that were observed until their answers are.
//
// What counts is a request that was answered, and the answer says little by
// itself. A [Table] keeps requests by whatever pairs the two, for a time and up
// to a number, so that no traffic can make it grow; it also remembers what was
// answered for as long, so that a repetition is known as one.
package pairing

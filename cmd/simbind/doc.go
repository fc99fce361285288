// Command simbind asks a running simbindd, for the people who operate it: what
// is bound, since when, who said so, what is wrong, live.
//
// Nouns read (status, lookup, sessions, nodes, trace), verbs check, follow or
// change (verify, watch, release). Every command asks over the daemon's Unix
// socket, prints a table for people or, with -o json, the reply types of
// package binding/query for machines, and ends with
//
//	0  yes, or done
//	1  no, or it failed
//	2  the command line is wrong
//	3  the daemon cannot be reached
//
// so that a script can act on the exit code alone. Times are UTC in RFC 3339.
// Two commands need no daemon: doctor also looks at the machine, and simulate
// plays a packet core.
package main

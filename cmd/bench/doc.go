// Program bench measures what docs/performance.md promises: each figure beside
// its peer, in one run on one machine, in turns, as the median of several
// rounds. It is a tool of developers, started by make bench and not installed.
//
// Each part of the table is one file with one part value: index.go, verify.go,
// accounting.go and so on. What several parts need is the [stage]: scratch
// directory, a daemon that is filled once ([site]), the traffic of a NAS
// (traffic.go) and a client of the query socket that runs in a process of its
// own (asker.go).
//
// Everything lives in a temporary directory and on the loopback interface, and
// every process that is started here is ended by its process id, also after a
// failure or Ctrl-C. A part whose peer is not installed says so and is skipped.
// Slow figures are no failure: the exit code is 1 only if something broke.
package main

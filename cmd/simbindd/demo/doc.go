// Package demo shows one site at work: the real daemon in this process, on a
// scratch directory and free ports of the loopback interface, and around it a
// simulated packet core that speaks RADIUS and Gx, a verify frontend that asks over the
// Unix socket, a stock NATS client that hears the changes, and an app that has its
// number verified by numverify.
//
// Each step says what was asked and what was answered, and fails if the answer
// is another than it must be; steps.go is the list. The numbers are of the range
// that is reserved for fiction (Ofcom, +44 7700 900000 to 900999), the IMSIs of
// the test network 001/01.
package demo

// Package directory knows the MSISDN of a SIM whose signalling brings only the
// IMSI. It asks sources, each of which implements [Source].
package directory

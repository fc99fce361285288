// Package gx learns from Gx (3GPP TS 29.212) that others exchange: it takes the
// TCP segments and SCTP packets of Diameter connections as they were captured
// and makes events of them, where Simbind is neither peer nor relay.
//
// Octets pass four steps: package tcp or sctp puts them in order; a stream is
// cut into messages (framer.go), and after a gap the next message is looked for
// with care; a Credit-Control-Request and its answer are paired by connection
// and Hop-by-Hop Identifier (exchange.go); and a larger Origin-State-Id of a
// host tells of its restart, if it can be believed (state.go). Messages are
// decoded by package diameter, which the Gx edge uses too. What is heard belongs
// to the address that sent it (package sender), so that two hosts that call
// themselves alike are two.
//
// A request counts when its answer says success. One that ends something counts
// with any answer: the gateway has given the address up, whatever the policy
// server thinks of it.
package gx

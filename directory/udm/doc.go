// Package udm asks a UDM over HTTP/2 for the MSISDN of a SIM of which only the
// IMSI is known: the id-translation-result of Nudm_SDM (3GPP TS 29.503).
//
// A [Client] sends all requests over one connection as a rule, in cleartext
// with prior knowledge or over TLS (TS 29.500 clause 5.2). It shows a token
// that an NRF gave it (token.go), or one that is in a file. What an answer says
// is read in answer.go, within bounds; an answer about another SIM, or with two
// numbers, is no number.
package udm

// Package sh asks an HSS over Diameter Sh (3GPP TS 29.328, TS 29.329) for the
// MSISDN of a SIM of which only the IMSI is known.
//
// A [Client] connects to HSSs, or to agents before them, with the connections
// of package diameter. [Client.Resolve] sends a User-Data-Request and reads the
// answer: its AVPs (answer.go), and the XML of User-Data (data.go). With a
// subscription it first asks to be told of changes; what a
// Push-Notification-Request then tells goes to a callback (notify.go).
//
// An HSS is believed only when it says one thing: two numbers for one SIM, or
// an answer about another SIM, are no number.
//
// Each AVP that is sent or read is listed with its clause in
// docs/interfaces.md.
package sh

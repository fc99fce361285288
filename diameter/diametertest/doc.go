// Package diametertest plays the Diameter peers around a node: messages are
// made and read by an independent implementation (github.com/fiorix/go-diameter),
// so that nothing here shares the codec of package diameter.
//
// [Dial] opens a connection as a PCEF does, [ListenPCRF] answers as a PCRF does,
// and a [Session] makes the requests of one IP-CAN session. Both ends are a
// [Peer], which answers watchdogs and disconnections and pairs answers with
// requests. [Simulate] lets many sessions come, change and go at a rate and
// checks every answer.
//
// Only the codec of go-diameter is used. Its transport closes a connection at
// the first unknown command, leaves a Disconnect-Peer-Request unanswered and
// puts the other end's Origin-State-Id into its own answers; so messages are
// framed here, within bounds, and a panic of its decoder is an error here. Each
// [Message] keeps the octets that it came as.
package diametertest

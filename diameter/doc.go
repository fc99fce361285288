// Package diameter is the Gx edge: it turns what a PCEF reports about its
// IP-CAN sessions (3GPP TS 29.212) into binding events.
//
// A message is framed and walked by code of this package, which bounds length,
// nesting and number of AVPs before anything is kept (frame.go, avp.go). A
// Credit-Control-Request passes three steps: its AVPs are collected as slices
// of the frame (fields.go), they become a [binding.Event] (event.go), and the
// event is submitted.
//
// A [Server] speaks to peers. Each connection has a reader and a writer
// goroutine (conn.go, write.go): the reader admits the peer (capabilities.go,
// base.go) and takes its messages in their order; the writer sends what waits
// in the outbox, many answers with one write, and keeps the watchdog of RFC
// 3539 (watchdog.go). In mode [Terminate] a request is answered when its event
// is durable (terminate.go, open.go). In mode [Relay] it is forwarded octet for
// octet (relay.go, pending.go, upstream.go), and its event is submitted when a
// success comes back (learn.go). Through whom a host is heard, and what the
// Registry was told of its restarts, is in node.go. The edge reports what it
// heard and judges no time: which of two requests is the later, the Registry
// finds by their numbers.
//
// A [Client] asks servers of another application, over connections to upstreams
// (client.go, asked.go); what it sends and reads is a [Message] (message.go).
//
// Each AVP that is read, and what becomes of it, is listed with its clause in
// docs/interfaces.md.
//
// [Decode] and [DecodeAnswer] are the same decoders for messages that were only
// observed; [FrameLength] cuts a byte stream into messages for them.
package diameter

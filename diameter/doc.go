// Package diameter is the Gx edge: it turns what a PCEF reports about its
// IP-CAN sessions (3GPP TS 29.212) into binding events.
//
// A message is framed and walked by code of this package, which bounds length,
// nesting and number of AVPs before anything is kept (frame.go, avp.go). A
// Credit-Control-Request passes three steps: its AVPs are collected as slices
// of the frame (fields.go), they become a [binding.Event] (event.go), and the
// event is submitted.
//
// [Decode] and [DecodeAnswer] are the same decoders for messages that were only
// observed; [FrameLength] cuts a byte stream into messages for them.
package diameter

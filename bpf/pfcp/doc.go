// Package pfcp follows PFCP (3GPP TS 29.244) in packets that were only seen.
//
// A [Follower] binds on an accepted Session Establishment Response: the UE's
// addresses come from the packet detection rules of the request whose source
// interface marks a UE or, where the user plane chose them (CHV4, CHV6), from
// the rules it says to have created; who it is comes from User ID, which is
// optional. Without it the event names nobody: the Registry lets it corroborate,
// and end, what other sources know.
//
// Sessions belong to the control plane function that asked for them, by its
// Node ID. They end by deletion, with the association between the two functions
// (Release, or Setup without retention), by Session Set Deletion, and with a
// restart of either side (Recovery Time Stamp, TS 23.007 clause 19A). Which
// procedures and elements are read is listed with their clauses in
// docs/interfaces.md.
package pfcp

// Package wire takes frames apart, as far as the transport's ports: what a
// capture file or the live tap delivers becomes [Packet] values for those who
// read protocols. It knows link layers (Ethernet with VLAN and QinQ, Linux
// cooked captures, raw IP and others), IPv4 and IPv6 with extension headers,
// and UDP, TCP and SCTP.
//
// A [Decoder] also puts IP fragments together again, within bounds that hold
// whatever arrives: so many datagrams at once, so many bytes in all, for so
// long. Overlapping fragments spoil their datagram (RFC 5722 section 4).
//
// Nothing here does I/O or reads a clock. A Packet aliases the frame (or the
// decoder's buffer), so whoever keeps something of it copies it.
package wire

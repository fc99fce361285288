package bpf

// Which messages the kernel's filter passes on, by their type. Everything else
// on the same ports tells nothing about who holds an address.
var (
	// 3GPP TS 29.060 clause 7.1: Echo, and Create, Update and Delete PDP Context.
	gtpv1Types = []uint8{1, 2, 16, 17, 18, 19, 20, 21}
	// 3GPP TS 29.274 clause 6.1: Echo; Create Session, Modify Bearer, Delete
	// Session; Create, Update and Delete Bearer; Delete PDN Connection Set; PGW
	// Restart Notification; Update PDN Connection Set.
	gtpv2Types = []uint8{1, 2, 32, 33, 34, 35, 36, 37, 95, 96, 97, 98, 99, 100, 101, 102, 179, 180, 200, 201}
	// 3GPP TS 29.244 clause 7.3: Heartbeat; Association Setup, Update and
	// Release; Session Set Deletion and Modification; Session Establishment,
	// Modification and Deletion; Session Report Request, by which a UPF says that
	// it gave a session up.
	pfcpTypes = []uint8{1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 50, 51, 52, 53, 54, 55, 56}
	// RFC 2866 clause 4: Accounting-Request and Accounting-Response.
	radiusCodes = []uint8{4, 5}
)

// typeSet is the kernel's form of a list of types.
func typeSet(types []uint8) (set tapTypeSet) {
	for _, t := range types {
		set.Word[t>>5] |= 1 << (t & 31)
	}
	return set
}

// portList is the kernel's form of a list of ports.
func portList(ports []uint16) (list [maxPorts]uint16) {
	copy(list[:], ports)
	return list
}

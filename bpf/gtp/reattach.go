package gtp

import (
	"strings"

	"github.com/simbind/simbind/bpf/pairing"
)

// A UE that attaches again without having detached has its former connection
// deleted by the gateway, which tells nobody: whoever sees the new one accepted
// knows that the old one is gone. Which one that is, the gateway knows by the
// SIM, the default bearer and the kind of interface (3GPP TS 29.274 clause
// 7.2.1), or by the SIM and the NSAPI (TS 29.060 clause 7.3.1). A bearer alone
// is not enough: an ePDG numbers them apart from an MME.

// subOfConnection marks, with the default bearer, a handle that names a session
// by whose connection it is.
const subOfConnection = 0x40

// connectionOf2 stands for who has a connection to what, over which kind of
// interface; zero if that is not known. An MME asks an SGW, which asks the PGW:
// both show S5/S8.
func connectionOf2(req *message2) uint64 {
	kind := req.sender.kind
	if !req.direct() {
		kind = kindS5SGW
	}
	if req.imsi == 0 || req.apn == "" {
		return 0
	}
	return hash([]byte(req.imsi.String()), []byte(strings.ToLower(req.apn)), []byte{kind})
}

// connectionOf1 is the same of GTPv1, where the NSAPI tells contexts of all APNs
// apart.
func connectionOf1(req *message1) uint64 {
	if req.imsi == 0 {
		return 0
	}
	return hash([]byte(req.imsi.String()))
}

// replace has a session take the place of the one that its SIM had before, which
// ends.
func (f *Follower) replace(s *entry, connection uint64, bearer uint8) {
	if connection == 0 || bearer == 0 {
		return
	}
	table := f.table(s)
	h := pairing.Handle{}
	if former := table.Find(s.Data.server, connection, subOfConnection|bearer); former != nil && former != s {
		f.counts.Replaced++
		f.end(former, f.now)
	}
	h, _ = table.Handle(s.Data.server, connection, subOfConnection|bearer) // the address has handles already
	table.Call(s, h)
	f.prune(s, h)
}

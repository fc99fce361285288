package query

import (
	"os"
	"slices"
)

// Principals are users and groups by number. A peer belongs to them by its user
// id, its group id or one of its supplementary groups at the time it connected.
type Principals struct{ UIDs, GIDs []uint32 }

// Roles say who may ask what: Verify may VERIFY; Read may also see numbers
// (LOOKUP, GET, SESSIONS, NODES, SITES, DIRECTORY, STATUS, INFO, TRACE, WATCH); Admin may also
// RELEASE. When all are empty, root and the daemon's own user are Admin and
// nobody else is anything; when any is not, only who is named has a role.
type Roles struct{ Verify, Read, Admin Principals }

// A role is what a peer may do; a higher one includes the lower ones.
type role uint8

const (
	roleNone role = iota
	roleVerify
	roleRead
	roleAdmin
)

func (r role) String() string {
	return [...]string{"none", "verify", "read", "admin"}[r]
}

// A peer is the process at the other end, as the kernel tells.
type peer struct {
	uid, gid uint32
	pid      int32
	groups   []uint32 // supplementary
}

func (p Principals) empty() bool { return len(p.UIDs)+len(p.GIDs) == 0 }

func (p Principals) include(who peer) bool {
	return slices.Contains(p.UIDs, who.uid) || slices.Contains(p.GIDs, who.gid) ||
		slices.ContainsFunc(who.groups, func(g uint32) bool { return slices.Contains(p.GIDs, g) })
}

// of is the highest role of a peer.
func (r Roles) of(who peer) role {
	switch {
	case r.Verify.empty() && r.Read.empty() && r.Admin.empty():
		if who.uid == 0 || int(who.uid) == os.Geteuid() {
			return roleAdmin
		}
	case r.Admin.include(who):
		return roleAdmin
	case r.Read.include(who):
		return roleRead
	case r.Verify.include(who):
		return roleVerify
	}
	return roleNone
}

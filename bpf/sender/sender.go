// Package sender says whose word it is that was overheard. A name in a message
// can be written by anybody; the address that it came from is harder to claim
// and, unlike the name, no two senders have it by mistake. So what a sender says
// of nodes and sessions is its own, by its address, and two senders that use one
// name are two nodes.
package sender

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// A Group names senders that stand for each other, or addresses of one sender: a
// pair of agents, the paths of a multihomed association, the members of an SMF
// set.
type Group struct {
	Name      string
	Addresses []netip.Prefix
}

func (g Group) has(addr netip.Addr) bool {
	for _, prefix := range g.Addresses {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

func (g Group) check() error {
	_, err := netip.ParseAddr(g.Name)
	switch {
	case g.Name == "":
		return errors.New("a group of senders has no name")
	case err == nil:
		return fmt.Errorf("the group of senders %s has the name of another sender", g.Name)
	case len(g.Name) > 255 || strings.ContainsFunc(g.Name, func(c rune) bool { return c == ' ' || !unicode.IsPrint(c) }):
		return fmt.Errorf("the name of a group of senders is printable, without spaces: %q", g.Name)
	case len(g.Addresses) == 0:
		return fmt.Errorf("the group of senders %s has no addresses", g.Name)
	}
	for _, prefix := range g.Addresses {
		if !prefix.IsValid() {
			return fmt.Errorf("an address of the group of senders %s is none", g.Name)
		}
	}
	return nil
}

// Groups are the groups that there are. The first that has an address decides.
type Groups []Group

// Check reports what is wrong with them.
func (gs Groups) Check() error {
	seen := map[string]bool{}
	for _, g := range gs {
		if err := g.check(); err != nil {
			return err
		}
		if seen[g.Name] {
			return fmt.Errorf("the group of senders %s is there twice", g.Name)
		}
		seen[g.Name] = true
	}
	return nil
}

// Owner is who counts as the sender of what came from an address: its group or,
// without one, the address.
func (gs Groups) Owner(addr netip.Addr) string {
	for _, g := range gs {
		if g.has(addr) {
			return g.Name
		}
	}
	return addr.String()
}

package radius

import (
	"fmt"
	"net/netip"
	"unicode"
	"unicode/utf8"
)

// maxNames bounds the names that are kept to be shared.
const maxNames = 4096

// names shares the strings of values that come again and again (APNs, nodes),
// so that a request does not allocate them. Beyond maxNames it just makes new
// ones, as a nil one always does. It is owned by one goroutine.
type names struct {
	texts map[string]string
	addrs map[netip.Addr]string
}

func newNames() *names { return &names{texts: map[string]string{}, addrs: map[netip.Addr]string{}} }

func (n *names) room() bool { return len(n.texts)+len(n.addrs) < maxNames }

// text is a value of the network as a string that may be shown.
func (n *names) text(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	if n == nil {
		return printable(value)
	}
	s, ok := n.texts[string(value)]
	if !ok {
		if s = printable(value); n.room() {
			n.texts[string(value)] = s
		}
	}
	return s
}

// addr is an address as a string.
func (n *names) addr(addr netip.Addr) string {
	if n == nil {
		return addr.String()
	}
	s, ok := n.addrs[addr]
	if !ok {
		if s = addr.String(); n.room() {
			n.addrs[addr] = s
		}
	}
	return s
}

// A nas is how a request names its NAS: the node of its event and, if the
// request has one, a second name.
type nas struct{ node, also string }

// nas reads who the NAS is: the first of NAS-Identifier, NAS-IP-Address and
// NAS-IPv6-Address that is there, and the next one beside it. Without any it is
// the address that sent the request.
func (n *names) nas(f *fields, from netip.Addr) (who nas) {
	who.add(n.text(f.nasID))
	for _, value := range [2][]byte{f.nas4, f.nas6} {
		if addr, ok := nasAddress(value); ok {
			who.add(n.addr(addr))
		}
	}
	if who.node == "" {
		who.node = n.addr(from)
	}
	return who
}

func (who *nas) add(name string) {
	switch {
	case who.node == "":
		who.node = name
	case who.also == "" && name != who.node:
		who.also = name
	}
}

// nasAddress reads NAS-IP-Address or NAS-IPv6-Address. The unspecified address
// names nobody.
func nasAddress(value []byte) (netip.Addr, bool) {
	addr, ok := netip.AddrFromSlice(value)
	return addr.Unmap(), ok && !addr.IsUnspecified()
}

// printable is text from the network as a string that may be shown: in
// hexadecimal unless it is printable UTF-8.
func printable(text []byte) string {
	for rest := text; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return fmt.Sprintf("0x%x", text)
		}
		rest = rest[n:]
	}
	return string(text)
}

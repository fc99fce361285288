package diameter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/simbind/simbind/binding"
)

const (
	// maxNames bounds the names that are kept to be shared.
	maxNames = 4096
	// textChunk and addrChunk are how much is allocated at once for what only
	// one request has.
	textChunk = 4096
	addrChunk = 64
)

// A store makes the strings and addresses of events. Values that come again
// and again (hosts, APNs) are shared; session ids and addresses are cut from
// chunks that many requests share, so that a request allocates nothing of its
// own. It is owned by one goroutine; a nil store just allocates.
type store struct {
	known map[string]string
	text  *strings.Builder
	addrs []binding.Address
}

func newStore() *store { return &store{known: map[string]string{}, text: &strings.Builder{}} }

// share is a value that comes again, as a string that may be shown.
func (s *store) share(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	if s == nil {
		return printable(value)
	}
	if name, ok := s.known[string(value)]; ok {
		return name
	}
	name := printable(value)
	if len(s.known) < maxNames && len(value) <= maxIdentity {
		s.known[string(value)] = name
	}
	return name
}

// keep is a value of one request as a string.
func (s *store) keep(value []byte) string {
	if s == nil || len(value) > textChunk/4 {
		return string(value)
	}
	if s.text.Cap()-s.text.Len() < len(value) {
		s.text = &strings.Builder{}
		s.text.Grow(textChunk)
	}
	at := s.text.Len()
	s.text.Write(value)
	return s.text.String()[at:]
}

// room is an empty list with room for n addresses.
func (s *store) room(n int) []binding.Address {
	if s == nil || n > addrChunk {
		return make([]binding.Address, 0, n)
	}
	if len(s.addrs) < n {
		s.addrs = make([]binding.Address, addrChunk)
	}
	list := s.addrs[:0:n]
	s.addrs = s.addrs[n:]
	return list
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

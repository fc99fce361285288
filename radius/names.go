package radius

// maxNames bounds the names that are kept to be shared.
const maxNames = 4096

// names shares the strings of values that come again and again (APNs), so that
// a request does not allocate them. Beyond maxNames it just makes new ones. It
// is owned by one goroutine.
type names struct{ known map[string]string }

func newNames() *names { return &names{known: map[string]string{}} }

// share is the value as a string; a nil receiver shares nothing.
func (n *names) share(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	if n == nil {
		return printable(value)
	}
	if s, ok := n.known[string(value)]; ok {
		return s
	}
	s := printable(value)
	if len(n.known) < maxNames {
		n.known[string(value)] = s
	}
	return s
}

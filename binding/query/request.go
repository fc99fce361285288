package query

import (
	"bytes"
	"errors"
	"unsafe"

	"github.com/tidwall/redcon"
)

// Why a connection cannot go on: where the next request starts is not known.
var (
	errProtocol = errors.New("requests are arrays of bulk strings, or one line each")
	errTooLarge = errors.New("a request may have 64 KiB and 1024 arguments, one typed as a line 1 KiB")
)

// nextRequest cuts the first complete request off data. Its arguments alias
// data and are appended to args[:0]; there are none for an empty line. Complete
// is false if more bytes are needed. An error is final for the connection.
func nextRequest(data []byte, args [][]byte) (_ [][]byte, rest []byte, complete bool, err error) {
	args = args[:0]
	if len(data) == 0 {
		return args, data, false, nil
	}
	if data[0] != '*' {
		return nextLine(data, args)
	}
	count, n, err := length(data[1:], maxArgs)
	if n == 0 {
		return args, data, false, err
	}
	pos := 1 + n
	for range count {
		if pos == len(data) {
			return args, data, false, nil
		}
		if data[pos] != '$' {
			return args, data, false, errProtocol
		}
		size, n, err := length(data[pos+1:], maxRequest)
		if n == 0 {
			return args, data, false, err
		}
		pos += 1 + n
		end := pos + size
		if end+2 > maxRequest {
			return args, data, false, errTooLarge
		}
		if end+2 > len(data) {
			return args, data, false, nil
		}
		if data[end] != '\r' || data[end+1] != '\n' {
			return args, data, false, errProtocol
		}
		args = append(args, data[pos:end:end])
		pos = end + 2
	}
	return args, data[pos:], true, nil
}

// length reads a decimal number and the line end after it; size is the bytes
// of both, zero if the line end is still missing or on an error.
func length(b []byte, limit int) (n, size int, err error) {
	for i, c := range b {
		if c == '\r' && i > 0 {
			if i+1 == len(b) {
				return 0, 0, nil
			}
			if b[i+1] != '\n' {
				return 0, 0, errProtocol
			}
			return n, i + 2, nil
		}
		if c < '0' || c > '9' || i > 8 {
			return 0, 0, errProtocol
		}
		if n = n*10 + int(c-'0'); n > limit {
			return 0, 0, errTooLarge
		}
	}
	return 0, 0, nil
}

// nextLine reads a request typed as a line, with redcon's rules for quotes. It
// is kept short because redcon takes a buffer of the line's length per word.
func nextLine(data []byte, args [][]byte) (_ [][]byte, rest []byte, complete bool, err error) {
	if data[0] == '$' { // redcon would read Tile38's own protocol
		return args, data, false, errProtocol
	}
	end := bytes.IndexByte(data[:min(len(data), maxInline)], '\n')
	if end < 0 {
		if len(data) >= maxInline {
			err = errTooLarge
		}
		return args, data, false, err
	}
	_, args, _, _, err = redcon.ReadNextCommand(data[:end+1], args)
	if err != nil {
		return args, data, false, errProtocol
	}
	return args, data[end+1:], true, nil
}

// text is b as a string without a copy. It is for callees that keep no string:
// parsers of addresses and numbers. The result must not outlive b.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// names keeps the strings of a few names that come again and again (address
// domains), so that using one allocates nothing. The nil map keeps none.
type names map[string]string

const maxNames = 256

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if n != nil && len(n) < maxNames {
		n[s] = s
	}
	return s
}

package diameter

import (
	"io"
)

const (
	// streamMin is what is read at once before the peer is admitted, and the
	// longest message by then; streamMax is what is read at once later.
	streamMin = 8 << 10
	streamMax = 256 << 10
)

// A stream cuts what a connection brings into messages. Its buffer grows with
// what the peer, once admitted, sends at once. It is owned by one goroutine.
type stream struct {
	in    io.Reader
	limit int
	buf   []byte
	start int // of what is not taken yet
	end   int
}

func newStream(in io.Reader, limit int) *stream {
	return &stream{in: in, limit: limit, buf: make([]byte, streamMin)}
}

// first reads one message, and no more than one of streamMin octets.
func (s *stream) first() (frame, error) {
	limit := s.limit
	s.limit = min(limit, streamMin)
	defer func() { s.limit = limit }()
	for {
		n, err := s.complete()
		if err != nil {
			return nil, err
		}
		if n > 0 {
			n, _ = frameLength(s.buf[s.start:], s.limit)
			m := frame(s.buf[s.start : s.start+n : s.start+n])
			s.start += n
			return m, nil
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// next reads until there is at least one message, and returns all that are
// complete. They are valid until the next call.
func (s *stream) next() ([]byte, error) {
	for {
		n, err := s.complete()
		if n > 0 {
			m := s.buf[s.start : s.start+n : s.start+n]
			s.start += n
			return m, nil // an error comes again with the next call
		}
		if err != nil {
			return nil, err
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

// cut is the length of the first of messages that complete found.
func (s *stream) cut(messages []byte) int {
	n, _ := frameLength(messages, s.limit)
	return n
}

// complete is the length of the complete messages that are there. An error
// says that what follows them is none.
func (s *stream) complete() (total int, err error) {
	for {
		rest := s.buf[s.start+total : s.end]
		if len(rest) < 4 {
			return total, nil
		}
		n, err := frameLength(rest, s.limit)
		if err != nil {
			return total, err
		}
		if n > len(rest) {
			return total, nil
		}
		total += n
	}
}

// fill reads once, after what is incomplete was moved to the front.
func (s *stream) fill() error {
	full := s.end == len(s.buf)
	copy(s.buf, s.buf[s.start:s.end])
	s.start, s.end = 0, s.end-s.start
	if full && len(s.buf) < max(streamMax, s.limit) && s.limit > streamMin {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.in.Read(s.buf[s.end:])
	s.end += n
	if n > 0 {
		return nil // an error comes again with the next read
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	if err == io.EOF && s.end > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}

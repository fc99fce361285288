package diameter

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A pieceReader gives so many octets at a time.
type pieceReader struct {
	rest []byte
	n    int
}

func (r *pieceReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.rest[:min(r.n, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}

// cutAll is every message of a stream, and why it ended; nil at its end.
func cutAll(in io.Reader) (all []byte, err error) {
	s := newStream(in, MaxMessage)
	for {
		messages, err := s.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		for len(messages) > 0 {
			n := s.cut(messages)
			all, messages = append(all, messages[:n]...), messages[n:]
		}
	}
}

func message(length int) []byte {
	m := appendHeader(nil, 0, 1, 2, 3, 4)
	return endMessage(append(m, make([]byte, length-headerLen)...), 0)
}

func TestStreamTakesTheLongestMessage(t *testing.T) {
	want := append(message(MaxMessage), message(20)...)
	got, err := cutAll(&pieceReader{want, 1000})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets of %d: %v", len(got), len(want), err)
	}
}

func TestStreamGivesWhatComesBeforeTheFault(t *testing.T) {
	bad := append(message(40), 2, 0, 0, 20)
	got, err := cutAll(bytes.NewReader(bad))
	if !errors.Is(err, errVersion) || !bytes.Equal(got, message(40)) {
		t.Errorf("%x, %v", got, err)
	}
	got, err = cutAll(bytes.NewReader(append(message(40), 1, 0, 0, 40, 0)))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, message(40)) {
		t.Errorf("cut short: %x, %v", got, err)
	}
}

func TestBeforeItIsAdmittedAPeerSendsLittle(t *testing.T) {
	s := newStream(bytes.NewReader(message(streamMin+4)), MaxMessage)
	if _, err := s.first(); !errors.Is(err, errLength) {
		t.Errorf("got %v", err)
	}
	if len(s.buf) != streamMin {
		t.Errorf("the buffer grew to %d", len(s.buf))
	}
}

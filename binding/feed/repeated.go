package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Who may have consumers can have any change of the site stored again, also one
// of another journal or of before there was a pair. It has the number of one that
// was stored before, while a publisher goes on with the next.

// A former is of incarnations the highest change that was found.
type former map[string]*stored

// repeated reports whether the change, or a later one of its incarnation, was
// stored up to a number of the stream.
func (p *publisher) repeated(ctx context.Context, s *stored, upto uint64, known former) (bool, error) {
	if k := known[s.incarnation]; k != nil && k.covers(s) && k.streamSeq < s.streamSeq {
		return true, nil
	}
	found, err := p.search(ctx, s, upto)
	back := p.lookBack(upto + 1)
	back.room = nearMax
	for near := s; found == nil && near != nil && err == nil; {
		if near, err = back.next(ctx); near != nil && near.covers(s) {
			found = near
		}
	}
	if found == nil || err != nil {
		return false, err
	}
	known[s.incarnation] = found
	return true, nil
}

// nearMax is how many messages are looked through where the order of the others
// did not lead to the one that was looked for: repetitions are out of order.
const nearMax = 64

// covers reports whether the message that is asked about is one of those that
// were told up to this one.
func (s *stored) covers(asked *stored) bool {
	return s.incarnation == asked.incarnation && s.seq >= asked.seq
}

// search looks for the change, or a later one of its incarnation, among what was
// stored up to a number. Publishers store changes as they were decided.
func (p *publisher) search(ctx context.Context, s *stored, upto uint64) (*stored, error) {
	at := decided(s)
	for low, high := uint64(1), upto+1; low < high; {
		mid := low + (high-low)/2
		m, err := p.publishedWithin(ctx, mid, high)
		switch {
		case err != nil:
			return nil, err
		case m == nil:
			high = mid
		case m.covers(s):
			return m, nil
		case m.incarnation == s.incarnation || decided(m).Before(at):
			low = m.streamSeq + 1
		default:
			high = mid
		}
	}
	return nil, nil
}

// decided is when the change was.
func decided(s *stored) time.Time {
	var c struct{ At time.Time }
	if json.Unmarshal(s.payload, &c) != nil {
		return time.Time{}
	}
	return c.At
}

// publishedWithin is the first message of a publisher in a part of the stream;
// nil if none is near.
func (p *publisher) publishedWithin(ctx context.Context, from, end uint64) (*stored, error) {
	for range nearMax {
		msg, err := p.nextMsg(ctx, from)
		if msg == nil || msg.Sequence >= end {
			return nil, err
		}
		if s := p.published(msg); s != nil {
			return s, nil
		}
		from = msg.Sequence + 1
	}
	return nil, nil
}

// original is the last message up to this one that is no repetition. It is left
// open where that is far back.
func (p *publisher) original(ctx context.Context, last *stored) (*stored, error) {
	if last == nil {
		return nil, nil
	}
	back, s, known := p.lookBack(last.streamSeq), last, former{}
	for n := 0; ; n++ {
		again, err := p.repeated(ctx, s, s.streamSeq-1, known)
		if err != nil {
			return nil, err
		}
		if !again {
			p.passOver(n + back.noise)
			return s, nil
		}
		if s, err = back.next(ctx); s == nil {
			return last, err
		}
	}
}

// msgBefore is the site's last message before a number; nil: there is none. The
// server looks forward only.
func (p *publisher) msgBefore(ctx context.Context, seq uint64) (found *nats.RawStreamMsg, err error) {
	high := seq // from here to seq there is none
	for step := uint64(1); found == nil && high > 1; step *= 2 {
		low := uint64(1)
		if seq > step {
			low = seq - step
		}
		msg, err := p.nextMsg(ctx, low)
		if err != nil {
			return nil, err
		}
		if msg != nil && msg.Sequence < seq {
			found = msg
		} else {
			high = low
		}
	}
	for found != nil && found.Sequence+1 < high {
		mid := found.Sequence + 1 + (high-found.Sequence-1)/2
		msg, err := p.nextMsg(ctx, mid)
		if err != nil {
			return nil, err
		}
		if msg != nil && msg.Sequence < seq {
			found = msg
		} else {
			high = mid
		}
	}
	return found, nil
}

// nextMsg is the site's first message from a number on; nil: there is none. The
// stream's leader answers.
func (p *publisher) nextMsg(ctx context.Context, seq uint64) (*nats.RawStreamMsg, error) {
	timed, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	ask := fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, seq, siteSubjects(p.cfg.Site))
	msg, err := p.nc.RequestWithContext(timed, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+p.cfg.Stream.Name, []byte(ask))
	if err != nil {
		if cause := context.Cause(timed); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("message %d of the stream or the next: %w", seq, err)
	}
	found, err := decodeMsg(msg.Data)
	if apiErr := (*jetstream.APIError)(nil); errors.As(err, &apiErr) && apiErr.ErrorCode == jetstream.JSErrCodeMessageNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("message %d of the stream or the next: %w", seq, err)
	}
	return found, nil
}

// decodeMsg reads the server's answer to who asks for a message.
func decodeMsg(data []byte) (*nats.RawStreamMsg, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Hdrs    []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	m := answer.Message
	if answer.Error != nil {
		return nil, answer.Error
	}
	if m == nil {
		return nil, errors.New("the answer has none")
	}
	msg := &nats.RawStreamMsg{Subject: m.Subject, Sequence: m.Seq, Data: m.Data, Time: m.Time}
	if len(m.Hdrs) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Hdrs)
		if err != nil {
			return nil, err
		}
		msg.Header = header
	}
	return msg, nil
}

package feed

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// The server checks where a client publishes, and not where it wants an answer:
// whoever may ask for anything can have the answer stored among the changes, by
// naming a subject of changes as the reply subject. Such a message is noise.
// It says nothing of who publishes; a batch must only follow it like any other.

// An ending is how the stream ends for the site.
type ending struct {
	last   *stored // the last message of a publisher; nil if none is known
	site   uint64  // number of the site's last message of any kind, zero if there is none: what a batch must follow
	stream uint64  // number of the stream's last message, also if that has been removed
	far    bool    // the last message of a publisher may be further back than was looked
}

// lookBackMax bounds how many messages of the site are looked through for a change.
const lookBackMax = 1 << 14

// errFar: what the site told last cannot be known.
var errFar = errors.New("the site's last change is too far back in the stream")

// lastStored asks the stream how it ends. The stream's leader is asked: any copy
// may answer a direct get, and one that lags behind would have us send again
// what is there.
func (p *publisher) lastStored(ctx context.Context) (e ending, err error) {
	info, err := p.stream.Info(ctx)
	if err != nil {
		return e, fmt.Errorf("stream info: %w", err)
	}
	e.stream = info.State.LastSeq
	timed, cancel := context.WithTimeoutCause(ctx, p.timeout, errNoAnswer)
	defer cancel()
	msg, err := p.leader.GetLastMsg(p.cfg.Stream.Name, siteSubjects(p.cfg.Site), nats.Context(timed))
	if errors.Is(err, nats.ErrMsgNotFound) {
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("last message of %s: %w", p.cfg.Site, err)
	}
	e.site, e.stream = msg.Sequence, max(e.stream, msg.Sequence)
	if e.last = p.published(msg); e.last == nil {
		back := p.lookBack(msg.Sequence)
		e.last, err = back.next(ctx)
		e.far = e.last == nil && back.room == 0
		p.passOver(1 + back.noise)
	}
	return e, err
}

// published is the message as one of a publisher; nil: it is noise.
func (p *publisher) published(msg *nats.RawStreamMsg) *stored {
	inc, seq, ok := parseMessageID(p.cfg.Site, msg.Header.Get(nats.MsgIdHdr))
	if !ok || msg.Header.Get("Nats-Sequence") != "" { // the latter is a message that somebody got directly
		return nil
	}
	s := &stored{incarnation: inc, seq: seq, streamSeq: msg.Sequence, at: msg.Time, payload: msg.Data}
	s.member, s.term = parseMember(msg.Header.Get(memberHeader))
	return s
}

// passOver notes that so many messages are noise; the log is told of the first
// one, and whenever there are twice as many.
func (p *publisher) passOver(n int) {
	if n == 0 {
		return
	}
	if all := p.state.noise(uint64(n)); bits.Len64(all) > bits.Len64(all-uint64(n)) {
		p.log.Warn("messages on the subjects of this site's changes are none", "messages", all)
	}
}

// A backward looks through the stream backwards for what publishers of the site
// have stored.
type backward struct {
	p     *publisher
	seq   uint64 // everything from here on has been looked at
	room  int
	noise int // messages of the site that were passed over
}

func (p *publisher) lookBack(before uint64) *backward {
	return &backward{p: p, seq: before, room: lookBackMax}
}

// next is the one before; nil if none is near.
func (b *backward) next(ctx context.Context) (*stored, error) {
	for b.room > 0 {
		b.room--
		msg, err := b.p.msgBefore(ctx, b.seq)
		if msg == nil {
			return nil, err
		}
		b.seq = msg.Sequence
		if s := b.p.published(msg); s != nil {
			return s, nil
		}
		b.noise++
	}
	return nil, nil
}

// beforeRepeats returns the last message that is no repetition: one that was
// stored later than our last change, and is of before. A publisher's may be
// further back than was looked.
func (p *publisher) beforeRepeats(ctx context.Context, last *stored, pos position, term uint64) (_ *stored, far bool, err error) {
	back, n, known := p.lookBack(0), 0, former{}
	defer func() { p.passOver(n + back.noise) }()
	for last != nil && last.streamSeq > pos.own {
		again := repeats(last, pos, term)
		if !again && (p.pair == nil || last.term <= term) && !p.mine(last, pos, term) {
			if again, err = p.repeated(ctx, last, pos.own, known); err != nil {
				return nil, false, err
			}
		}
		if !again {
			break
		}
		if n++; n == 1 {
			back.seq = last.streamSeq
		}
		if last, err = back.next(ctx); err != nil {
			return nil, false, err
		}
	}
	return last, last == nil && back.room == 0, nil
}

// repeats reports whether the message is a repetition of what this publisher had
// stored up to a position, under a number that was told by then.
func repeats(last *stored, pos position, term uint64) bool {
	return last.term <= term && (last.incarnation == pos.incarnation && last.seq <= pos.after+pos.offset || precedes(last.incarnation, pos.incarnation))
}

// precedes reports whether a published incarnation is an earlier one of the same
// journal (see anew).
func precedes(a, b string) bool {
	number := func(incarnation string) (n uint64) {
		_, suffix, _ := strings.Cut(incarnation, ".")
		n, _ = strconv.ParseUint(suffix, 10, 64)
		return n
	}
	return a != b && baseOf(a) == baseOf(b) && (!strings.Contains(a, ".") || number(a) < number(b))
}

// beforeOld returns, after a start, the last message of this journal that can be
// the last one. What the outbox does not have any more was stored: a message of
// before that is a repetition if a later one is found. Otherwise the stream has
// lost its end.
func (p *publisher) beforeOld(ctx context.Context, last *stored) (*stored, error) {
	first := p.top + 1
	rows, err := p.outbox.ReadOutbox(0, 1)
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	if len(rows) > 0 {
		first = rows[0].Seq
	}
	ours := func(s *stored) bool { return baseOf(s.incarnation) == p.cfg.Journal.Incarnation && s.member == "" }
	if last == nil || !ours(last) || last.seq+1 >= first {
		return last, nil
	}
	for back, n := p.lookBack(last.streamSeq), 1; ; n++ {
		s, err := back.next(ctx)
		if err != nil || s == nil {
			return last, err
		}
		if ours(s) && s.seq+1 >= first {
			p.passOver(n + back.noise)
			return s, nil
		}
	}
}

package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// errForeign: somebody else publishes in the name of our site.
var errForeign = errors.New("another publisher uses this site's name")

// A position is where publishing stands.
type position struct {
	// incarnation is what consumers see: the journal's, or the journal's with
	// a suffix (see firstPosition).
	incarnation string
	after       uint64 // the last change that is stored, by the journal's number
	streamSeq   uint64 // of the site's last message in the stream, zero if none
	own         uint64 // of our last change there: what publishers stored up to it is accounted for
	// offset is added to the journal's numbers, modulo 2^64. It holds for
	// changes above floor: consumers were told the others by another member.
	offset, floor uint64
}

// A stored is a message of the site in the stream that a publisher sent.
type stored struct {
	incarnation string
	seq         uint64
	streamSeq   uint64
	payload     []byte
	at          time.Time // when the server stored it
	member      string    // of a pair that sent it, and its term
	term        uint64
}

// resume asks the stream where the site's changes end and takes up there.
func (p *publisher) resume(ctx context.Context) error {
	end, err := p.lastStored(ctx)
	if err != nil {
		return err
	}
	var pos position
	if p.pos.incarnation == "" {
		pos, err = p.firstPosition(ctx, end)
	} else {
		pos, err = p.nextPosition(ctx, end)
	}
	p.state.hold(errors.Is(err, errForeign))
	if errors.Is(err, errYield) {
		p.pair.stand()
	}
	if err != nil {
		return err
	}
	p.moveTo(pos)
	return nil
}

// firstPosition takes up after a start.
//
// If the last message is one of this journal's changes, publishing goes on
// after it. Otherwise somebody else spoke for the site, or the stream is
// empty, or the journal is a copy that does not know what the stream knows: its
// numbers may have been used for other changes. A journal that never had a
// change is new and starts under its own incarnation. Any other goes on under
// its incarnation with the stream's last number as suffix, which no message id
// has had, so that no id can stand for two changes.
func (p *publisher) firstPosition(ctx context.Context, end ending) (position, error) {
	own := p.cfg.Journal
	last := end.last
	if last != nil && (baseOf(last.incarnation) != own.Incarnation || last.member != "") {
		var err error
		if last, err = p.original(ctx, last); err != nil {
			return position{}, err
		}
	}
	last, err := p.beforeOld(ctx, last)
	if err != nil {
		return position{}, err
	}
	ours := last != nil && baseOf(last.incarnation) == own.Incarnation
	if ours && last.member == "" && last.seq <= p.top {
		same, err := p.agrees(last, position{})
		if err != nil {
			return position{}, err
		}
		if same {
			return position{incarnation: last.incarnation, after: last.seq, streamSeq: end.site, own: last.streamSeq}, nil
		}
	}
	pos, err := p.anew(end, ours || end.far || own.Seq > 0)
	if ours && last.member == "" {
		p.warn(fmt.Sprintf("the stream has change %d of this journal, which does not know it: was data_dir restored from a copy? consumers see the new incarnation %s", last.seq, pos.incarnation))
	}
	return pos, err
}

// anew begins an incarnation, under the journal's own if its numbers cannot have
// been used.
func (p *publisher) anew(end ending, used bool) (position, error) {
	pos := position{incarnation: p.cfg.Journal.Incarnation, streamSeq: end.site, own: end.site}
	if used {
		pos.incarnation += "." + strconv.FormatUint(end.stream, 10)
	}
	return p.fromOutbox(pos)
}

// nextPosition takes up after an error or a reconnect.
func (p *publisher) nextPosition(ctx context.Context, end ending) (position, error) {
	pos := p.pos
	_, term := p.pair.ours()
	last, far, err := p.beforeRepeats(ctx, end.last, pos, term)
	if err != nil {
		return position{}, err
	}
	pos.streamSeq = end.site
	switch {
	case last == nil && (far || end.far):
		return pos, nil // where ours end is too far back to be looked for
	case last == nil: // emptied
	case p.mine(last, pos, term):
		same, err := p.agrees(last, pos)
		if err != nil {
			return position{}, err
		}
		if !same {
			return position{}, p.foreign(last)
		}
		pos.after, pos.own = last.seq-pos.offset, last.streamSeq
		return pos, nil
	case last.streamSeq > pos.own:
		return position{}, p.foreign(last)
	default: // ours are gone, an older one is left
	}
	pos.own = end.site
	return p.fromOutbox(pos)
}

// mine reports whether the message can be a change of this journal, published
// from that position on and in that term.
func (p *publisher) mine(last *stored, pos position, term uint64) bool {
	own := last.seq - pos.offset
	return last.incarnation == pos.incarnation && last.member == p.cfg.Pair.Member && last.term == term &&
		own >= pos.floor && own <= p.top
}

func (p *publisher) foreign(last *stored) error {
	if last.member != "" && last.member != p.cfg.Pair.Member {
		return fmt.Errorf("%w: %s, term %d", errYield, last.member, last.term)
	}
	return fmt.Errorf("%w: it stored change %d of incarnation %q; this one holds its changes back: give each simbindd its own site name, or restart this one to take over",
		errForeign, last.seq, last.incarnation)
}

// fromOutbox sets the position before everything that the outbox still has.
func (p *publisher) fromOutbox(pos position) (position, error) {
	rows, err := p.outbox.ReadOutbox(0, 1)
	if err != nil {
		return position{}, fmt.Errorf("read outbox: %w", err)
	}
	pos.after = p.top
	if len(rows) > 0 {
		pos.after = rows[0].Seq - 1
	}
	pos.after = max(pos.after, pos.floor)
	return pos, nil
}

func (p *publisher) warn(text string) {
	p.log.Warn(text)
	p.state.warn(text)
}

// moveTo makes pos the position and tells who asks.
func (p *publisher) moveTo(pos position) {
	if pos.incarnation == p.pos.incarnation && pos.after < p.pos.after {
		p.log.Warn("the stream has lost its last changes, sending them again", "from", pos.after+1, "to", p.pos.after)
		p.trim.forget()
	}
	p.pos = pos
	p.top = max(p.top, pos.after)
	p.trim.stored(pos.after, time.Now())
	p.state.resumed(pos)
}

// agrees reports whether the stored message is the change that the outbox has
// under its number at that position, as far as the outbox still has it. Numbers
// and identities are left out: what is published of them is a setting. At the
// floor it is what was told at the takeover.
func (p *publisher) agrees(last *stored, pos position) (bool, error) {
	own := last.seq - pos.offset
	if own == pos.floor {
		return true, nil
	}
	rows, err := p.outbox.ReadOutbox(own-1, 1)
	if err != nil {
		return false, fmt.Errorf("read outbox: %w", err)
	}
	if len(rows) == 0 || rows[0].Seq != own {
		return true, nil
	}
	have, want := fingerprint{}, fingerprint{}
	if json.Unmarshal(last.payload, &have) != nil {
		return false, nil
	}
	enc := encoder{site: p.cfg.Site, privacy: None}
	if err := json.Unmarshal(enc.appendChange(nil, &rows[0]), &want); err != nil {
		return false, fmt.Errorf("payload of change %d: %w", last.seq, err)
	}
	return have == want, nil
}

type fingerprint struct {
	Kind, At, Domain, Addr string
}

// baseOf is the journal's incarnation within a published one. A journal's own
// has no dot.
func baseOf(incarnation string) string {
	base, _, _ := strings.Cut(incarnation, ".")
	return base
}

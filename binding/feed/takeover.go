package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/simbind/simbind/binding"
)

// takeOver makes this member the active one. With a shadow it goes on in the
// other's incarnation, with the next number; without, it begins one of its own.
func (s *standby) takeOver(ctx context.Context) error {
	end, err := s.p.lastStored(ctx)
	if err != nil {
		return err
	}
	term := uint64(0)
	if end.last != nil {
		term = end.last.term
	}
	term = s.pair.nextTerm(term)
	if s.shadow != nil && end.last != nil && end.last.incarnation != s.shadow.incarnation {
		if end.last, err = s.p.original(ctx, end.last); err != nil {
			return err
		}
	}
	if err := s.p.openSender(term); err != nil {
		return err
	}
	if err := s.catchUp(ctx, end); err != nil {
		return err
	}
	if s.shadow != nil {
		return s.goOn(ctx, end, term)
	}
	pos, err := s.p.anew(end, end.site > 0 || s.p.cfg.Journal.Seq > 0)
	if err != nil {
		return err
	}
	return s.lead(pos, term)
}

// catchUp brings the shadow to the site's last message in the stream, or gives
// it up. It asks for each message: a consumer may be slow to recover when a
// server has died together with the active member.
func (s *standby) catchUp(ctx context.Context, end ending) error {
	last := end.last
	s.close()
	if s.shadow == nil {
		return nil
	}
	if last == nil || !s.shadow.stands() {
		s.void("the stream has not been heard yet")
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.p.timeout, errNoAnswer)
	defer cancel()
	for s.shadow != nil && s.shadow.stream < end.site {
		msg, err := s.p.nextMsg(ctx, s.shadow.stream+1)
		if err != nil {
			return fmt.Errorf("catch up with the stream: %w", err)
		}
		if msg == nil {
			break // removed
		}
		s.hear(ctx, msg.Data, msg.Sequence)
	}
	if s.shadow != nil && (last.incarnation != s.shadow.incarnation || last.seq > s.shadow.seq) {
		s.void(fmt.Sprintf("the stream ends with change %d of %s, not %d of %s", last.seq, last.incarnation, s.shadow.seq, s.shadow.incarnation))
	}
	return nil
}

// goOn publishes what the other one did not, under the next numbers, and says
// again what it told otherwise; with a doubt where it told of another SIM. At
// least one message is published: from then on the stream refuses the other one's.
func (s *standby) goOn(ctx context.Context, end ending, term uint64) error {
	if err := s.readOwn(); err != nil {
		return err
	}
	changes, places, doubted, err := s.shadow.untold()
	if err != nil {
		return err
	}
	pos := position{incarnation: s.shadow.incarnation, after: s.shadow.read, floor: s.shadow.read, streamSeq: end.site, own: end.site}
	next := s.shadow.seq
	err = s.eachOwn(changes, func(rows []binding.Change) (err error) {
		for i := range rows {
			next++
			rows[i].Seq = next
		}
		pos.streamSeq, err = s.p.send.store(ctx, pos.incarnation, pos.streamSeq, rows)
		pos.own = pos.streamSeq
		return err
	})
	if err != nil {
		return err
	}
	pos.offset = next - pos.after
	if len(changes)+len(places)+len(doubted) == 0 {
		places = s.anyPlace(end.last)
	}
	s.pair.log.Info("the takeover is complete", "incarnation", pos.incarnation, "after", s.shadow.seq, "changes", len(changes), "restated", len(places), "doubted", len(doubted), "term", term)
	if err := errors.Join(s.pair.Registry.Doubt(ctx, doubted), s.pair.Registry.Restate(ctx, places)); err != nil {
		return err
	}
	return s.lead(pos, term)
}

// eachOwn hands on the changes of ours with these numbers, in order.
func (s *standby) eachOwn(wanted map[uint64]bool, do func([]binding.Change) error) error {
	for after := s.shadow.kept(); len(wanted) > 0 && after < s.shadow.read; {
		rows, err := s.p.outbox.ReadOutbox(after, batchMax)
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		after = rows[len(rows)-1].Seq
		some := rows[:0]
		for _, c := range rows {
			if wanted[c.Seq] {
				some = append(some, c)
			}
		}
		if len(some) == 0 {
			continue
		}
		if err := do(some); err != nil {
			return err
		}
	}
	return nil
}

// anyPlace is what the site's last message is about or, if that is a subscriber,
// what any session holds; nothing if there is none.
func (s *standby) anyPlace(last *stored) []binding.Place {
	var c toldChange
	if json.Unmarshal(last.payload, &c) == nil {
		if at, err := c.spot(c.Kind); err == nil && at.sim == "" {
			return []binding.Place{at.Place}
		}
	}
	list, _, err := s.asker.Sessions(binding.Selection{Limit: 1})
	if err != nil || len(list) == 0 || !list[0].Addr.Prefix.IsValid() {
		return nil
	}
	return []binding.Place{{Domain: list[0].Domain, Addr: list[0].Addr}}
}

// lead makes this member the active one from a position on.
func (s *standby) lead(pos position, term uint64) error {
	text, err := json.Marshal(keptPair{pos.incarnation, pos.offset, pos.floor, term})
	if err != nil {
		return err
	}
	if err := writeDurably(s.pair.File, text); err != nil {
		return fmt.Errorf("pair: %w", err)
	}
	s.shadow = nil
	s.p.moveTo(pos)
	s.pair.lead(term)
	s.p.state.hold(false)
	s.p.state.lead()
	return s.start()
}

// A keptPair is what an active member keeps over a restart.
type keptPair struct {
	Incarnation string `json:"incarnation"`
	Offset      uint64 `json:"offset"`
	Floor       uint64 `json:"floor"`
	Term        uint64 `json:"term"`
}

// resume goes on as the active member after a restart, if nobody has taken over:
// then the stream's last message is this member's, and of its term.
func (s *standby) resume(ctx context.Context) (resumed bool, err error) {
	if !s.fresh {
		return false, nil
	}
	var kept keptPair
	text, err := os.ReadFile(s.pair.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("pair: %w", err)
	}
	if err != nil || json.Unmarshal(text, &kept) != nil {
		s.fresh = false
		return false, nil
	}
	end, err := s.p.lastStored(ctx)
	if err != nil {
		return false, err
	}
	last := end.last
	pos := position{incarnation: kept.Incarnation, offset: kept.Offset, floor: kept.Floor}
	if last != nil && !s.p.mine(last, pos, kept.Term) {
		if last, err = s.p.original(ctx, last); err != nil {
			return false, err
		}
	}
	s.fresh = false
	if last == nil || !s.p.mine(last, pos, kept.Term) {
		return false, nil // somebody else's, or data_dir was restored from a copy
	}
	if same, err := s.p.agrees(last, pos); err != nil || !same {
		return false, err
	}
	pos.after, pos.streamSeq, pos.own = last.seq-pos.offset, end.site, last.streamSeq
	if err := s.p.openSender(kept.Term); err != nil {
		return false, err
	}
	return true, s.lead(pos, kept.Term)
}

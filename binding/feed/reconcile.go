package feed

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"time"

	"github.com/simbind/simbind/binding"
)

// reconcile begins a shadow: it holds what this member knows against the active
// one's snapshot.
func (s *standby) reconcile(ctx context.Context) error {
	end, err := s.p.lastStored(ctx)
	if err != nil {
		return err
	}
	if end.far {
		return errFar
	}
	if end.last, err = s.p.original(ctx, end.last); err != nil {
		return err
	}
	now := s.pair.now()
	shadow := &shadow{
		began: now.Add(-ourWindow), from: now.Add(-theirWindow), compared: now, unlike: map[spot]*unlike{},
		enc: encoder{site: s.p.cfg.Site, incarnation: "-", privacy: s.p.cfg.PublishMSISDN}, told: s.pair.Registry.Told, now: s.pair.now,
	}
	if end.last == nil || end.last.at.Before(shadow.from) {
		shadow.stream, shadow.quiet = end.stream, true
	}
	if shadow.read, err = s.decidedBefore(shadow.began); err != nil {
		return err
	}
	seen := &spots{seed: maphash.MakeSeed()}
	if err := s.readPages(ctx, shadow, end.last, seen); err != nil {
		return err
	}
	if err := s.ownRows(shadow, seen); err != nil {
		return err
	}
	s.close()
	shadow.differing = len(shadow.unlike)
	s.shadow, s.tidied = shadow, s.pair.now()
	s.pair.log.Info("standing by", "incarnation", shadow.incarnation, "seq", shadow.seq, "rows", len(seen.hashes), "differ", len(shadow.unlike))
	return nil
}

// readPages reads the active member's snapshot.
func (s *standby) readPages(ctx context.Context, shadow *shadow, last *stored, seen *spots) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for page := range s.source.pages(ctx, s.p.cfg.Site) {
		switch {
		case page.err != nil:
			return page.err
		case shadow.incarnation == "":
			if err := shadow.base(page.toldPage, last); err != nil {
				return err
			}
		case page.Incarnation != shadow.incarnation:
			return errors.New("the incarnation changed within the snapshot")
		}
		for i := range page.Sessions {
			if err := shadow.row(&page.Sessions[i], seen); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil || shadow.incarnation == "" {
		return errors.Join(errors.New("no snapshot"), ctx.Err())
	}
	return nil
}

// base is where the snapshot stands against the stream.
func (s *shadow) base(first toldPage, last *stored) error {
	s.incarnation = first.Incarnation
	if last == nil || last.incarnation != first.Incarnation {
		return nil // nothing of it was told yet
	}
	if last.seq > first.Seq {
		return errors.New("the snapshot is older than the stream")
	}
	s.ready = last.seq
	if s.quiet {
		s.seq = last.seq
	}
	return nil
}

// decidedBefore is the last of our changes that was decided before a time, as
// far as the outbox still has those.
func (s *standby) decidedBefore(t time.Time) (uint64, error) {
	rows, err := s.p.outbox.ReadOutbox(0, 1)
	if err != nil || len(rows) == 0 {
		return s.asker.Status().JournalSeq, err
	}
	low, high := rows[0].Seq-1, s.asker.Status().JournalSeq // the row after high, if there is one, is later
	for low < high {
		mid := low + (high-low)/2
		if rows, err = s.p.outbox.ReadOutbox(mid, 1); err != nil {
			return 0, err
		}
		if len(rows) > 0 && rows[0].At.Before(t) {
			low = rows[0].Seq
		} else {
			high = mid
		}
	}
	return low, nil
}

// row holds a row of the snapshot against what this member has told.
func (s *shadow) row(r *toldRow, seen *spots) error {
	if r.Addr == "" {
		return nil
	}
	at, err := r.spot("")
	if err != nil {
		return err
	}
	seen.add(at)
	present, err := s.present(at)
	if word := r.word(""); err == nil && present != word {
		s.differ(at, word)
	}
	return err
}

// ownRows finds what only this member holds.
func (s *standby) ownRows(shadow *shadow, seen *spots) error {
	slices.Sort(seen.hashes)
	for cursor := uint64(0); ; {
		list, next, err := s.asker.Sessions(binding.Selection{Limit: refillPage, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, b := range list {
			at := spot{Place: binding.Place{Domain: b.Domain, Addr: b.Addr}}
			if !seen.has(at) && b.Site == "" && b.Addr.Prefix.IsValid() {
				shadow.differ(at, binding.Released.String())
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// spots is a set of spots, for millions of them: by hash.
type spots struct {
	seed   maphash.Seed
	hashes []uint64 // sorted before has is asked
}

func (s *spots) add(at spot) { s.hashes = append(s.hashes, maphash.Comparable(s.seed, at)) }

func (s *spots) has(at spot) bool {
	_, found := slices.BinarySearch(s.hashes, maphash.Comparable(s.seed, at))
	return found
}

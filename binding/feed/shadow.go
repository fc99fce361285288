package feed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// Limits of a shadow.
const (
	// unlikeMax bounds the places at which two members differ. Normally those
	// are the few whose change one of them is about to hear.
	unlikeMax = 1 << 20
	// unlikeQueue bounds what waits to be matched at one place.
	unlikeQueue = 64
	// unlikeAge is how much later than a change the other member must have told
	// everything for the change to count as a difference that stays.
	unlikeAge = 10 * time.Second
	// Of what was told and decided before, so much is matched too: the snapshot
	// may show what the active member has not told yet.
	theirWindow = 15 * time.Second
	ourWindow   = 10 * time.Second
	// lagMax is how far this member may lag behind the active one, and how far
	// apart the two may date the same news.
	lagMax = 2 * time.Second
	// compareEvery is how often differences that stay are looked at.
	compareEvery = 30 * time.Second
)

// A shadow is what a member that stands by keeps so that it can go on where the
// active one stops: what the stream tells beside what this member's own changes
// would have told. Both speak of the same news, each in its own order and
// number. A change that both have is done with; one that only this member has is
// published when it takes over, and where only the stream had one it says again
// what it knows.
type shadow struct {
	incarnation string
	seq, stream uint64    // the last change that was told, and its number in the stream; zero before the first
	from        time.Time // since when changes are told here
	ready       uint64    // it can be relied on from this change on
	quiet       bool      // nothing was told since
	read        uint64    // the last of our own changes that was looked at
	unlike      map[spot]*unlike
	began       time.Time // what happened before, the active member has told before
	reached     time.Time // everything that the active member decided until then was told
	compared    time.Time // when what stays was last looked at
	unsure      int       // spots, then, of which it is not known what was told
	differing   int       // spots at the last look

	enc  encoder
	told func(binding.Place) binding.Change
	now  func() time.Time
}

// A spot is what a change is about: an address or, for SIMChange, a subscriber.
type spot struct {
	binding.Place
	sim string
}

// An unlike is a spot at which the stream and this member differ so far.
type unlike struct {
	ours   []ownChange // not told by the stream
	theirs []move      // told by the stream and not by us
	since  time.Time   // of the first of them
	last   string      // the last word that the stream told; "" is not known
	stays  bool        // there is nothing to match, only Told to compare
	newer  bool        // we have decided something else since that last word
	// equal is when Told and the stream were seen to say the same: what we had
	// decided before is told, though its change may come yet.
	equal time.Time
}

// same reports whether nothing differs at the spot.
func (u *unlike) same() bool { return len(u.ours)+len(u.theirs) == 0 && !u.stays }

type ownChange struct {
	seq uint64
	move
	at time.Time // when it was decided
}

// A move is a step and the moment of the news that it is of, by which it is told
// from the same step of another time: who had an address may get it again.
type move struct {
	step string
	of   time.Time
}

func (m move) same(other move) bool {
	return m.step == other.step && m.of.Sub(other.of).Abs() <= lagMax
}

// boundWord ends the word of a holder that can be relied on, sharedWord of one
// whose number other SIMs have too.
const (
	boundWord  = "  "
	sharedWord = " bound multi-sim"
)

// word is what a change or a row says of its place, so that two members' words
// are the same where they mean the same.
func (t *told) word(kind string) string {
	switch {
	case kind == binding.Released.String():
		return kind
	case kind == binding.Conflict.String(), t.State == binding.StateAmbiguous.String() && t.Reason == binding.ReasonConflict.String():
		return binding.Conflict.String()
	case kind == binding.SIMChange.String():
		return t.MSISDN + " " + t.IMSI + " " + t.IMEI
	case t.State == binding.StateBound.String() && t.Reason == binding.ReasonBound.String():
		return t.MSISDN + " " + t.IMSI + boundWord
	}
	return t.MSISDN + " " + t.IMSI + " " + t.State + " " + t.Reason
}

// step is what two members' changes have in common that are the same step: the
// word and, where that names nobody, who it was.
func (c *toldChange) step() string {
	if c.Kind == binding.Released.String() {
		return c.Kind + " " + c.Was.MSISDN + " " + c.Was.IMSI
	}
	return c.word(c.Kind)
}

// spot is what the change or row is about.
func (t *told) spot(kind string) (spot, error) {
	if kind == binding.SIMChange.String() {
		return spot{sim: t.MSISDN + " " + t.IMSI}, nil
	}
	addr, err := t.address()
	return spot{Place: binding.Place{Domain: t.Domain, Addr: addr}}, err
}

// published is a change of ours as the stream would tell it.
func (s *shadow) published(c *binding.Change) (t toldChange, err error) {
	if err = json.Unmarshal(s.enc.appendChange(nil, c), &t); err != nil {
		return t, fmt.Errorf("payload of change %d: %w", c.Seq, err)
	}
	return t, nil
}

// present is the word that this member's changes have told last.
func (s *shadow) present(at spot) (string, error) {
	c := s.told(at.Place)
	t, err := s.published(&c)
	return t.word(t.Kind), err
}

// at finds or makes what differs at a spot.
func (s *shadow) at(at spot) *unlike {
	u := s.unlike[at]
	if u == nil {
		u = &unlike{}
		s.unlike[at] = u
	}
	return u
}

// hear takes the next change of the stream.
func (s *shadow) hear(c *toldChange, stream uint64) error {
	s.seq, s.stream = c.Seq, stream
	if c.At.After(s.reached) {
		s.reached = c.At
	}
	at, err := c.spot(c.Kind)
	if err != nil {
		return err
	}
	u, step := s.at(at), move{c.step(), c.EventTime}
	u.last, u.newer = c.word(c.Kind), false
	if i := slices.IndexFunc(u.ours, func(o ownChange) bool { return o.same(step) }); i >= 0 {
		u.ours, u.theirs = u.ours[i+1:], nil // what was before is settled
	} else if c.At.Sub(s.began) > lagMax {
		if len(u.theirs) == 0 {
			u.since = s.now()
		}
		u.theirs = append(u.theirs, step)
	} else if len(u.ours) == 0 { // ours may be of before we looked
		u.stays = true
	}
	return s.settle(at, u)
}

// own takes the next change of our own.
func (s *shadow) own(c *binding.Change) error {
	s.read = c.Seq
	t, err := s.published(c)
	if err != nil {
		return err
	}
	at, err := t.spot(t.Kind)
	if err != nil {
		return err
	}
	old := c.EventTime.Before(s.began)
	if old && at.sim != "" {
		return nil
	}
	u, step := s.at(at), move{t.step(), c.EventTime}
	if c.At.Before(u.equal) {
		return nil
	}
	if i := slices.IndexFunc(u.theirs, step.same); i >= 0 {
		u.ours, u.theirs = nil, u.theirs[i+1:]
	} else if old {
		u.stays = true
	} else {
		u.ours, u.newer = append(u.ours, ownChange{c.Seq, step, c.At}), true
	}
	return s.settle(at, u)
}

// differ notes a spot where a snapshot and this member differ.
func (s *shadow) differ(at spot, last string) {
	u := s.at(at)
	u.last, u.stays = last, true
}

// settle forgets a spot where nothing differs any more.
func (s *shadow) settle(at spot, u *unlike) error {
	if len(u.ours) > unlikeQueue || len(u.theirs) > unlikeQueue {
		u.stays = true
	}
	if !u.stays {
		if u.same() && u.equal.IsZero() {
			delete(s.unlike, at)
		}
		return nil
	}
	u.ours, u.theirs = nil, nil
	return s.compare(at, u)
}

// compare notes that consumers know of a spot what this member knows.
func (s *shadow) compare(at spot, u *unlike) error {
	if at.sim != "" {
		delete(s.unlike, at) // nothing is held there that could be said again
		return nil
	}
	now := s.now()
	present, err := s.present(at)
	if err == nil && present == u.last {
		u.stays, u.equal = false, now.Truncate(time.Millisecond)
	}
	return err
}

// age gives up matching what has waited for long.
func (s *shadow) age() error {
	now := s.now()
	again := now.Sub(s.compared) > compareEvery
	if again {
		s.compared, s.unsure = now, 0
	}
	for at, u := range s.unlike {
		if u.same() && now.Sub(u.equal) > unlikeAge {
			delete(s.unlike, at)
			continue
		}
		if u.same() || u.stays && !again || !u.stays && !s.outdated(u, now) {
			continue
		}
		if err := s.settle(at, u); err != nil {
			return err
		}
		if again && u.last == "" && at.sim == "" {
			s.unsure++
		}
	}
	s.differing = 0
	for _, u := range s.unlike {
		if !u.same() {
			s.differing++
		}
	}
	return nil
}

// outdated drops what finds no match any more: ours, once the active member has
// told all that it decided long after; theirs, once this one has had the time. It
// reports whether nothing is left that could be matched.
func (s *shadow) outdated(u *unlike, now time.Time) bool {
	for len(u.ours) > 0 && s.reached.Sub(u.ours[0].at) > unlikeAge {
		u.ours = u.ours[1:]
	}
	if len(u.theirs) > 0 && now.Sub(u.since) > unlikeAge {
		u.theirs = nil
	}
	u.stays = len(u.ours)+len(u.theirs) == 0
	return u.stays
}

// lags reports whether this member is about to decide what the stream has told
// already. When it takes over before, consumers hear that twice.
func (s *shadow) lags() bool {
	if s == nil {
		return false
	}
	for _, u := range s.unlike {
		if len(u.theirs) > 0 && s.now().Sub(u.since) < lagMax {
			return true
		}
	}
	return false
}

// stands reports whether this member could go on where the stream ends.
func (s *shadow) stands() bool {
	return s != nil && (s.seq != 0 || s.quiet) && s.seq >= s.ready
}

// full reports that too much differs to be kept.
func (s *shadow) full() bool { return len(s.unlike) > unlikeMax }

// kept is the last of our changes before those that may still have to be
// published.
func (s *shadow) kept() uint64 {
	kept := s.read
	for _, u := range s.unlike {
		if len(u.ours) > 0 {
			kept = min(kept, u.ours[0].seq-1)
		}
	}
	return kept
}

// untold is what consumers still have to be told: changes of ours that the
// stream did not have, by number, and places of which it told something else.
// Those that it gave to another SIM than we know of are apart: the active member
// may have heard what we have not.
func (s *shadow) untold() (changes map[uint64]bool, places, doubted []binding.Place, err error) {
	changes = map[uint64]bool{}
	for at, u := range s.unlike {
		for _, c := range u.ours {
			changes[c.seq] = true
		}
		if len(u.ours) > 0 || at.sim != "" || u.same() {
			continue // the last of ours says how it is, or nothing differs
		}
		present, err := s.present(at)
		if err != nil {
			return nil, nil, nil, err
		}
		switch {
		case present == u.last:
		case !u.newer && otherSIM(present, u.last):
			doubted = append(doubted, at.Place)
		default:
			places = append(places, at.Place)
		}
	}
	return changes, places, doubted, nil
}

// otherSIM reports whether our word names a holder to be relied on and the
// stream's last one another, or several.
func otherSIM(ours, last string) bool {
	if !strings.HasSuffix(ours, boundWord) && !strings.HasSuffix(ours, sharedWord) {
		return false
	}
	if last == binding.Conflict.String() {
		return true
	}
	a, b := strings.Split(ours, " "), strings.Split(last, " ")
	if len(b) < 2 {
		return false // nobody, or not known
	}
	differs := func(x, y string) bool { return x != "" && y != "" && x != y }
	return differs(a[0], b[0]) || differs(a[1], b[1])
}

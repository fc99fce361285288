package worldtest

import (
	"slices"

	"github.com/simbind/simbind/binding"
)

// Wired is the profile as a [Listener] needs it: of its sources those that are
// spoken with us, RADIUS and Gx, and words that say no more and no less than
// their messages can. It is false of a profile that is about others.
func (p Profile) Wired() (Profile, bool) {
	whole := false
	var telling [][]binding.Source
	for _, sources := range p.Telling {
		spoken := slices.DeleteFunc(slices.Clone(sources), func(s binding.Source) bool {
			return s != binding.SourceRADIUS && s != binding.SourceGx
		})
		whole = whole || len(spoken) == len(sources)
		if len(spoken) > 0 {
			telling = append(telling, spoken)
		}
	}
	p.wired, p.Telling = true, telling
	p.Happens.Directory, p.Happens.Restore = 0, 0
	return p, whole
}

// arrange draws by which ways a voice comes.
func (w *world) arrange(v *voice) {
	v.ways = 1
	if !w.p.wired {
		return
	}
	v.ways += w.r.IntN(2)
	v.agent = v.source == binding.SourceGx && (w.p.Words.Namesakes || w.r.IntN(2) == 0)
	if !v.agent && v.source == binding.SourceGx {
		v.ways = 1 // it is its own peer
	}
}

// way draws by which way a message comes.
func (w *world) way(v *voice) int {
	if v.ways < 2 {
		return 0
	}
	return w.r.IntN(v.ways)
}

// shown is the Origin-State-Id that a connection shows when it is opened, of
// peers that do so: an agent's is not that of the node behind it.
func (w *world) shown(v *voice) uint32 {
	if !w.p.wired || v.agent || w.r.IntN(3) == 0 {
		return 0
	}
	return v.originState
}

// fit makes a word say what a message of its protocol can, and what follows
// from the message though nobody meant it.
func (w *world) fit(word *Word) {
	if !w.p.wired {
		return
	}
	shared := func(a binding.Address) bool { return !whole(a) }
	if word.Source == binding.SourceGx {
		foreign := func(a binding.Address) bool { return shared(a) || a.Is4() && !a.Prefix.IsSingleIP() }
		word.Addrs, word.Gone = slices.DeleteFunc(word.Addrs, foreign), slices.DeleteFunc(word.Gone, foreign)
		if len(word.Gone) > 0 {
			word.Addrs = nil // a trigger, and what it is about
		}
	}
	word.Complete = word.Kind != binding.SessionStop && len(word.Addrs) > 0 && len(word.Gone) == 0 &&
		!slices.ContainsFunc(word.Addrs, shared)
}

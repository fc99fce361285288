package worldtest

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A recorder writes down what it hears and answers nothing.
type recorder struct {
	nobody
	w     *world
	heard []heardWord
	kills int
	frees int
	last  time.Time
	fault string
}

func (r *recorder) witness(w *world)    { r.w = w }
func (r *recorder) hearWord(word *Word) { r.heard = append(r.heard, heardWord{Word: word}) }
func (r *recorder) saw(release)         { r.frees++ }
func (r *recorder) Kill(gap time.Duration) {
	r.kills++
	r.last = r.last.Add(gap)
}
func (r *recorder) Advance(now time.Time) { r.move(now) }

func (r *recorder) Hear(ev binding.Event) {
	r.move(ev.Arrived)
	r.heard[len(r.heard)-1].arrived = tick(ev.Arrived.Sub(genesis) / time.Millisecond)
}

func (r *recorder) move(now time.Time) {
	if now.Before(r.last) {
		r.fault = fmt.Sprintf("our clock goes back from %v to %v", r.last, now)
	}
	r.last = now
}

// record plays some histories of a profile.
func record(p Profile, histories uint64) []*recorder {
	var list []*recorder
	for h := range histories {
		Play(p, 3, h, func(Setup) Subject {
			r := &recorder{}
			list = append(list, r)
			return r
		})
	}
	return list
}

func TestTheChannelKeepsWhatIsAssumed(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for h, r := range record(p, 30) {
				for _, problem := range []string{
					r.fault, r.lateness(), r.links(), r.clocks(), r.sessions(), r.delays(),
				} {
					if problem != "" {
						t.Fatalf("history %d: %s", h, problem)
					}
				}
			}
		})
	}
}

// lateness looks for words that came too late, or before they were said.
func (r *recorder) lateness() string {
	for _, h := range r.heard {
		limit := maxDelay
		switch {
		case h.voice == nil:
		case h.Link != 0 && !h.Repeated:
			limit = flight
		case h.Stamp.IsZero() && !h.Delayed:
			limit = blindDelay
		}
		if late := h.arrived - h.at; late > limit || late < 0 {
			return fmt.Sprintf("%d ms late: %s", late, h.describe())
		}
	}
	return ""
}

// links looks for words that overtook others of their ordered transport.
func (r *recorder) links() string {
	last := map[uint64]tick{}
	for _, h := range r.heard {
		if h.Link == 0 || h.Repeated {
			continue
		}
		if h.at < last[h.Link] {
			return "overtaken on its link: " + h.describe()
		}
		last[h.Link] = h.at
	}
	return ""
}

// clocks looks for epochs that began with eight late words, or that were left
// before one on time.
func (r *recorder) clocks() string {
	type key struct{ clock, epoch int }
	heard, timely, newest := map[key]int{}, map[key]bool{}, map[int]int{}
	for _, h := range r.heard {
		if h.Stamp.IsZero() {
			continue
		}
		if shown := h.voice.clock.reads(h.stamped, h.epoch).time(); shown.Sub(h.Stamp).Abs() > time.Second {
			return fmt.Sprintf("the clock shows %v: %s", shown, h.describe())
		}
		id := h.voice.clock.id
		k := key{id, h.epoch}
		heard[k]++
		timely[k] = timely[k] || h.arrived-h.stamped < onTime
		if heard[k] == 8 && !timely[k] {
			return "eight words of an epoch and none on time: " + h.describe()
		}
		if h.epoch > newest[id] {
			if old := (key{id, newest[id]}); heard[old] > 0 && !timely[old] {
				return "the former epoch was never heard on time: " + h.describe()
			}
			newest[id] = h.epoch
		}
	}
	return ""
}

// delays looks for a delay or an age that is not true.
func (r *recorder) delays() string {
	type last struct {
		at  tick
		age time.Duration
	}
	ages := map[*leg]last{}
	for _, h := range r.heard {
		if h.Delayed && h.Delay > (h.arrived-h.at).duration()+time.Second {
			return "was never tried for so long: " + h.describe()
		}
		if !h.Aged {
			continue
		}
		if begin := h.at - tick(h.Age/time.Millisecond); begin-h.leg.stay.begin > second || begin < h.leg.stay.begin {
			return "not so old: " + h.describe()
		}
		if l, ok := ages[h.leg]; ok && (h.at > l.at) != (h.Age >= l.age) && h.Age != l.age {
			return "grew younger: " + h.describe()
		}
		ages[h.leg] = last{h.at, h.Age}
	}
	return ""
}

// sessions looks for ids that are used twice at a time, addresses that two SIMs
// have at a time, and words that say what is not so.
func (r *recorder) sessions() string {
	for _, l := range r.w.legs {
		if l.next != nil && l.next.stay.begin < l.stay.end {
			return fmt.Sprintf("%v uses %s again while it lives", l.voice, l.session)
		}
	}
	for _, p := range r.w.plots {
		for i, a := range p.claims {
			for _, b := range p.claims[:i] {
				honest := !a.stay.liar && !b.stay.liar
				if honest && a.stay.sim != b.stay.sim && a.from < b.to && b.from < a.to && overlap(a.addr, b.addr) {
					return fmt.Sprintf("%v and %v are of two SIMs at a time", a.addr, b.addr)
				}
			}
		}
	}
	for _, h := range r.heard {
		if h.leg == nil || h.leg.stay.liar {
			continue
		}
		if h.at < h.leg.stay.begin || h.at > h.leg.stay.end || h.living() && h.at == h.leg.stay.end {
			return "its session does not last then: " + h.describe()
		}
		for _, a := range h.Addrs {
			has := false
			for _, c := range h.leg.stay.claims {
				has = has || c.addr == a && c.from <= h.at && h.at <= c.to
			}
			if !has {
				return fmt.Sprintf("does not have %v then: %s", a, h.describe())
			}
		}
	}
	return ""
}

func TestTheSameSeedGivesTheSameHistories(t *testing.T) {
	for _, p := range Profiles() {
		sum := func() uint64 {
			h := fnv.New64a()
			for _, r := range record(p, 2) {
				for _, w := range r.heard {
					fmt.Fprintln(h, w.arrived, w.describe())
				}
			}
			return h.Sum64()
		}
		if a, b := sum(), sum(); a != b {
			t.Errorf("%s: %x, then %x", p.Name, a, b)
		}
	}
}

func TestProfilesHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Profiles() {
		if p.Name == "" || p.About == "" || seen[p.Name] {
			t.Errorf("%q, %q", p.Name, p.About)
		}
		seen[p.Name] = true
	}
}

func TestEverythingHappens(t *testing.T) {
	count := map[string]int{}
	for _, p := range Profiles() {
		for _, r := range record(p, 10) {
			r.count(count)
		}
	}
	for _, what := range []string{
		"late by minutes", "overtaken", "same octets", "fixed stamp and delay", "fresh stamp and delay", "repeated on a link",
		"delay alone", "no time", "age", "bad stamp", "clock ahead", "clock behind", "clock set forward", "clock set back",
		"restart", "restart lost", "restart repeated", "two restarts of the same octets", "new Origin-State-Id",
		"kill", "release", "a lie", "another's name", "news lost", "connection lost", "connection back",
		"no identity", "IMSI alone", "number alone", "number changed", "directory",
		"/56", "/64", "/28", "block", "unaligned block", "whole address", "gone", "complete",
		"id used again", "id used again at once", "handover", "attached anew", "Stop lost", "Start lost", "Stop with address",
		"namesake", "both names", "second name alone", "first name alone", "second context", "last context", "three sources",
	} {
		if count[what] == 0 {
			t.Errorf("never: %s", what)
		}
	}
}

func (r *recorder) count(n map[string]int) {
	n["kill"] += r.kills
	n["release"] += r.frees
	r.countTruth(n)
	octets := map[uint64]*heardWord{}
	heard := map[*Word]bool{}
	var last tick
	for i := range r.heard {
		h := &r.heard[i]
		is := func(what string, so bool) {
			if so {
				n[what]++
			}
		}
		former := octets[h.Octets]
		is("late by minutes", h.arrived-h.at > 2*minute)
		is("overtaken", h.at < last)
		is("same octets", heard[h.Word])
		is("fixed stamp and delay", h.Delay > 0 && h.stamped == h.at && !h.Stamp.IsZero())
		is("fresh stamp and delay", h.Delay > 0 && h.stamped > h.at)
		is("repeated on a link", h.Repeated)
		is("delay alone", h.Delay > 0 && h.Stamp.IsZero())
		is("no time", h.Stamp.IsZero() && !h.Delayed && h.Link == 0 && h.voice != nil)
		is("age", h.Aged)
		is("bad stamp", !h.Stamp.IsZero() && h.voice.clock.single[h.epoch])
		is("restart", h.Kind == binding.NodeRestart)
		is("restart repeated", h.Kind == binding.NodeRestart && h.Delay > 0)
		is("two restarts of the same octets", h.Kind == binding.NodeRestart && former != nil && former.at < h.at)
		is("new Origin-State-Id", h.OriginState > 0 && h.restart > 0)
		is("news lost", h.Kind == binding.NewsLost)
		is("connection lost", h.Kind == binding.NodeDown)
		is("connection back", h.Kind == binding.NodeUp)
		is("directory", h.Kind == binding.NumberKnown)
		is("both names", h.Also != "")
		is("second name alone", h.voice != nil && h.voice.alias != "" && h.Node == h.voice.alias)
		is("first name alone", h.voice != nil && h.voice.alias != "" && h.Node == h.voice.name && h.Also == "")
		is("another's name", h.voice != nil && h.voice.liesOf != nil && h.Node == h.voice.liesOf.name)
		octets[h.Octets], heard[h.Word], last = h, true, h.at
		if h.leg == nil {
			continue
		}
		is("a lie", h.leg.stay.liar)
		is("no identity", h.IMSI == 0 && h.MSISDN == 0)
		is("IMSI alone", h.IMSI != 0 && h.MSISDN == 0)
		is("number alone", h.IMSI == 0 && h.MSISDN != 0)
		is("gone", len(h.Gone) > 0)
		is("complete", h.Complete)
		is("Stop with address", h.ends() && len(h.Addrs) > 0)
		is("second context", h.Contexts == firstContext<<1)
		is("last context", h.Last)
		for _, a := range h.Addrs {
			is(fmt.Sprintf("/%d", a.Prefix.Bits()), true)
			is("block", !whole(a) && a.PortLow%1024 == 0)
			is("unaligned block", !whole(a) && a.PortLow%1024 != 0)
			is("whole address", whole(a) && a.Prefix.Addr().Is4() && a.Prefix.Addr().As4()[2] == 64)
		}
	}
}

func (r *recorder) countTruth(n map[string]int) {
	told, starts, stops, restarts := map[*leg]bool{}, map[*leg]bool{}, map[*leg]bool{}, map[tick]bool{}
	for _, h := range r.heard {
		if h.leg != nil {
			told[h.leg] = true
			starts[h.leg] = starts[h.leg] || h.Kind == binding.SessionStart
			stops[h.leg] = stops[h.leg] || h.ends()
		}
		restarts[h.restart] = true
	}
	for _, l := range r.w.legs {
		if told[l] && !starts[l] {
			n["Start lost"]++
		}
		if told[l] && !l.stay.lasts() && !stops[l] {
			n["Stop lost"]++
		}
		if l.prev != nil {
			n["id used again"]++
			if l.stay.begin-l.prev.stay.end < second {
				n["id used again at once"]++
			}
		}
	}
	for _, s := range r.w.stays {
		if len(s.legs) == 3 {
			n["three sources"]++
		}
		if s.handedOver || !s.lasts() && s.sim.shares(s) {
			n["handover"]++
		}
		if s.replaced != nil {
			n["attached anew"]++
		}
	}
	for i, v := range r.w.voices {
		for _, o := range r.w.voices[:i] {
			if v.source == o.source && v.name == o.name && v.liesOf == nil && o.liesOf == nil {
				n["namesake"]++
			}
		}
	}
	for _, g := range r.w.gateways {
		if g.restarted != never && !restarts[g.restarted] {
			n["restart lost"]++
		}
	}
	for _, s := range r.w.sims {
		if len(s.numbers) > 1 {
			n["number changed"]++
		}
	}
	for _, c := range r.w.clocks {
		for i := 1; i < len(c.offsets); i++ {
			switch {
			case c.single[i] || c.single[i-1]:
			case c.offsets[i] > c.offsets[i-1]:
				n["clock set forward"]++
			default:
				n["clock set back"]++
			}
		}
		if c.offsets[0] > hour {
			n["clock ahead"]++
		}
		if c.offsets[0] < -hour {
			n["clock behind"]++
		}
	}
}

// shares reports whether another stay of the SIM has an address of this one
// while this one has it.
func (s *sim) shares(of *stay) bool {
	for _, c := range of.claims {
		for _, o := range c.plot.claims {
			if o.stay != of && o.stay.sim == s && !o.stay.liar && o.from < c.to && c.from < o.to && o.addr == c.addr {
				return true
			}
		}
	}
	return false
}

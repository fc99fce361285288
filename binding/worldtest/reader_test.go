package worldtest

import (
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A reader believes what it hears in the order of hearing, from events alone.
type reader struct {
	apns     map[string]string // their domains
	sessions map[readerKey]*readerSession
	order    int
}

type readerKey struct {
	source               binding.Source
	owner, node, session string
}

type readerSession struct {
	domain string
	number binding.MSISDN
	addrs  map[binding.Address]int // when each was last told
}

func newReader(s Setup) Subject {
	r := &reader{apns: map[string]string{}, sessions: map[readerKey]*readerSession{}}
	for _, d := range s.Domains {
		for _, apn := range d.APNs {
			r.apns[apn] = d.Name
		}
	}
	return r
}

func (r *reader) Advance(time.Time)     {}
func (r *reader) Kill(time.Duration)    {}
func (r *reader) Release(binding.Query) {}

func (r *reader) Hear(ev binding.Event) {
	r.order++
	key := readerKey{ev.Source, ev.Owner, ev.Node, ev.Session}
	if ev.Kind == binding.SessionStop {
		delete(r.sessions, key)
		return
	}
	s := r.sessions[key]
	if s == nil || ev.Kind == binding.SessionStart {
		s = &readerSession{addrs: map[binding.Address]int{}}
		r.sessions[key] = s
	}
	s.domain = r.apns[ev.APN]
	if ev.MSISDN != 0 {
		s.number = ev.MSISDN
	}
	if ev.Complete {
		clear(s.addrs)
	}
	for _, a := range ev.Gone {
		delete(s.addrs, a)
	}
	for _, a := range ev.Addrs {
		s.addrs[a] = r.order
	}
}

func (r *reader) Verify(q binding.Query, n binding.Number) binding.Answer {
	last, number := 0, binding.MSISDN(0)
	for _, s := range r.sessions {
		for a, at := range s.addrs {
			if (q.Domain == "" || q.Domain == s.domain) && covers(a, q.Addr, q.Port) && (q.Port != 0 || whole(a)) && at > last {
				last, number = at, s.number
			}
		}
	}
	switch {
	case number == 0:
		return binding.Answer{}
	case n.Is(number):
		return binding.Answer{Verdict: binding.Match}
	}
	return binding.Answer{Verdict: binding.Mismatch, Reason: binding.ReasonOtherNumber}
}

func TestEventsTellEnoughWhereLinesArePerfect(t *testing.T) {
	for _, name := range []string{
		"steady", "apart", "stepping", "bad stamp", "no time", "ranges", "blocks", "reuse", "identity", "no room",
	} {
		p := profile(t, name)
		p.Channel, p.Happens.Restart, p.Happens.Directory = Channel{Clean: 1}, 0, 0
		p.Words.Partial, p.Words.Bare = 0, 0
		r := Run(p, 1, 10_000, newReader)
		quiet := r.Quiet.Asked + r.Stepped.Asked + r.Blind.Asked + r.Room.Asked
		withheld := r.Quiet.PerMille() + r.Stepped.PerMille() + r.Blind.PerMille() + r.Room.PerMille()
		if r.Wrong+r.Denied > 0 || withheld > 0 || quiet < r.Questions/50 {
			t.Errorf("%s", r.String())
		}
	}
}

func TestWhoSaysNothingWithholds(t *testing.T) {
	for _, c := range []struct {
		profile string
		tally   func(r *Report) *Tally
	}{
		{"steady", func(r *Report) *Tally { return &r.Quiet }},
		{"stepping", func(r *Report) *Tally { return &r.Stepped }},
		{"no time", func(r *Report) *Tally { return &r.Blind }},
		{"no room", func(r *Report) *Tally { return &r.Room }},
	} {
		r := Run(profile(t, c.profile), 1, 10_000, newScholar(silent))
		tally := c.tally(&r)
		if tally.Asked == 0 || tally.Withheld["ambiguous conflict"] != tally.Asked || tally.PerMille() != 1000 {
			t.Errorf("%s: %+v", c.profile, *tally)
		}
	}
}

// fickle fails the first time that it is asked something, and never again.
type fickle struct {
	recorder
	asked *int
}

func (f fickle) Verify(binding.Query, binding.Number) binding.Answer {
	*f.asked++
	return binding.Answer{Verdict: binding.Match * binding.Verdict(min(1, 1/(*f.asked)))}
}

func TestAFailureThatDoesNotComeAgainIsTold(t *testing.T) {
	asked := 0
	p := profile(t, "steady")
	p.Channel = Channel{Clean: 1}
	r := Run(p, 4, 400, func(Setup) Subject { return &fickle{asked: &asked} })
	if r.Failure == nil || r.Wrong != 1 {
		t.Fatalf("%v", r)
	}
	if want := "not answered so when played again"; !strings.Contains(r.Failure.Text, want) {
		t.Errorf("no %q in\n%s", want, r.Failure.Text)
	}
}

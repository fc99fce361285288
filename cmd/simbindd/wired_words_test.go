package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/radius"
)

// An echo has words made messages, which the edges' decoders read again.
type echo struct {
	words int
	fault string
}

func (r *echo) HearWord(w *worldtest.Word, now time.Time) {
	if w.Session == "" && (w.Kind != binding.NodeRestart || w.Source != binding.SourceRADIUS) {
		return
	}
	r.words++
	want := w.Event(now)
	got, err := r.read(w, now)
	if err != nil {
		r.fault = fmt.Sprint(err)
		return
	}
	if want.Kind == binding.SessionStart && want.Age == 0 {
		want.Aged = false // RFC 2866 section 5.7 gives a Start no age
	}
	if want.Also != "" && w.Source == binding.SourceRADIUS {
		if _, err := netip.ParseAddr(want.Node); err == nil { // NAS-Identifier comes first
			want.Node, want.Also = want.Also, want.Node
		}
	}
	if !want.Time.IsZero() && want.Time.Equal(got.Time) {
		got.Time = want.Time
	}
	byText := func(a, b binding.Address) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(want.Addrs, byText)
	slices.SortFunc(got.Addrs, byText)
	if len(want.Addrs)+len(got.Addrs) == 0 {
		got.Addrs = want.Addrs
	}
	if len(want.Gone)+len(got.Gone) == 0 {
		got.Gone = want.Gone
	}
	if !reflect.DeepEqual(got, want) && r.fault == "" {
		r.fault = fmt.Sprintf("read\n%+v, said\n%+v", got, want)
	}
}

func (r *echo) read(w *worldtest.Word, now time.Time) (binding.Event, error) {
	if w.Source == binding.SourceRADIUS {
		wire, err := accounting(w, []byte(testSecret))
		if err != nil {
			return binding.Event{}, err
		}
		got, err := radius.Decode(wire, radius.Origin{Owner: w.Owner, Arrived: now})
		return got.Event, err
	}
	m := creditControl(w, w.OriginState)
	m.Header.MessageLength = uint32(m.Len())
	wire, err := m.Serialize()
	if err != nil {
		return binding.Event{}, err
	}
	got, err := diameter.Decode(wire, diameter.Origin{Owner: w.Owner, Arrived: now, Link: w.Link})
	return got.Event, err
}

func (r *echo) Hear(binding.Event)                                      {}
func (r *echo) Advance(time.Time)                                       {}
func (r *echo) Kill(time.Duration)                                      {}
func (r *echo) Release(binding.Query)                                   {}
func (r *echo) Verify(binding.Query, binding.Number) (a binding.Answer) { return a }

func TestMessagesSayWhatTheWordsSay(t *testing.T) {
	for _, p := range worldtest.Profiles() {
		p, spoken := p.Wired()
		if !spoken {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			r := &echo{}
			worldtest.Run(p, 1, 4000, func(worldtest.Setup) worldtest.Subject { return r })
			if r.fault != "" || r.words == 0 {
				t.Errorf("%d words: %s", r.words, r.fault)
			}
		})
	}
}

package sampleapp

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"math/big"
	"sync"
	"time"

	"github.com/simbind/simbind/numverify/consumer"
)

// A phase is how far a flow has come.
type phase string

const (
	waiting   phase = "waiting"   // the QR code is shown
	opened    phase = "opened"    // a phone has the page of the link before it
	verifying phase = "verifying" // a browser is at the operator
	done      phase = "done"
	expired   phase = "expired"
)

// A flow is one verification of one browser.
type flow struct {
	// Set by begin, then read-only.
	id      string // the cookie of the browser that began it
	link    string // of the QR code; empty on the phone itself
	code    string // short, shown on both screens
	number  string // +E164 to verify; empty to ask for the number
	browser string // that began it, in words for the phone's page
	expires time.Time

	// Owned by the store.
	phase   phase
	phone   string // the cookie of the browser that was sent to the operator
	attempt consumer.Attempt
	outcome outcome
	changed chan struct{} // closed at the next change
}

// An outcome is what a finished flow shows.
type outcome struct {
	OK       bool
	Title    string
	Text     string
	Number   string // shared by the operator
	Verified bool
}

var (
	errGone = errors.New("this link was used or is too old: start again")
	errFull = errors.New("too many verifications at once: try again in a minute")
)

const (
	flowLife = 2 * time.Minute
	maxFlows = 10_000
)

// flows is the app's memory. It forgets what is older than flowLife.
type flows struct {
	now func() time.Time

	mu      sync.Mutex
	byID    map[string]*flow
	byLink  map[string]*flow
	byState map[string]*flow
}

func newFlows(now func() time.Time) *flows {
	return &flows{now: now, byID: map[string]*flow{}, byLink: map[string]*flow{}, byState: map[string]*flow{}}
}

// begin makes a flow. With a desktop it waits for a phone.
func (s *flows) begin(number, browser string, desktop bool) (*flow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	if len(s.byID) >= maxFlows {
		return nil, errFull
	}
	f := &flow{
		id: rand.Text(), code: shortCode(), number: number, browser: browser, expires: s.now().Add(flowLife),
		phase: waiting, changed: make(chan struct{}),
	}
	s.byID[f.id] = f
	if desktop {
		f.link = rand.Text()
		s.byLink[f.link] = f
	}
	return f, nil
}

// shortCode is four digits for people to compare. It is no secret.
func shortCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9000))
	if err != nil {
		panic("sampleapp: no randomness: " + err.Error()) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(1000)).String()
}

// A sight is a flow as it was at one moment.
type sight struct {
	*flow
	phase   phase
	outcome outcome
	changed <-chan struct{}
}

// of returns the flow that a browser began.
func (s *flows) of(id string) (sight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.byID[id]
	return s.see(f), ok
}

func (s *flows) see(f *flow) sight {
	if f == nil {
		return sight{}
	}
	if f.phase != done && !s.now().Before(f.expires) {
		s.move(f, expired)
	}
	return sight{f, f.phase, f.outcome, f.changed}
}

// open shows the page of a link to whoever has it, which may be a preview: it
// uses nothing up.
func (s *flows) open(link string) (sight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byLink[link]
	if f == nil {
		return sight{}, errGone
	}
	v := s.see(f)
	if v.phase != waiting && v.phase != opened {
		return sight{}, errGone
	}
	s.move(f, opened)
	return s.see(f), nil
}

// take uses a link up for the one browser that goes on, and names that browser.
func (s *flows) take(link string) (f *flow, phone string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.byLink[link]
	if f == nil {
		return nil, "", errGone
	}
	if v := s.see(f); v.phase != waiting && v.phase != opened {
		return nil, "", errGone
	}
	delete(s.byLink, link)
	f.phone = rand.Text()
	s.move(f, verifying)
	return f, f.phone, nil
}

// send notes that a browser was sent to the operator. On the phone itself it is
// the browser that began.
func (s *flows) send(f *flow, a consumer.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.attempt = a
	if f.phone == "" {
		f.phone = f.id
	}
	s.byState[a.State()] = f
	s.move(f, verifying)
}

// back finds the flow of a redirect from the operator, once, and only for the
// browser that was sent there.
func (s *flows) back(state, browser string) (*flow, consumer.Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byState[state]
	if f == nil || subtle.ConstantTimeCompare([]byte(f.phone), []byte(browser)) != 1 {
		return nil, consumer.Attempt{}, errors.New("this browser did not start that verification")
	}
	delete(s.byState, state)
	if s.see(f).phase != verifying {
		return nil, consumer.Attempt{}, errGone
	}
	return f, f.attempt, nil
}

func (s *flows) finish(f *flow, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.outcome = o
	s.move(f, done)
}

// move tells everyone who waits for a change.
func (s *flows) move(f *flow, to phase) {
	if f.phase == to {
		return
	}
	f.phase = to
	close(f.changed)
	f.changed = make(chan struct{})
}

// sweep forgets flows some time after their end, so that a result can still be
// read.
func (s *flows) sweep() {
	for id, f := range s.byID {
		if s.now().Sub(f.expires) < flowLife {
			continue
		}
		delete(s.byID, id)
		delete(s.byLink, f.link)
		delete(s.byState, f.attempt.State())
	}
}

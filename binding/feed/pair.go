package feed

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// Several sidecars that hear the same gateway may speak for one site. One of
// them is active: it publishes, sends heartbeats and answers requests. The
// others stand by. What keeps two from publishing is the stream, which takes a
// message only after the one that its sender knows of (see sender).

// A Pair makes this sidecar a member of an HA pair.
type Pair struct {
	// Member is its name within the site, empty if it is alone. Like Site, 1 to
	// 64 of A-Z a-z 0-9 _ -.
	Member string
	// File keeps how the numbers that consumers see follow from the journal's,
	// over a restart.
	File string
	// Registry knows what this member would have told. It is required with
	// Member.
	Registry Teller
}

// A Teller knows what its changes have said so far, and can say it again. The
// Registry is one. It is called from one goroutine.
type Teller interface {
	Told(binding.Place) binding.Change
	Restate(context.Context, []binding.Place) error
	// Doubt says it again too, with what is held there unconfirmed from now on
	// until it is heard of again.
	Doubt(context.Context, []binding.Place) error
}

func (cfg Config) checkPair() error {
	c := cfg.Pair
	switch {
	case c.Member == "":
		return nil
	case cfg.URL == "":
		return errors.New("pair needs nats.url: both members publish to the same servers")
	case !cfg.Service:
		return errors.New("pair needs nats.service: who stands by asks the active member for a snapshot")
	case c.File == "" || c.Registry == nil:
		return errors.New("pair needs a file, and somebody who knows what was told")
	}
	return checkToken("pair", c.Member, 64)
}

// The roles of a member.
const (
	RoleActive  = "active"
	RoleStandby = "standby"
)

// lapse is how long an active member may go without sending a heartbeat before
// it doubts that it still is the active one. It is shorter than silence: who was
// suspended does not answer for the site when another has taken over.
const lapse = 2 * time.Second

// jitter keeps two that stand by from taking over at the same moment.
const jitter = time.Second

var (
	errYield = errors.New("another member of the pair is active")
	errLapse = errors.New("no heartbeat was sent for too long")
)

// A pair is the member's part in it.
type pair struct {
	Pair
	log  *slog.Logger
	now  func() time.Time
	drop func(error) // ends the session of the publisher
	wait time.Duration
	wake chan struct{}    // signals a heartbeat
	self func() time.Time // when this process started
	twin func()           // tells that another one has the same name

	mu      sync.Mutex
	active  bool
	doubt   bool      // active, until the stream says otherwise
	term    uint64    // ours, while active
	pulsed  time.Time // the last heartbeat of ours
	highest uint64    // term heard of
	other   heartbeat // the last one of another member
	heard   time.Time // when it came
	deaf    time.Time // since when it says that it takes nothing in; zero if it does
}

func newPair(f *Feed) *pair {
	if f.cfg.Pair.Member == "" || f.asker == nil {
		return nil
	}
	return &pair{
		Pair: f.cfg.Pair, log: f.log.With("member", f.cfg.Pair.Member), now: time.Now, drop: f.interrupt,
		wait: silence, wake: make(chan struct{}, 1),
		self: func() time.Time { return f.asker.Status().Started }, twin: sync.OnceFunc(func() { f.health.alarm(f.log, twinWarning) }),
	}
}

// take notes a heartbeat of the site.
func (p *pair) take(msg *nats.Msg) {
	h, ok := parseHeartbeat(msg.Subject, msg.Data)
	switch {
	case !ok:
	case h.Member != p.Member:
		p.heardOf(h)
	case !h.Started.Equal(p.self().Truncate(time.Millisecond)):
		p.twin()
	}
}

const twinWarning = "another simbindd of this site has the same name in the pair: each member needs one of its own"

// heardOf notes what another member says.
func (p *pair) heardOf(h heartbeat) {
	p.mu.Lock()
	p.other, p.heard, p.highest = h, p.now(), max(p.highest, h.Term)
	switch {
	case h.Ingesting:
		p.deaf = time.Time{}
	case p.deaf.IsZero():
		p.deaf = p.heard
	}
	yield := p.active && (h.Term > p.term || h.Term == p.term && h.Member < p.Member)
	p.active = p.active && !yield
	p.mu.Unlock()
	if yield {
		p.drop(errYield)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// lead makes this member the active one.
func (p *pair) lead(term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.doubt, p.term, p.pulsed = true, false, term, p.now()
	p.highest = max(p.highest, term)
}

// stand makes it stand by.
func (p *pair) stand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = false
}

// patience is how long to wait for another member, each time another while.
func (p *pair) patience() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait = silence + rand.N(jitter)
}

// leads reports whether this member is active, in doubt or not.
func (p *pair) leads() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}

// speaks reports whether this member may answer for the site.
func (p *pair) speaks() bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active && !p.doubt && p.now().Sub(p.pulsed) <= lapse
}

// pulse reports whether a heartbeat may be sent now. A member that could not
// for too long has its session look at the stream first.
func (p *pair) pulse() bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	now := p.now()
	late := p.active && !p.doubt && now.Sub(p.pulsed) > lapse
	p.doubt = p.doubt || late
	ok := p.active && !p.doubt
	if ok {
		p.pulsed = now
	}
	p.mu.Unlock()
	if late {
		p.drop(errLapse)
	}
	return ok
}

// nextTerm is higher than any that was heard of.
func (p *pair) nextTerm(stored uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.highest, stored) + 1
}

// ours is the member's name and term; "" and 0 without a pair.
func (p *pair) ours() (member string, term uint64) {
	if p == nil {
		return "", 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Member, p.term
}

// another reports whether another member is active, as far as can be heard.
func (p *pair) another() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.heard.IsZero() && !p.other.Leaving && p.now().Sub(p.heard) <= silence
}

// told is when the other member said that it has decided no change after seq; zero
// if it said otherwise.
func (p *pair) told(incarnation string, seq uint64) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.other.Incarnation != incarnation || p.other.Seq > seq {
		return time.Time{}
	}
	return p.other.At
}

// turn reports whether nobody is active any more: the other one has not been
// heard for a while, since when this one listens, or it leaves, or it has taken
// nothing in for a while and this one does.
func (p *pair) turn(since time.Time, ingesting func() bool) (why string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, quiet := p.now(), since
	if p.heard.After(quiet) {
		quiet = p.heard
	}
	switch {
	case p.other.Leaving && p.heard.Equal(quiet):
		return "the active member has left", true
	case now.Sub(quiet) > p.wait:
		return "no other member is heard", true
	case !p.deaf.IsZero() && p.heard.Sub(p.deaf) > p.wait && ingesting():
		return "the active member takes nothing in", true
	}
	return "", false
}

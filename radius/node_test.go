package radius

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A nodeRig hears requests that say only who the NAS is.
type nodeRig struct {
	*nodes
	events []string
	refuse bool
	now    time.Time
}

func newNodeRig() *nodeRig {
	r := &nodeRig{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.nodes = newNodes(func(ev binding.Event) error {
		if r.refuse {
			return binding.ErrBusy
		}
		if ev.Source != binding.SourceRADIUS || !ev.Arrived.Equal(r.now) || !ev.Time.IsZero() {
			panic(ev)
		}
		r.events = append(r.events, fmt.Sprint(ev.Kind, " ", ev.Owner, "/", ev.Node))
		return nil
	})
	return r
}

// nasOf reads "node" or "node@also".
func nasOf(who string) nas {
	node, also, _ := strings.Cut(who, "@")
	return nas{node, also}
}

func (r *nodeRig) hear(who string, c *client) { r.heard(c, nasOf(who), r.now) }

func (r *nodeRig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.sweep(r.now)
}

// owned is a client whose nodes are lost after a minute.
func owned(owner string) *client {
	return &client{owner: owner, Client: Client{LossTimeout: time.Minute}}
}

func (r *nodeRig) want(t *testing.T, events ...string) {
	t.Helper()
	if !slices.Equal(r.events, events) {
		t.Errorf("got %q, want %q", r.events, events)
	}
}

func TestASilentNodeIsDownUntilItIsHeard(t *testing.T) {
	r := newNodeRig()
	a := owned("a")
	r.hear("quiet", &client{owner: "patient"})
	r.hear("pgw1@10.0.0.1", a)
	r.pass(59 * time.Second)
	r.want(t)
	r.refuse = true
	r.pass(time.Second)
	r.refuse = false
	r.pass(0)
	r.pass(0)
	r.hear("pgw1", a)
	r.hear("pgw1", a)
	r.want(t, "node-down a/pgw1", "node-up a/pgw1")
}

func TestANodeThatIsHeardAgainIsToldUntilItIsTaken(t *testing.T) {
	r := newNodeRig()
	r.hear("pgw1", owned("a"))
	r.pass(time.Minute)
	r.refuse = true
	r.hear("pgw1", owned("a"))
	r.refuse = false
	r.pass(time.Second)
	r.want(t, "node-down a/pgw1", "node-up a/pgw1")
}

func TestANodeOfTwoOwnersIsTwoNodes(t *testing.T) {
	r := newNodeRig()
	r.hear("pgw1", owned("a"))
	r.hear("pgw1", owned("b"))
	r.pass(50 * time.Second)
	r.hear("pgw1", owned("b"))
	r.pass(10 * time.Second)
	r.want(t, "node-down a/pgw1")
}

func TestANodeIsUpWhileEitherClientOfItsGroupHearsIt(t *testing.T) {
	r := newNodeRig()
	first, second := owned("pair"), owned("pair")
	r.hear("pgw1", first)
	for range 4 {
		r.pass(50 * time.Second)
		r.hear("pgw1", second)
	}
	r.want(t)
	r.pass(time.Minute)
	r.hear("pgw1", first)
	r.want(t, "node-down pair/pgw1", "node-up pair/pgw1")
}

func TestANASThatGoesOnUnderAnotherNameIsNotLost(t *testing.T) {
	a := owned("a")
	for _, c := range []struct {
		claim  string
		before []string
		after  string
		want   []string
	}{
		{"by its address alone, which came beside its identifier", []string{"pgw1@10.0.0.1"}, "10.0.0.1", nil},
		{"by its identifier, after its address alone", []string{"10.0.0.1"}, "pgw1@10.0.0.1", nil},
		{"an address that never came with it", []string{"pgw1@10.0.0.1"}, "10.0.0.2", []string{"node-down a/pgw1"}},
		{"another NAS behind the same address", []string{"pgw1@10.0.0.1", "pgw2@10.0.0.1"}, "pgw2@10.0.0.1",
			[]string{"node-down a/pgw1"}},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := newNodeRig()
			for _, who := range c.before {
				r.hear(who, a)
			}
			r.pass(50 * time.Second)
			r.hear(c.after, a)
			r.pass(50 * time.Second)
			r.want(t, c.want...)
		})
	}
}

func TestAStatusServerKeepsANodeUpAndMakesNone(t *testing.T) {
	r := newNodeRig()
	a := owned("a")
	r.hear("pgw1@10.0.0.1", a)
	for range 3 {
		r.now = r.now.Add(50 * time.Second)
		r.alive(a, nasOf("10.0.0.1"), r.now)
		r.alive(a, nasOf("a proxy@10.0.0.9"), r.now)
		r.sweep(r.now)
	}
	r.want(t)
	if len(r.known) != 2 {
		t.Errorf("%d names are known", len(r.known))
	}
	r.pass(time.Hour)
	r.alive(owned("b"), nasOf("pgw1"), r.now)
	r.want(t, "node-down a/pgw1")
	r.alive(a, nasOf("pgw1"), r.now)
	r.want(t, "node-down a/pgw1", "node-up a/pgw1")
}

func TestNodesAreBounded(t *testing.T) {
	r := newNodeRig()
	r.hear("lost", owned("a"))
	for i := range 2 * maxNodes {
		r.hear(fmt.Sprint("nas", i, "@10.0.0.1"), &client{owner: "a"})
	}
	if n := len(r.known); n != maxNodes {
		t.Errorf("%d names are kept", n)
	}
	r.pass(remembered)
	if n := len(r.known); n != 1 {
		t.Errorf("%d names are kept of nodes that cannot be lost and have been silent for %v", n, remembered)
	}
	r.want(t, "node-down a/lost")
}

func TestOutcomesOfErrors(t *testing.T) {
	for err, want := range map[error]outcome{
		nil: outcomeDurable, binding.ErrBusy: outcomeBusy, binding.ErrClosed: outcomeClosed, binding.ErrCapacity: outcomeCapacity,
		binding.ErrJournal: outcomeJournal, errors.New("x"): outcomeOther,
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, outcomeNames[got], outcomeNames[want])
		}
	}
}

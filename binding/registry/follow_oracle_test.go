package registry

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// A replica is another Registry that knows nothing but the changes of sites,
// whose names are its only nodes.
type replica struct {
	*rig
	applied int // changes
}

func newReplica(t testing.TB, c Config, sites ...string) *replica {
	r := &replica{rig: newRig(t, c)}
	for _, site := range sites {
		r.on(binding.Event{Kind: binding.NodeCurrent, Source: binding.SourceFeed, Node: site})
	}
	return r
}

// catchUp applies what a site decided.
func (r *replica) catchUp(t testing.TB, site string, changes []binding.Change) {
	t.Helper()
	for i := range changes {
		if outcome := r.on(r.event(site, &changes[i])); changes[i].Addr.Prefix.IsValid() && outcome != Applied && outcome != Late {
			t.Errorf("change %d %v %v: %v", changes[i].Seq, changes[i].Kind, changes[i].Addr, outcome)
		}
		r.applied++
	}
	r.heartbeats()
}

// event is what a change says, as binding/feed reads it from the stream.
func (r *replica) event(site string, c *binding.Change) binding.Event {
	ev := binding.Event{
		Kind: binding.SessionUpdate, Source: binding.SourceFeed, Node: site, Session: c.Domain + " " + c.Addr.String(), Arrived: r.now,
		Age: r.now.Sub(c.EventTime), MSISDN: c.Now.MSISDN, IMSI: c.Now.IMSI, IMEI: c.Now.IMEI, APN: c.APN, RAT: c.RAT,
		Addrs: []binding.Address{c.Addr}, Complete: true, Domain: c.Domain, Via: c.Node, Version: c.Seq, Doubt: c.Reason,
	}
	ev.Age = max(ev.Age, 0)
	if c.Kind == binding.Bound || c.Kind == binding.Moved || c.Kind == binding.Conflict {
		ev.Kind = binding.SessionStart
	}
	switch c.Kind {
	case binding.Conflict: // nobody is named
		ev.MSISDN, ev.IMSI, ev.IMEI = 0, 0, 0
	case binding.Released:
		ev = binding.Event{Kind: binding.SessionStop, Source: binding.SourceFeed, Node: site, Session: ev.Session, Arrived: r.now}
	case binding.SIMChange:
		return binding.Event{Kind: binding.NodeUp, Source: binding.SourceFeed, Node: site}
	}
	if c.State == binding.StateBound { // whatever is said beside it
		ev.Doubt = binding.ReasonBound
	}
	return ev
}

// differs tells where the replica answers something else than the site. Where one
// range lies in another, each of two doubts may be said.
func (r *replica) differs(site *rig) string {
	certain := func(v string) bool { return strings.HasPrefix(v, "match") || strings.HasPrefix(v, "mismatch") }
	for i, addr := range askable {
		for _, sim := range oracleSIMs {
			theirs, ours := site.verifyAt(addr, sim.MSISDN), r.verifyAt(addr, sim.MSISDN)
			same := theirs == ours
			switch {
			case theirs == "match/multi-sim": // that is counted where it is asked
				same = strings.HasPrefix(ours, "match")
			case ours == "match/multi-sim":
				same = theirs == "match/bound"
			case !certain(theirs) && !certain(ours):
				unknown := strings.HasPrefix(ours, "unknown") && (strings.HasPrefix(theirs, "unknown") || site.withdrawn(addr))
				same = same || unknown || nested(oracleAddrs[i])
			}
			if !same {
				return fmt.Sprintf("%v of %v: the site says %s, its follower %s", oracleAddrs[i], sim.MSISDN, theirs, ours)
			}
		}
	}
	return ""
}

// nested reports that an address lies in another one of those in use, or has one
// inside.
func nested(a binding.Address) bool {
	for _, b := range oracleAddrs {
		if a != b && a.Prefix.Overlaps(b.Prefix) {
			return true
		}
	}
	return false
}

// withdrawn reports that nobody is told to hold an address, although the site
// knows sessions there.
func (g *rig) withdrawn(q binding.Query) bool {
	k, _, _ := g.At(q)
	h, _ := g.m.Holding(k)
	return h.State == table.Withdrawn
}

// TestFollowerAnswersLikeItsSite: whoever applies the changes of a site in
// order answers what the site answers, whatever happens there.
func TestFollowerAnswersLikeItsSite(t *testing.T) { followOne(t, kind{flat: true, steady: true}) }

func followOne(t *testing.T, k kind) {
	for seed := range k.histories(6) {
		site, follower := newRig(t, oracleConfig), newReplica(t, oracleConfig, "site")
		told := 0
		for i, s := range k.history(1000+seed, 2000) {
			site.now = site.now.Add(s.wait)
			follower.now = site.now
			for range 3 { // what one round finds the next tells
				site.sweepAll()
			}
			follower.catchUp(t, "site", site.batch.Changes[told:])
			told = len(site.batch.Changes)
			for range 2 {
				follower.sweepAll()
			}
			if fault := follower.differs(site) + follower.audit(); fault != "" {
				t.Fatalf("history %d, step %d: %s", seed, i, fault)
			}
			if site.live(t, oracleConfig, s); s.restart {
				told = 0
			}
		}
		if len(follower.batch.Changes) != 0 || follower.applied == 0 {
			t.Fatalf("history %d: the follower applied %d changes and published %d of its own", seed, follower.applied, len(follower.batch.Changes))
		}
	}
}

// histories is how many of n are lived through: fewer of nested addresses, which
// take five times as long.
func (k kind) histories(n uint64) uint64 {
	if !k.flat {
		n /= 3
	}
	if testing.Short() {
		n /= 5
	}
	return max(n, 1)
}

// denies tells why a site would not bear out a match of the replica's: it says
// that another SIM has the address, that it cannot tell who, or that it waits to
// see an end confirmed (rules 9 and 10).
func (r *replica) denies(sites ...*rig) string {
	for i, addr := range askable {
		for _, sim := range oracleSIMs {
			if r.verifyAt(addr, sim.MSISDN) != "match/bound" {
				continue
			}
			known := false
			for k, site := range sites {
				theirs := site.verifyAt(addr, sim.MSISDN)
				known = known || strings.HasPrefix(theirs, "match") || theirs == "unknown/no-msisdn" // the SIM is certain, the other one knows the number
				if site.withdrawn(addr) {                                                            // it has told that nobody holds it
					continue
				}
				// An end of a wider address leaves what was given out of it.
				ending := theirs == "ambiguous/ending" && site.held(addr) == r.held(addr)
				// That others may have parts of a wider address concerns those parts.
				b, _ := site.Lookup(addr)
				ours, _ := r.Lookup(addr)
				conflict := theirs == "ambiguous/conflict" && (!table.Agree(b.Subscriber, ours.Subscriber) || b.Addr == ours.Addr)
				if strings.HasPrefix(theirs, "mismatch") || conflict || ending {
					return fmt.Sprintf("%v is said to be %v, site %d says %s", oracleAddrs[i], sim.MSISDN, k, theirs)
				}
			}
			if !known {
				return fmt.Sprintf("%v is said to be %v, no site is certain of anybody", oracleAddrs[i], sim.MSISDN)
			}
		}
	}
	return ""
}

// held is the address in which a question finds its answer.
func (g *rig) held(q binding.Query) binding.Address {
	b, _ := g.Lookup(q)
	return b.Addr
}

// TestFollowerOfTwoSitesIsNoSurerThanThey: whoever follows two sites that share
// addresses matches nobody whom one of them disputes.
func TestFollowerOfTwoSitesIsNoSurerThanThey(t *testing.T) {
	followTwo(t, kind{flat: true, steady: true})
}

func followTwo(t *testing.T, k kind) {
	histories, matches := k.histories(10), 0
	for seed := range histories {
		n, fault := followBoth(t, k, seed)
		if matches += n; fault != "" {
			t.Fatalf("history %d, %s", seed, fault)
		}
	}
	if matches < int(histories)*200 {
		t.Errorf("the follower matched %d times: that shows nothing", matches)
	}
}

// followBoth lives through the histories of two sites with one clock.
func followBoth(t *testing.T, k kind, seed uint64) (matches int, fault string) {
	names := []string{"a", "b"}
	follower := newReplica(t, oracleConfig, names...)
	var sites []*rig
	var lives []*network
	told := make([]int, len(names))
	for i := range names {
		sites = append(sites, newRig(t, oracleConfig))
		lives = append(lives, &network{r: rand.New(rand.NewPCG(2000+seed, uint64(i))), addrs: k.addrs()})
	}
	for i := range 2000 {
		at := i % len(names)
		lives[at].now = follower.now
		s := lives[at].next()
		follower.now = lives[at].now
		for i, site := range sites {
			site.now = follower.now
			site.sweepAll()
			follower.catchUp(t, names[i], site.batch.Changes[told[i]:])
			told[i] = len(site.batch.Changes)
		}
		follower.sweepAll()
		if fault = follower.denies(sites...) + follower.audit(); fault != "" {
			return matches, fmt.Sprintf("step %d: %s", i, fault)
		}
		matches += follower.matches()
		if s.restart && k.steady {
			continue
		}
		if sites[at].live(t, oracleConfig, s); s.restart {
			told[at] = 0
		}
	}
	return matches, ""
}

// matches counts the addresses of which one SIM's number is certain.
func (g *rig) matches() (n int) {
	for _, addr := range askable {
		for _, sim := range oracleSIMs {
			if g.verifyAt(addr, sim.MSISDN) == "match/bound" {
				n++
				break
			}
		}
	}
	return n
}

package binding

import (
	"fmt"
	"strings"
	"testing"
)

// A replica is a second Registry that knows nothing but the changes of a first
// one, whose name is its only node.
type replica struct {
	*rig
	applied int // changes
}

func newReplica(t testing.TB, c Config) *replica {
	r := &replica{rig: newRig(t, c)}
	r.on(Event{Kind: NodeCurrent, Source: SourceFeed, Node: "site"})
	return r
}

// catchUp applies what the site decided.
func (r *replica) catchUp(t testing.TB, changes []Change) {
	t.Helper()
	for i := range changes {
		if outcome := r.on(r.event(&changes[i])); changes[i].Addr.Prefix.IsValid() && outcome != Applied {
			t.Errorf("change %d %v %v: %v", changes[i].Seq, changes[i].Kind, changes[i].Addr, outcome)
		}
		r.applied++
	}
}

// event is what a change says, as binding/feed reads it from the stream.
func (r *replica) event(c *Change) Event {
	ev := Event{
		Kind: SessionUpdate, Source: SourceFeed, Node: "site", Session: c.Domain + " " + c.Addr.String(), Arrived: r.now,
		Age: r.now.Sub(c.EventTime), MSISDN: c.Now.MSISDN, IMSI: c.Now.IMSI, IMEI: c.Now.IMEI, APN: c.APN, RAT: c.RAT,
		Addrs: []Address{c.Addr}, Complete: true, Domain: c.Domain, Via: c.Node, Version: c.Seq, Doubt: c.Reason,
	}
	ev.Age = max(ev.Age, 0)
	if c.Kind == Bound || c.Kind == Moved || c.Kind == Conflict {
		ev.Kind = SessionStart
	}
	switch c.Kind {
	case Released:
		ev = Event{Kind: SessionStop, Source: SourceFeed, Node: "site", Session: ev.Session, Arrived: r.now}
	case SIMChange:
		return Event{Kind: NodeUp, Source: SourceFeed, Node: "site"}
	}
	if ev.Doubt == ReasonNoMSISDN {
		ev.Doubt = ReasonBound
	}
	return ev
}

// differs tells where the replica answers something else than the site.
func (r *replica) differs(site *rig) string {
	for i, addr := range askable {
		for _, sim := range oracleSIMs {
			theirs, ours := site.verifyAt(addr, sim.MSISDN), r.verifyAt(addr, sim.MSISDN)
			if theirs != ours && !(strings.HasPrefix(theirs, "unknown") && strings.HasPrefix(ours, "unknown")) {
				return fmt.Sprintf("%v of %v: the site says %s, its follower %s", oracleAddrs[i], sim.MSISDN, theirs, ours)
			}
		}
	}
	return ""
}

// TestFollowerAnswersLikeItsSite: whoever applies the changes of a site in
// order answers what the site answers, whatever happens there.
func TestFollowerAnswersLikeItsSite(t *testing.T) {
	histories := uint64(20)
	if testing.Short() {
		histories = 2
	}
	for seed := range histories {
		site, follower := newRig(t, oracleConfig), newReplica(t, oracleConfig)
		told := 0
		for i, s := range makeHistory(1000+seed, 2000) {
			site.now = site.now.Add(s.wait)
			follower.now = site.now
			site.sweepAll()
			follower.catchUp(t, site.batch.Changes[told:])
			told = len(site.batch.Changes)
			follower.sweepAll()
			if fault := follower.differs(site); fault != "" {
				t.Fatalf("history %d, step %d: %s", seed, i, fault)
			}
			if fault := follower.audit(); fault != "" {
				t.Fatalf("history %d, step %d: %s", seed, i, fault)
			}
			switch {
			case s.release != 0:
				site.release(askable[s.release-1], "test", "operator")
			case s.restart:
				site.commit(t)
				site.journal.meta.Alive = site.now
				site.boot(t, oracleConfig)
				told = 0
			default:
				site.on(s.ev)
			}
		}
		if len(follower.batch.Changes) != 0 || follower.applied == 0 {
			t.Fatalf("history %d: the follower applied %d changes and published %d of its own", seed, follower.applied, len(follower.batch.Changes))
		}
	}
}

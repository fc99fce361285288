package registry

import (
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/table"
)

// A former journal is one of before there were bounds, as the journal reads it.
type former struct {
	w *tale
	j *memJournal
}

// formerNode is its only node.
const formerNode = "nas"

func newFormer(w *tale) *former {
	f := &former{w: w, j: newMemJournal()}
	f.j.domains[1] = binding.NameRow{ID: 1, Name: "default"}
	f.j.nodes[1] = binding.NodeRow{ID: 1, Source: binding.SourceRADIUS, Name: formerNode, Former: true}
	f.j.meta.Alive = w.now
	return f
}

// has adds a session that was last heard of so long ago.
func (f *former) has(id string, who binding.Subscriber, addr string, ago time.Duration,
	change func(*binding.SessionRow)) {
	seen := f.w.now.Add(-ago).UnixMilli()
	key := table.Session{Key: table.NewSessionKey(&table.NodeName{Source: binding.SourceRADIUS, Name: formerNode}, id)}
	row := binding.SessionRow{
		Key: key.RowKey(), Node: 1, Seen: seen, Lease: 3600, MSISDN: who.MSISDN, IMSI: who.IMSI,
		Former: &binding.FormerTimes{Start: seen - 60_000, Last: seen, Epoch: 1},
		Holds:  []binding.HoldRow{{Domain: 1, Addr: addresses(addr)[0], Since: seen, Version: 1}},
	}
	if change != nil {
		change(&row)
	}
	f.j.sessions[row.Key] = row
}

// open starts on it.
func (f *former) open() *gateway {
	f.w.rig = &rig{now: f.w.now.Add(time.Second), journal: f.j}
	f.w.boot(f.w.t, taleConfig)
	n := f.w.newNAS(formerNode)
	n.settle()
	return n
}

// TestAJournalOfBeforeTheBounds is converted; what it cannot say is doubt.
func TestAJournalOfBeforeTheBounds(t *testing.T) {
	prove(t, []claim{
		{"a session goes on, and belongs to the owner that brings its node first", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, nil)
			n := f.open()
			w.holds(ue1, simA)
			n.as(func(n *gateway) { n.owner = "somebody else" }).stop("a")
			w.holds(ue1, simA)
			n.stop("a")
			w.nobody(ue1, "unknown/no-binding")
		}},
		{"its words of before do not order what comes within max_delay", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, nil)
			n := f.open()
			n.start("b", simB, ue1, late(2*time.Minute)) // perhaps of before all
			w.silent(ue1, simB)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"one that ended does not come back", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, func(r *binding.SessionRow) { r.Ended, r.Holds = true, nil })
			n := f.open()
			n.update("a", simA, ue1, late(2*time.Minute))
			w.nobody(ue1, "unknown/no-binding")
			w.wait(5 * time.Second)
			n.start("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"one that another source had ended waits for a word", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, func(r *binding.SessionRow) { r.Holds[0].Ending = true })
			n := f.open()
			w.silent(ue1, simA)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"one of before its node's restart is over", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, nil)
			f.j.nodes[1] = binding.NodeRow{
				ID: 1, Source: binding.SourceRADIUS, Name: formerNode, Former: true, Restarts: 1,
				Restart: w.now.Add(-time.Second).UnixMilli(),
			}
			f.open()
			w.silent(ue1, simA)
		}},
		{"who was around an address that was blocked must speak, and the block is deleted", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, nil)
			f.j.blocks = []binding.BlockRow{{Domain: 1, Addr: addresses(ue1)[0], Since: w.now.UnixMilli()}}
			n := f.open()
			w.want(ue1, simA, "unknown/capacity")
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"two SIMs' sessions on one address are a conflict until one speaks", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, 2*time.Minute, func(r *binding.SessionRow) { r.Holds[0].Shared = true })
			f.has("b", simB, ue1, time.Minute, func(r *binding.SessionRow) { r.Holds[0].Shared = true })
			n := f.open()
			w.nobody(ue1, "ambiguous/conflict")
			n.update("b", simB, ue1)
			w.holds(ue1, simB)
		}},
		{"what it says is written anew, and read again as that", func(w *tale) {
			f := newFormer(w)
			f.has("a", simA, ue1, time.Minute, nil)
			n := f.open()
			n.update("a", simA, ue1)
			w.crash(time.Second)
			w.holds(ue1, simA)
			for _, r := range f.j.sessions {
				if r.Former != nil && r.MSISDN == simA.MSISDN {
					w.t.Error("its row is as it was")
				}
			}
		}},
	})
}

package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// number is a SIM with another number.
func number(who binding.Subscriber, m binding.MSISDN) binding.Subscriber {
	who.MSISDN = m
	return who
}

// TestNumberChanges: rule 12.
func TestNumberChanges(t *testing.T) {
	newA := number(simA, simB.MSISDN)
	prove(t, []claim{
		{"a number that changes within a session is its new one", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(10 * time.Second)
			n.update("a", newA, ue1)
			w.holds(ue1, newA)
		}},
		{"an older number never returns", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(20 * time.Second)
			n.update("a", newA, ue1)
			w.wait(20 * time.Second)
			n.update("a", newA, ue1)
			for _, crash := range []bool{false, true} {
				if crash {
					w.crash(time.Second)
				}
				for _, old := range []detail{late(38 * time.Second), delayed(30 * time.Second), late(30 * time.Second)} {
					n.update("a", simA, ue1, old)
					w.silent(ue1, simA)
				}
			}
			n.settle()
			n.update("a", newA, ue1)
			w.holds(ue1, newA)
		}},
		{"a word that is surely older is not taken for a change", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(20 * time.Second)
			n.update("a", newA, ue1)
			w.wait(10 * time.Second)
			n.update("a", newA, ue1)
			n.update("a", simA, ue1, delayed(20*time.Second))
			w.silent(ue1, simA)
		}},
		{"two numbers in unknown order match neither, until a later word names one", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.update("a", newA, ue1)
			w.nobody(ue1, "ambiguous/number")
			w.wait(5 * time.Second)
			n.update("a", noSIM, ue1) // which names none
			w.nobody(ue1, "ambiguous/number")
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.holds(ue1, simA)
		}},
		{"a late word with another number leaves the doubt", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(20 * time.Second)
			n.update("a", newA, ue1, late(19*time.Second))
			w.nobody(ue1, "ambiguous/number")
			w.wait(5 * time.Second)
			n.update("a", newA, ue1)
			w.holds(ue1, newA)
		}},
		{"over a crash it stays a doubt", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.update("a", newA, ue1)
			w.crash(time.Second)
			w.nobody(ue1, "ambiguous/number")
		}},
		{"its own clock tells which is later", func(w *tale) {
			n := w.newNAS("nas")
			n.mute = true
			n.start("a", simA, ue1)
			w.wait(100 * time.Second)
			n.update("a", simA, ue1, aged(100*time.Second))
			w.wait(time.Second)
			n.update("a", newA, ue1, aged(101*time.Second))
			w.holds(ue1, newA)
			n.update("a", simA, ue1, aged(99*time.Second))
			w.silent(ue1, simA)
		}},
		{"a SIM that changes within a session is another one's session", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(time.Minute)
			n.update("a", simB, ue1)
			w.silent(ue1, simA)
		}},
		{"a SIM that got another number has it in all its sessions that say so", func(w *tale) {
			n, other := w.nas("nas"), w.nas("other")
			n.start("a", simA, ue1, of("internet"))
			w.wait(10 * time.Second)
			other.start("b", newA, ue2, of("ims"))
			w.nobody(ue1, "ambiguous/number")
			w.holds(ue2, newA)
			w.wait(10 * time.Second)
			n.update("a", newA, ue1, of("internet"))
			w.holds(ue1, newA)
		}},
		{"a number and a SIM that were seen changing are published once each", func(w *tale) {
			imeiA, imeiB := mustIMEI("3534900698733190"), mustIMEI("3534900698733201")
			device := func(imei binding.IMEI) detail {
				return func(_ *gateway, ev *binding.Event) { ev.IMEI = imei }
			}
			n := w.nas("nas")
			w.changes = nil
			newSIM := binding.Subscriber{MSISDN: simA.MSISDN, IMSI: simB.IMSI}
			n.start("a", simA, ue1, device(imeiA))
			w.pass(10 * time.Second)
			n.stop("a")
			w.pass(10 * time.Second)
			n.start("b", simA, ue1, device(imeiB))
			w.pass(10 * time.Second)
			n.stop("b")
			w.pass(10 * time.Second)
			n.start("c", newSIM, ue1, device(imeiB))
			w.pass(10 * time.Second)
			n.update("d", simA, ue2, late(25*time.Second), device(imeiB)) // late news of the old SIM
			var why []string
			for _, c := range w.changes {
				if c.Kind == binding.SIMChange {
					why = append(why, fmt.Sprint(c.Why, " ", c.Was.IMSI, " ", c.Now.IMSI))
				}
			}
			want := []string{fmt.Sprintf("device %v %v", simA.IMSI, simA.IMSI), fmt.Sprintf("sim %v %v", simA.IMSI, newSIM.IMSI)}
			if fmt.Sprint(why) != fmt.Sprint(want) {
				w.t.Errorf("changes %v, want %v", why, want)
			}
			b, _ := w.Lookup(query(ue1))
			if b.IMSI != newSIM.IMSI || b.IMEI != imeiB || b.MSISDN != simA.MSISDN {
				w.t.Errorf("the binding is of %v %v", b.IMSI, b.IMEI)
			}
		}},
		{"a restart of ours is no change of SIM", func(w *tale) {
			n := w.nas("nas")
			for i, id := range []string{"a", "b", "c"} { // within one second: any of them may be the first that is loaded
				imsi := mustIMSI(fmt.Sprintf("00101000000001%d", i))
				n.start(id, binding.Subscriber{MSISDN: simA.MSISDN, IMSI: imsi}, []string{ue1, ue2, "10.0.0.9"}[i])
			}
			w.changes = nil
			w.crash(time.Second)
			w.commit(w.t)
			w.wait(5 * time.Second)
			w.changes = nil
			n.stop("a") // what loading had numbered would be missing here
			for _, c := range w.changes {
				if c.Kind == binding.SIMChange {
					w.t.Errorf("%+v", c)
				}
			}
		}},
	})
}

// TestReattach: rule 13. A SIM that attaches anew is not matched at its old
// address until that speaks.
func TestReattach(t *testing.T) {
	prove(t, []claim{
		{"a new session at the same node and APN puts the older in doubt", func(w *tale) {
			for _, g := range []*gateway{w.nas("nas"), w.pgw("pgw")} {
				g.start("a", simA, ue1, of("internet"))
				w.pass(time.Minute)
				g.start("b", simA, ue2, of("internet"))
				w.want(ue1, simA, "ambiguous/ending")
				w.holds(ue2, simA)
				w.wait(5 * time.Second)
				g.update("a", simA, ue1, of("internet")) // two connections
				w.holds(ue1, simA)
				w.holds(ue2, simA)
				g.stop("a")
				g.stop("b")
				w.pass(time.Minute)
			}
		}},
		{"over a crash too", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, of("internet"))
			w.pass(time.Minute)
			g.start("b", simA, ue2, of("internet"))
			w.crash(time.Second)
			w.want(ue1, simA, "ambiguous/ending")
		}},
		{"with the same default bearer in both it is over", func(w *tale) {
			g := w.tapped(binding.SourceGTPv2, "smf")
			g.start("a", simA, ue1, of("internet"), bearer(5))
			w.pass(time.Minute)
			g.start("b", simA, ue2, of("internet"), bearer(5))
			w.nobody(ue1, "unknown/no-binding")
			w.holds(ue2, simA)
		}},
		{"another APN is another connection", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1, of("internet"))
			w.pass(time.Minute)
			g.start("b", simA, ue2, of("ims"))
			w.holds(ue1, simA)
			w.holds(ue2, simA)
		}},
		{"a node that uses several at once may be configured so", func(w *tale) {
			w.configure(func(c *Config) { c.Parallel = true })
			g := w.pgw("pgw")
			g.start("a", simA, ue1, of("internet"))
			w.pass(time.Minute)
			g.start("b", simA, ue2, of("internet"))
			w.holds(ue1, simA)
			w.holds(ue2, simA)
		}},
		{"a session that surely began before the newer one's last word stays", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simA, ue2, of("internet"))
			w.pass(time.Minute)
			n.update("b", simA, ue2, of("internet"))
			w.wait(5 * time.Second)
			n.start("a", simA, ue1, of("internet"), late(50*time.Second))
			w.silent(ue2, simA) // late: it may have begun after all
			w.wait(5 * time.Second)
			n.update("b", simA, ue2, of("internet"))
			w.holds(ue2, simA)
		}},
		{"another source's account of the stay that the SIM has left is in doubt as well", func(w *tale) {
			g, n := w.pgw("pgw"), w.nas("nas")
			g.start("a", simA, ue1, of("internet"))
			n.start("x", simA, ue1, of("internet"))
			w.pass(time.Minute)
			g.start("b", simA, ue2, of("internet"))
			w.silent(ue1, simA)
			w.wait(5 * time.Second)
			n.update("x", simA, ue1, of("internet"))
			w.holds(ue1, simA)
		}},
		{"of a session that goes on with one of its addresses the others are in doubt", func(w *tale) {
			g := w.pgw("pgw")
			g.start("a", simA, ue1+" 2001:db8:1::/64", of("internet"))
			w.pass(time.Minute)
			g.start("b", simA, ue1, of("internet"))
			w.holds(ue1, simA)
			w.silent("2001:db8:1::5", simA)
			w.wait(time.Second)
			g.update("a", simA, ue1+" 2001:db8:1::/64", of("internet"))
			w.holds("2001:db8:1::5", simA)
		}},
		{"also when it is not known which of the two began later", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1+" 2001:db8:1::/64", of("internet"))
			n.start("b", simA, ue1, of("internet"))
			w.holds(ue1, simA)
			w.silent("2001:db8:1::5", simA)
			w.wait(5 * time.Second)
			n.update("a", simA, ue1+" 2001:db8:1::/64", of("internet"))
			w.holds("2001:db8:1::5", simA)
		}},
	})
}

// TestMultiSIM is about a number that several SIMs have, and what means nothing.
func TestMultiSIM(t *testing.T) {
	twin := number(simB, simA.MSISDN)
	for _, tt := range []struct {
		claim  string
		policy MultiSIM
		want   string
	}{
		{"a number that several SIMs have matches and says so", MultiSIMFlag, "match/multi-sim"},
		{"or is nobody's", MultiSIMAmbiguous, "ambiguous/multi-sim"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			w := newTale(t, taleConfig)
			w.configure(func(c *Config) { c.MultiSIM = tt.policy })
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(3 * time.Second)
			w.holds(ue1, simA)
			n.start("b", twin, ue2)
			w.want(ue1, simA, tt.want)
			w.want(ue2, simA, tt.want)
			w.sweeps()
			told := func(want string, addrs ...string) { // of each address, by its last change
				t.Helper()
				for _, addr := range addrs {
					got := "nothing"
					for _, c := range w.rig.changes {
						if c.Kind != binding.SIMChange && c.Addr.Prefix.Addr().String() == addr {
							got = fmt.Sprint(c.State, "/", c.Reason)
						}
					}
					if got != want {
						t.Errorf("of %s the feed told %s last, want %s", addr, got, want)
					}
				}
			}
			told(strings.Replace(tt.want, "match", "bound", 1), ue1, ue2)
			version := w.Verify(query(ue1), binding.Number{MSISDN: simA.MSISDN}).Version
			w.crash(time.Second)
			w.want(ue1, simA, tt.want)
			w.wait(3 * time.Second)
			n.stop("b")
			w.holds(ue1, simA)
			w.sweeps()
			told("bound/bound", ue1)
			if got := w.Verify(query(ue1), binding.Number{MSISDN: simA.MSISDN}).Version; got != version {
				t.Errorf("the version is %d, and was %d: the holder is the same", got, version)
			}
			w.fit()
		})
	}
	prove(t, []claim{
		{"numbers and IMSIs that mean nothing never bind", func(w *tale) {
			w.configure(func(c *Config) { c.Placeholders = []string{"+491700000001", simB.IMSI.String()} })
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.nobody(ue1, "unknown/no-msisdn")
			n.start("b", binding.Subscriber{IMSI: simB.IMSI}, ue2)
			w.nobody(ue2, "unknown/no-msisdn")
			if b, _ := w.Lookup(query(ue2)); b.IMSI != 0 {
				w.t.Errorf("it is said to be %v", b.IMSI)
			}
			if c := w.counters.byName()["placeholders"]; c != 2 {
				w.t.Errorf("%d counted", c)
			}
		}},
		{"a trace shows what was told, by the placeholder itself, and that it names nobody", func(w *tale) {
			w.configure(func(c *Config) { c.Placeholders = []string{"+491700000001", simB.IMSI.String()} })
			n := w.nas("nas")
			for i, sim := range []binding.Subscriber{simA, simB, simC} {
				ev := n.word(binding.SessionStart, fmt.Sprint(i), sim, []string{ue1, ue2, ue3}[i], nil)
				w.take(&ev)
			}
			w.ring.add(w.batch.trace)
			for key, want := range map[string]string{
				"+491700000001": "applied (placeholder)", simB.IMSI.String(): "applied (placeholder)", simC.IMSI.String(): "applied",
			} {
				if got, err := w.Trace(key, 9); err != nil || len(got) != 1 || got[0].Outcome != want {
					w.t.Errorf("%s: %+v, %v, want %s", key, got, err, want)
				}
			}
		}},
		{"two whose placeholder is the same are not one", func(w *tale) {
			w.configure(func(c *Config) { c.Placeholders = []string{simC.IMSI.String()} })
			n := w.nas("nas")
			n.start("a", binding.Subscriber{MSISDN: simA.MSISDN, IMSI: simC.IMSI}, ue1)
			w.wait(5 * time.Second)
			w.nas("other").start("b", binding.Subscriber{MSISDN: simB.MSISDN, IMSI: simC.IMSI}, ue1)
			w.nobody(ue1, "ambiguous/conflict")
		}},
	})
}

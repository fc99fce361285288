package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// notHere are the reasons that no rule of the Registry gives: who asks another
// site gives them.
var notHere = map[binding.Reason]bool{binding.ReasonSiteUnreachable: true}

// TestEachReasonIsReached by the rule that it stands for, and by no other. Where
// several rules leave one doubt each of them is here.
func TestEachReasonIsReached(t *testing.T) {
	reached := map[binding.Reason]int{}
	for _, tt := range []struct {
		reason binding.Reason
		rule   string
		tell   func(w *tale)
	}{
		{binding.ReasonBound, "11: all sessions are free of doubt and agree", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
		}},
		{binding.ReasonOtherNumber, "11: they agree on another number", func(w *tale) {
			w.nas("nas").start("a", simB, ue1)
		}},
		{binding.ReasonNoBinding, "3: nobody is left", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.stop("a")
		}},
		{binding.ReasonEnded, "6: its node restarted and it has not been heard of since", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.now = w.now.Add(5 * time.Second)
			n.restart()
		}},
		{binding.ReasonEnded, "10: another source's end was not answered for longer than linger", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.wait(5 * time.Second)
			g.stop("g")
			w.wait(31 * time.Second)
		}},
		{binding.ReasonEnded, "15: its lease ran out longer ago than the grace", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.now = w.now.Add(71 * time.Minute)
		}},
		{binding.ReasonWarming, "15: it may still be in the journal", func(w *tale) {
			w.m.Warming.Store(true)
		}},
		{binding.ReasonNoMSISDN, "11: the sessions name no number", func(w *tale) {
			w.nas("nas").start("a", binding.Subscriber{IMSI: simA.IMSI}, ue1)
		}},
		{binding.ReasonCapacity, "17: a session was refused there", func(w *tale) {
			full(w, 8).start("new", simB, ue1)
			w.pgw("other").start("x", simA, ue1)
		}},
		{binding.ReasonCapacity, "17: a session was forgotten there", func(w *tale) {
			n := w.nas("nas")
			n.start("b", simB, ue1)
			w.pass(20 * time.Second)
			n.stop("b")
			w.forget()
			n.start("a", simA, ue1, late(50*time.Second))
		}},
		{binding.ReasonOutOfPool, "16: no pool has it", func(w *tale) {
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{{Name: "d", APNs: []string{"*"}, Pools: prefixes("192.0.2.0/24")}}
			})
		}},
		{binding.ReasonConflict, "7: two SIMs at one node in unknown order", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("b", simB, ue1)
		}},
		{binding.ReasonConflict, "7: two SIMs' ranges in unknown order", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("b", simB, "10.0.0.0/25")
		}},
		{binding.ReasonConflict, "9: two nodes", func(w *tale) {
			w.pgw("one").start("a", simA, ue1)
			w.pgw("two").start("b", simB, ue1)
		}},
		{binding.ReasonConflict, "11: number and SIM alone", func(w *tale) {
			w.pgw("one").start("a", binding.Subscriber{MSISDN: simA.MSISDN}, ue1)
			w.nas("two").start("b", binding.Subscriber{IMSI: simA.IMSI}, ue1)
		}},
		{binding.ReasonEnding, "3: a stop of its id that may be a former session's", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			w.wait(5 * time.Second)
			n.start("a", noSIM, ue2) // its stop is lost
			w.wait(5 * time.Second)
			n.update("a", simA, ue1)
			w.wait(5 * time.Second)
			n.stop("a", late(20*time.Second))
		}},
		{binding.ReasonEnding, "5: the end of an unknown session of its SIM", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.wait(5 * time.Second)
			w.pgw("pgw").stop("x", by(simA))
		}},
		{binding.ReasonEnding, "10: another source's end", func(w *tale) {
			n, g := w.nas("nas"), w.pgw("pgw")
			n.start("a", simA, ue1)
			g.start("g", simA, ue1)
			w.wait(5 * time.Second)
			g.stop("g")
		}},
		{binding.ReasonEnding, "13: its SIM attached anew", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1, of("internet"))
			w.wait(5 * time.Second)
			n.start("b", simA, ue2, of("internet"))
		}},
		{binding.ReasonOrder, "7: another SIM's session that has ended, in unknown order", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.stop("b", by(simB), has(ue1))
		}},
		{binding.ReasonOrder, "2: two sessions with its id, in unknown order", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("a", simA, ue2, partial)
		}},
		{binding.ReasonNumber, "12: two numbers in unknown order", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.update("a", number(simA, simB.MSISDN), ue1)
		}},
		{binding.ReasonLease, "15: no refresh within its lease", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.wait(61 * time.Minute)
		}},
		{binding.ReasonNodeLost, "15: its node was not heard for too long", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.say(binding.NodeDown, "", noSIM, "", nil)
			w.wait(6 * time.Minute)
		}},
		{binding.ReasonUnconfirmed, "15: we did not listen for too long", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.crash(2 * time.Minute)
		}},
		{binding.ReasonNotIngesting, "15: news is refused for too long", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.m.SetRefusedSince(w.now.UnixMilli())
			w.wait(61 * time.Second)
		}},
		{binding.ReasonRestarted, "6: it may be of before its node's restart", func(w *tale) {
			n := w.nas("nas")
			n.restart()
			n.start("a", simA, ue1)
		}},
		{binding.ReasonReleased, "14: an operator's word", func(w *tale) {
			w.nas("nas").start("a", simA, ue1)
			w.releaseAt(ue1)
		}},
		{binding.ReasonMultiSIM, "12: another SIM has its number", func(w *tale) {
			n := w.nas("nas")
			n.start("a", simA, ue1)
			n.start("b", number(simB, simA.MSISDN), ue2)
		}},
	} {
		reached[tt.reason]++
		t.Run(fmt.Sprint(tt.reason, " by rule ", tt.rule), func(t *testing.T) {
			w := newTale(t, taleConfig)
			tt.tell(w)
			w.want(ue1, simA, tt.reason.Verdict().String()+"/"+tt.reason.String())
			w.fit()
		})
	}
	for _, tt := range []struct {
		reason binding.Reason
		rule   string
		q      binding.Query
	}{
		{binding.ReasonPortNeeded, "7: the address is given out in blocks", query("198.51.100.7")},
		{binding.ReasonNoDomain, "there is no such domain", binding.Query{Addr: query(ue1).Addr, Domain: "nowhere"}},
		{binding.ReasonDomainNeeded, "several domains have it", query(ue1)},
	} {
		reached[tt.reason]++
		t.Run(fmt.Sprint(tt.reason, ": ", tt.rule), func(t *testing.T) {
			w := newTale(t, taleConfig)
			w.configure(func(c *Config) {
				c.Domains = []binding.Domain{
					{Name: "one", APNs: []string{"*"}, Pools: prefixes("10.0.0.0/16", "198.51.100.0/24")},
					{Name: "two", APNs: []string{"corp"}, Pools: prefixes("10.0.0.0/24")},
				}
			})
			w.pgw("pgw").start("a", simA, ue1+" 198.51.100.7:1024-2047")
			want := tt.reason.Verdict().String() + "/" + tt.reason.String()
			if got := w.verifyAt(tt.q, simA.MSISDN); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	for r := binding.Reason(0); r.Valid(); r++ {
		if (reached[r] == 0) != notHere[r] {
			t.Errorf("reason %v is reached by %d histories, and given elsewhere: %v", r, reached[r], notHere[r])
		}
	}
}

// TestQuietSteadyLinesAreAnswered: of answers on lines that lose and delay
// nothing, of gateways with steady clocks, fewer than one in 1000 are withheld,
// and none are wrong.
func TestQuietSteadyLinesAreAnswered(t *testing.T) {
	w := newTale(t, taleConfig)
	w.configure(func(c *Config) { c.Capacity, c.Addresses = 4096, 4096 })
	nas, pgw := w.nas("nas"), w.pgw("pgw")
	const hosts, turns = 50, 400
	answers, withheld := 0, 0
	for turn := range turns {
		host := turn * 7 % hosts
		at := fmt.Sprintf("10.0.3.%d", host+1)
		who := binding.Subscriber{MSISDN: binding.MSISDN(491700000000 + turn),
			IMSI: binding.IMSI(0x0010100000000000 + turn<<4 | 0xF)}
		ids := [2]string{fmt.Sprint("r", turn), fmt.Sprint("g", turn)}
		former := [2]string{fmt.Sprint("r", turn-hosts), fmt.Sprint("g", turn-hosts)}
		if turn >= hosts {
			nas.stop(former[0])
			w.now = w.now.Add(20 * time.Millisecond)
			pgw.stop(former[1])
			w.now = w.now.Add(5 * time.Second)
		}
		pgw.start(ids[1], who, at, of("internet"))
		w.now = w.now.Add(20 * time.Millisecond)
		nas.start(ids[0], who, at, of("internet"), aged(0))
		w.now = w.now.Add(time.Second)
		for older := max(0, turn-hosts+1); older <= turn; older += 5 { // interims, and questions
			asked := fmt.Sprintf("10.0.3.%d", older*7%hosts+1)
			holder := binding.MSISDN(491700000000 + older)
			nas.update(fmt.Sprint("r", older), noSIM, asked, of("internet"))
			answers++
			switch got := w.verify(asked, holder); {
			case got == "match/bound":
			case strings.HasPrefix(got, "mismatch"):
				t.Fatalf("turn %d: %s of its holder: %s", turn, asked, got)
			default:
				withheld++
			}
			if got := w.verify(asked, holder+1); strings.HasPrefix(got, "match") {
				t.Fatalf("turn %d: %s of another: %s", turn, asked, got)
			}
		}
		w.wait(time.Second)
	}
	if withheld*1000 >= answers {
		t.Errorf("%d of %d answers are withheld", withheld, answers)
	}
	w.fit()
}

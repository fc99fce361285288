package feed

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

// A plot is a shadow of one address, on a clock that is turned by hand. Steps
// are written as "bound 1", "released 1", "conflict", "simchange 1".
type plot struct {
	*shadow
	t       *testing.T
	clock   time.Time
	ourSeq  uint64
	present string // what this member has told
}

func newPlot(t *testing.T) *plot {
	p := &plot{t: t, clock: testTime, present: "released"}
	p.shadow = &shadow{
		incarnation: "i", unlike: map[spot]*unlike{}, enc: encoder{site: "lab", incarnation: "-", privacy: Clear}, began: testTime.Add(-time.Minute), compared: testTime,
		told: func(at binding.Place) binding.Change { return p.change(p.present) },
		now:  func() time.Time { return p.clock },
	}
	return p
}

func (p *plot) change(step string) binding.Change {
	kind, who, _ := strings.Cut(step, " ")
	c := binding.Change{Domain: "internet", At: p.clock, EventTime: p.clock, State: binding.StateBound}
	c.Kind, _ = binding.ParseChangeKind(kind)
	n := 0
	fmt.Sscan(who, &n)
	switch c.Kind {
	case binding.Released:
		c.Was, c.State, c.Reason = person(n), binding.StateReleased, binding.ReasonEnded
	case binding.Conflict:
		c.State, c.Reason = binding.StateAmbiguous, binding.ReasonConflict
	default:
		c.Now = person(n)
	}
	if c.Kind != binding.SIMChange {
		c.Addr, _ = binding.IPv4(netip.MustParseAddr("10.0.0.1"))
	}
	return c
}

// old has the stream tell a step of just after we began to look.
func (p *plot) old(step string) {
	now := p.clock
	p.clock = p.began
	p.theirs(step)
	p.clock = now
}

// ours has this member decide a step, theirs has the stream tell one.
func (p *plot) ours(step string) {
	p.ourSeq++
	if !strings.HasPrefix(step, "simchange") {
		p.present = step
	}
	c := p.change(step)
	c.Seq = p.ourSeq
	if strings.HasPrefix(step, "old ") {
		c = p.change(strings.TrimPrefix(step, "old "))
		c.Seq, c.EventTime, p.present = p.ourSeq, testTime.Add(-2*time.Minute), strings.TrimPrefix(step, "old ")
	}
	if err := p.own(&c); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plot) theirs(step string) {
	c := p.change(step)
	c.Seq = p.seq + 1
	told, err := p.published(&c)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.hear(&told, c.Seq); err != nil {
		p.t.Fatal(err)
	}
}

func TestWhatIsStillToBeToldAfterATakeover(t *testing.T) {
	for name, c := range map[string]struct {
		steps   string // "o": ours, "t": theirs, "told": theirs of long ago, "wait"
		changes []uint64
		again   bool // says again how it is
		doubted bool // and that it is not sure
	}{
		"a change that both have is told":                            {steps: "o bound 1, t bound 1"},
		"one that the stream had first is told":                      {steps: "t bound 1, o bound 1"},
		"one that only we have is published":                         {steps: "o bound 1", changes: []uint64{1}},
		"several are published in order":                             {steps: "o bound 1, t bound 1, o released 1, o bound 2", changes: []uint64{2, 3}},
		"one that only the stream had is said otherwise":             {steps: "t bound 1", again: true},
		"steps that the stream joined are not published":             {steps: "o bound 1, o released 1, o bound 2, t bound 2"},
		"the end of one holder is not that of another":               {steps: "t released 1, o released 2", changes: []uint64{1}},
		"a lag of a whole turn matches step by step":                 {steps: "t bound 1, t released 1, t bound 2, o bound 1, o released 1, o bound 2"},
		"what we had before is settled by a later match":             {steps: "o conflict, o bound 1, t bound 1"},
		"what the stream had before is settled by a later match":     {steps: "t conflict, o bound 1, t bound 1"},
		"what was told long ago and is so for us is no difference":   {steps: "o bound 1, t bound 1, told bound 1"},
		"what was told long ago and is not so for us is said again":  {steps: "o bound 1, t bound 1, told bound 2", again: true, doubted: true},
		"what was told long ago and then differs is said again":      {steps: "told bound 1, o bound 2", again: true},
		"what was told long ago leaves ours alone":                   {steps: "o bound 2, told bound 1", changes: []uint64{1}},
		"old news are not published, but said again":                 {steps: "o old bound 1", again: true},
		"old news that the stream tells too are done":                {steps: "o old bound 1, t bound 1"},
		"a difference that stays is said again":                      {steps: "t bound 1, o bound 2, wait, t bound 3", again: true, doubted: true},
		"a change that the active member never told is said again":   {steps: "o bound 1, wait", again: true},
		"a difference that has gone is done":                         {steps: "t bound 1, o bound 2, wait, t bound 2"},
		"another holder whom only the stream had is a doubt":         {steps: "o bound 1, t bound 1, t bound 2", again: true, doubted: true},
		"and is one however long ago it was":                         {steps: "o bound 1, t bound 1, t bound 2, wait", again: true, doubted: true},
		"one of several whom the stream had is a doubt too":          {steps: "t bound 1, t bound 2, t bound 3, o bound 1, o bound 2", again: true, doubted: true},
		"a conflict that only the stream had is a doubt":             {steps: "o bound 1, t bound 1, t conflict", again: true, doubted: true},
		"an end that only the stream had is none":                    {steps: "o bound 1, t bound 1, t released 1", again: true},
		"a changed SIM is published":                                 {steps: "o simchange 1", changes: []uint64{1}},
		"a changed SIM is published however long it takes":           {steps: "o simchange 1, wait in silence", changes: []uint64{1}},
		"a changed SIM that the active member never told is not":     {steps: "o simchange 1, wait"},
		"while the active member tells nothing, nothing is given up": {steps: "o bound 1, wait in silence", changes: []uint64{1}},
		"what the stream had takes nothing of ours along":            {steps: "t bound 3, o bound 1, wait in silence, o bound 2", changes: []uint64{1, 2}},
		"a changed SIM that was told is not":                         {steps: "t simchange 1, o simchange 1"},
		"a changed SIM that only the stream had cannot be said":      {steps: "t simchange 1"},
		"a changed SIM of before we listened is nobody's":            {steps: "o old simchange 1"},
		"each changed SIM is matched for itself, whatever the order": {steps: "o simchange 1, o simchange 2, t simchange 2", changes: []uint64{1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlot(t)
			for step := range strings.SplitSeq(c.steps, ", ") {
				p.clock = p.clock.Add(time.Millisecond)
				switch side, what, _ := strings.Cut(step, " "); side {
				case "o":
					p.ours(what)
				case "t":
					p.theirs(what)
				case "told":
					p.old(what)
				default:
					p.clock = p.clock.Add(time.Minute)
					if what != "in silence" {
						p.reached = p.clock
					}
					if err := p.age(); err != nil {
						t.Fatal(err)
					}
				}
			}
			changes, places, doubted, err := p.untold()
			if err != nil {
				t.Fatal(err)
			}
			got := []uint64{}
			for seq := range changes {
				got = append(got, seq)
			}
			slices.Sort(got)
			if !slices.Equal(got, append([]uint64{}, c.changes...)) || (len(places)+len(doubted) == 1) != c.again || (len(doubted) == 1) != c.doubted {
				t.Errorf("changes %v, places %v and doubted ones %v, want %v, %v and %v", got, places, doubted, c.changes, c.again, c.doubted)
			}
			if want := p.read; len(got) > 0 && p.kept() != got[0]-1 || len(got) == 0 && p.kept() != want {
				t.Errorf("the outbox may forget up to %d of %v", p.kept(), got)
			}
		})
	}
}

func TestAShadowIsBounded(t *testing.T) {
	p := newPlot(t)
	for n := range 3 * unlikeQueue {
		p.ours(fmt.Sprint("bound ", n))
	}
	for _, u := range p.unlike {
		if len(u.ours) > unlikeQueue {
			t.Errorf("%d changes wait at one place", len(u.ours))
		}
	}
}

func TestOnlyOneMemberIsActive(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	now := testTime
	dropped := error(nil)
	p := &pair{Pair: Pair{Member: "b"}, now: func() time.Time { return now }, drop: func(err error) { dropped = err }, wake: make(chan struct{}, 1)}
	p.patience()
	since := now
	if _, ok := p.turn(since, yes); ok {
		t.Error("it does not wait for another member")
	}
	now = now.Add(silence + jitter + 1)
	if _, ok := p.turn(since, yes); !ok {
		t.Error("it waits for ever")
	}
	p.lead(p.nextTerm(4))
	if !p.speaks() || !p.pulse() {
		t.Error("the active member is silent")
	}
	for _, other := range []struct {
		heartbeat
		yields bool
	}{
		{heartbeat{Member: "a", Term: 4}, false},
		{heartbeat{Member: "c", Term: 5}, false},
		{heartbeat{Member: "a", Term: 5}, true},
		{heartbeat{Member: "c", Term: 6}, true},
	} {
		p.lead(5)
		dropped = nil
		p.heardOf(other.heartbeat)
		if yields := !p.leads(); yields != other.yields || yields != (dropped == errYield) {
			t.Errorf("of %s in term %d: yields %v, %v", other.Member, other.Term, yields, dropped)
		}
	}
	p.heardOf(heartbeat{Member: "a", Term: 6, Ingesting: true, Leaving: true})
	if _, ok := p.turn(since, yes); !ok {
		t.Error("it does not follow who leaves")
	}
	for range 6 {
		p.heardOf(heartbeat{Member: "a", Term: 7, Ingesting: false})
		now = now.Add(time.Second)
	}
	if _, ok := p.turn(since, no); ok {
		t.Error("who takes nothing in takes over")
	}
	if _, ok := p.turn(since, yes); !ok {
		t.Error("nobody takes over from who takes nothing in")
	}
}

func TestAMemberThatWasSuspendedAsksTheStreamFirst(t *testing.T) {
	now := testTime
	dropped := error(nil)
	p := &pair{Pair: Pair{Member: "b"}, now: func() time.Time { return now }, drop: func(err error) { dropped = err }}
	p.lead(1)
	now = now.Add(lapse + 1)
	if p.speaks() {
		t.Error("it answers before it has looked")
	}
	if p.pulse() || dropped != errLapse || p.speaks() {
		t.Error("it goes on before it has looked")
	}
	p.lead(1) // the stream knows of nobody else
	if !p.speaks() || !p.pulse() {
		t.Error("it does not go on")
	}
}

// TestTheSameStepOfAnotherTimeIsAnother: who had an address gets it again, and
// what lies between is not told.
func TestTheSameStepOfAnotherTimeIsAnother(t *testing.T) {
	p := newPlot(t)
	c := p.change("bound 1")
	c.Seq = 1
	before, err := p.published(&c)
	if err != nil {
		t.Fatal(err)
	}
	p.clock = p.clock.Add(5 * time.Second)
	for _, step := range []string{"bound 2", "released 2", "bound 1"} {
		p.ours(step)
	}
	if err := p.hear(&before, 1); err != nil {
		t.Fatal(err)
	}
	changes, _, _, err := p.untold()
	if err != nil || len(changes) != 3 {
		t.Errorf("%v are to be told, %v", changes, err)
	}
}

// Of a holder that can be relied on, and of whom the stream last named another, it
// is doubtful after a takeover who has the address.
func TestWhoIsAnotherSIM(t *testing.T) {
	word := func(msisdn, imsi, state, reason string) string {
		t := told{MSISDN: msisdn, IMSI: imsi, State: state, Reason: reason}
		return t.word("bound")
	}
	one := word("+491700000001", "001010000000001", "bound", "bound")
	for _, c := range []struct {
		claim      string
		ours, last string
		want       bool
	}{
		{"the same", one, one, false},
		{"another", one, word("+491700000002", "001010000000002", "bound", "bound"), true},
		{"another, of whose number ours is not the only SIM", word("+491700000001", "001010000000001", "bound", "multi-sim"),
			word("+491700000002", "001010000000002", "bound", "bound"), true},
		{"the other SIM of the number", word("+491700000001", "001010000000001", "bound", "multi-sim"),
			word("+491700000001", "001010000000002", "bound", "multi-sim"), true},
		{"the same, of which the stream does not say that there are others", word("+491700000001", "001010000000001", "bound", "multi-sim"), one, false},
		{"ours is in doubt anyway", word("+491700000001", "001010000000001", "ambiguous", "order"), word("+491700000002", "001010000000002", "bound", "bound"), false},
		{"several", one, "conflict", true},
		{"nobody", one, "released", false},
	} {
		if got := otherSIM(c.ours, c.last); got != c.want {
			t.Errorf("%s: %v, want %v", c.claim, got, c.want)
		}
	}
}

package gx

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
)

const (
	initial     = diametertest.Initial
	termination = diametertest.Termination

	commandCapabilities = 257
	commandWatchdog     = 280
)

func TestARequestCountsWhenItsAnswerSaysSuccess(t *testing.T) {
	first := ccr(t, session(1), initial, 0, 7)
	update := ccr(t, session(1), diametertest.Update, 1, 8)
	last := ccr(t, session(1), termination, 2, 9)
	for claim, c := range map[string]struct {
		run  func(r *rig)
		want []string
	}{
		"a session":                        {func(r *rig) { r.ask(first); r.answer(cca(t, first, 2001)) }, []string{started(1)}},
		"with limited success":             {func(r *rig) { r.ask(first); r.answer(cca(t, first, 2002)) }, []string{started(1)}},
		"nothing before the answer":        {func(r *rig) { r.ask(first) }, nil},
		"refused":                          {func(r *rig) { r.ask(first); r.answer(cca(t, first, 5003)) }, []string{started(1) + " refused"}},
		"busy":                             {func(r *rig) { r.ask(first); r.answer(cca(t, first, 3004)) }, []string{started(1) + " refused"}},
		"without a result":                 {func(r *rig) { r.ask(first); r.answer(cca(t, first, 0)) }, []string{started(1) + " refused"}},
		"an answer counts once":            {func(r *rig) { r.ask(first); r.answer(cca(t, first, 2001), cca(t, first, 2001)) }, []string{started(1)}},
		"an answer to nothing":             {func(r *rig) { r.answer(cca(t, first, 2001)) }, nil},
		"an answer that is captured first": {func(r *rig) { r.answer(cca(t, first, 2001)); r.ask(first) }, []string{started(1)}},
		"not long after":                   {func(r *rig) { r.answer(cca(t, first, 2001)); r.now = r.now.Add(2 * early); r.ask(first) }, nil},
		"not to another request":           {func(r *rig) { r.answer(cca(t, ccr(t, session(2), initial, 0, 7), 2001)); r.ask(first) }, nil},
		"nor with its identifier":          {func(r *rig) { r.ask(first); r.answer(cca(t, ccr(t, session(2), initial, 0, 7), 2001)) }, nil},
		"nor from the same end":            {func(r *rig) { r.ask(first, cca(t, first, 2001)) }, nil},
		"two answers in one segment": {func(r *rig) {
			r.ask(first, ccr(t, session(2), initial, 0, 8))
			r.answer(cca(t, ccr(t, session(2), initial, 0, 8), 2001), cca(t, first, 2001))
		}, []string{started(2), started(1)}},
		"an end with an answer that refuses": {func(r *rig) { r.ask(first); r.answer(cca(t, first, 2001)); r.ask(last); r.answer(cca(t, last, 5002)) }, []string{started(1), stopped(1)}},
		"an update that is refused":          {func(r *rig) { r.ask(update); r.answer(cca(t, update, 5002)) }, []string{strings.Replace(started(1), "start", "update", 1) + " refused"}},
		"another application":                {func(r *rig) { other := slices.Clone(first); other[11] = 4; r.ask(other); r.answer(cca(t, first, 2001)) }, nil},
	} {
		t.Run(claim, func(t *testing.T) {
			r := newRig(t, Options{})
			r.shake()
			c.run(r)
			r.want(c.want...)
		})
	}
}

// TestThePassiveViewIsTheActiveView compares with what the Gx edge would make of
// the same request.
func TestThePassiveViewIsTheActiveView(t *testing.T) {
	s := session(1)
	s.IPv6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:cafe:1::/64")}
	s.Time = began.Add(-time.Second)
	request := ccr(t, s, initial, 0, 7)
	r := newRig(t, Options{})
	r.shake()
	arrived := r.now
	r.ask(request)
	r.answer(cca(t, request, 2001))
	want, err := diameter.Decode(request, diameter.Origin{Arrived: arrived, Owner: pcef.Addr().String(), Link: r.links})
	if err != nil {
		t.Fatal(err)
	}
	want.Event.Observed = true
	if len(r.events) != 1 || fmt.Sprintf("%+v", r.events[0]) != fmt.Sprintf("%+v", want.Event) || r.links == 0 {
		t.Errorf("%+v, and actively %+v", r.events, want.Event)
	}
}

func TestConnectionsAreApart(t *testing.T) {
	r := newRig(t, Options{})
	other := netip.AddrPortFrom(pcef.Addr(), 40001)
	first := ccr(t, session(1), initial, 0, 7)
	r.shake()
	r.connect(other, pcrf)
	r.ask(first)
	r.next[pcrf] = 2001
	r.send(pcrf, other, cca(t, first, 2001))
	r.want()
}

func TestMidway(t *testing.T) {
	first, second := ccr(t, session(1), initial, 0, 7), ccr(t, session(2), initial, 0, 8)
	r := newRig(t, Options{})
	r.ask(first[200:], second[:50])
	r.answer(cca(t, first, 2001)[40:])
	r.ask(second[50:])
	r.answer(cca(t, second, 2001))
	r.want(started(2))
}

func TestAfterAGapTheNextMessageIsFound(t *testing.T) {
	var requests [6][]byte
	for i := range requests {
		requests[i] = ccr(t, session(i), initial, 0, uint32(i+1))
	}
	r := newRig(t, Options{})
	r.shake()
	r.ask(requests[0], requests[1][:100])
	r.miss(pcef, requests[1][100:200])
	r.ask(requests[1][200:], requests[2], requests[3][:30])
	r.now = r.now.Add(10 * time.Second)
	r.ask(requests[3][30:])
	for i := range 4 {
		r.answer(cca(t, requests[i], 2001))
	}
	r.want("news-lost", started(0), started(2), started(3))
	r.counted(resynchronized, 1)
}

// TestAMessageWithinAMessageIsNotAnswered: what a subscriber can write into an
// AVP may look like a message where the beginning of the true one is missing;
// but nobody answers it.
func TestAMessageWithinAMessageIsNotAnswered(t *testing.T) {
	inner := ccr(t, session(666), initial, 0, 66)
	outer := session(1)
	outer.APN = string(inner)
	first, second := ccr(t, outer, initial, 0, 7), ccr(t, session(2), initial, 0, 8)
	r := newRig(t, Options{})
	r.ask(first[60:])
	r.ask(second)
	r.answer(cca(t, first, 2001), cca(t, second, 2001))
	r.want(started(2))
}

func TestStreamsOfSomethingElse(t *testing.T) {
	request := ccr(t, session(1), initial, 0, 7)
	long := slices.Concat([]byte{1, 1, 0, 4}, make([]byte, 1<<16))
	r := newRig(t, Options{})
	r.shake()
	r.ask(long, request)
	r.answer([]byte("\x16\x03\x01 this is TLS, or whatever else"), cca(t, request, 2001))
	r.want(started(1))
	r.counted(droppedLong, 1)
	r.counted(boundaryLost, 1)
}

func TestWhatWaitsIsBounded(t *testing.T) {
	r := newRig(t, Options{Pending: 4})
	r.shake()
	for i := range 6 {
		r.ask(ccr(t, session(i), initial, 0, uint32(i)))
	}
	if n := r.open.Len(); n != 4 {
		t.Errorf("%d wait", n)
	}
	r.counted(unanswered, 2)
	r.Advance(r.now.Add(time.Minute))
	r.counted(unanswered, 6)
	big := session(9)
	big.ID = string(slices.Repeat([]byte("x"), 1<<14))
	r.ask(ccr(t, big, initial, 0, 9))
	r.counted(droppedMalformed, 1)
}

func TestNewsLostIsOnlyOfSessions(t *testing.T) {
	r := newRig(t, Options{})
	r.ask(base(t, commandWatchdog, true, "pgw1.lab", 5))
	r.miss(pcef, make([]byte, 100))
	r.ask(base(t, commandWatchdog, true, "pgw1.lab", 5))
	r.now = r.now.Add(10 * time.Second)
	r.ask(base(t, commandWatchdog, true, "pgw1.lab", 5))
	if len(r.events) != 0 {
		t.Errorf("%v", r.told())
	}
}

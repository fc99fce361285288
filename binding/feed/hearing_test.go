package feed

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

func TestHearingWhatMayHaveChanged(t *testing.T) {
	const change = `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved","domain":"internet","addr":"10.0.0.1"}`
	for _, tt := range []struct{ claim, site, body, want string }{
		{"its address", "north", change, "[north 10.0.0.1]"},
		{"nothing by a change of ours", "centre", change, "[]"},
		{"nothing by a change of SIM", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"simchange","msisdn":"+491700000001"}`, "[]"},
		{"everything if it is no JSON", "north", change[:40], "[everything]"},
		{"everything if it has no number", "north", `{"v":1,"site":"north","kind":"moved","addr":"10.0.0.1"}`, "[everything]"},
		{"everything if it is another site's", "south", change, "[everything]"},
		{"everything if it is of another version", "north", `{"v":2,"site":"north","incarnation":"i","seq":1,"kind":"moved","addr":"10.0.0.1"}`, "[everything]"},
		{"everything of the site if it names no address", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved"}`, "[north anything]"},
		{"everything of the site if its address is none", "north", `{"v":1,"site":"north","incarnation":"i","seq":1,"kind":"moved","addr":"10.0.0"}`, "[north anything]"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			var told []string
			f := New(Config{Site: "centre", Changes: func(site string, addr binding.Address) {
				switch {
				case site == "":
					told = append(told, "everything")
				case !addr.Prefix.IsValid():
					told = append(told, site+" anything")
				default:
					told = append(told, site+" "+addr.String())
				}
			}}, nil, nil, testLog(t))
			f.hearChange(&nats.Msg{Subject: "simbind.v1." + tt.site + ".change.moved", Data: []byte(tt.body)})
			if got := fmt.Sprint(told); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// An overhearer is an audience that hears the changes of the site north, and what it
// keeps of its answers.
type overhearer struct {
	*audience
	f    *Feed
	kept uint64 // the epoch in which an answer was got
}

func newOverhearer(t *testing.T) *overhearer {
	l := &overhearer{audience: newAudience(t), f: New(Config{Site: "centre", Changes: func(string, binding.Address) {}}, nil, nil, testLog(t))}
	l.f.sites = l.sites
	return l
}

// beats takes a heartbeat after so many changes.
func (l *overhearer) beats(seq uint64) { l.t.Helper(); l.beat("north", heartbeat{Seq: seq}) }

// sent takes a heartbeat that was sent so long ago, by a clock that agrees.
func (l *overhearer) sent(ago time.Duration) {
	l.t.Helper()
	l.beat("north", heartbeat{Seq: 7, At: l.clock.Add(-ago)})
}

// stall: the link stands still, then comes the first of what was held up.
func (l *overhearer) stall() {
	l.t.Helper()
	l.sent(0)
	l.ask()
	l.pass(25 * time.Second)
	l.wants("nothing")
	l.sent(24 * time.Second)
}

// change is told as a message of the incarnation i, with the header of a member if
// there is one.
func (l *overhearer) change(incarnation string, seq uint64, member string) {
	msg := &nats.Msg{Subject: "simbind.v1.north.change.moved", Header: nats.Header{}, Data: fmt.Appendf(nil,
		`{"v":1,"site":"north","incarnation":%q,"seq":%d,"kind":"moved","domain":"internet","addr":"10.0.0.1"}`, incarnation, seq)}
	if member != "" {
		msg.Header.Set(memberHeader, member)
	}
	l.f.hearChange(msg)
}

func (l *overhearer) changes(numbers ...uint64) {
	for _, seq := range numbers {
		l.change("i", seq, "")
	}
}

// ask gets an answer that may be kept.
func (l *overhearer) ask() {
	l.t.Helper()
	epoch, ok := l.f.Abreast("north")
	if !ok {
		l.t.Fatal("nothing may be kept")
	}
	l.kept = epoch
}

// wants checks whether the answer may be given, and if not, whether another one
// may be kept.
func (l *overhearer) wants(what string) {
	l.t.Helper()
	epoch, ok := l.f.Abreast("north")
	got := "given"
	switch {
	case !ok:
		got = "nothing"
	case epoch != l.kept:
		got = "another"
	}
	if got != what {
		l.t.Errorf("%s, want %s", got, what)
	}
}

func TestAnAnswerThatWasKept(t *testing.T) {
	for claim, steps := range map[string]func(*overhearer){
		"is given while nothing changes":                        func(l *overhearer) { l.beats(7); l.wants("given") },
		"is given when all changes were heard":                  func(l *overhearer) { l.changes(8, 9); l.beats(9); l.wants("given") },
		"is given before the heartbeat tells of what was heard": func(l *overhearer) { l.changes(8, 9); l.beats(8); l.wants("given") },
		"is given when a change comes twice":                    func(l *overhearer) { l.changes(8, 8, 9, 8); l.beats(9); l.wants("given") },
		"waits for a change that comes later than the heartbeat": func(l *overhearer) {
			l.beats(8)
			l.wants("nothing")
			l.changes(8)
			l.wants("given")
		},
		"is void when changes are held up": func(l *overhearer) {
			l.beats(8)
			l.wants("nothing")
			l.beats(8)
			l.wants("another")
			l.ask()
			l.changes(8, 9) // they come at last
			l.beats(9)
			l.wants("given")
		},
		"is void when changes go on being held up": func(l *overhearer) {
			for seq := uint64(8); seq < 20; seq++ {
				l.beats(seq)
				if epoch, ok := l.f.Abreast("north"); ok && epoch == l.kept {
					l.t.Errorf("after heartbeat %d it is given", seq)
				} else if ok {
					l.ask()
				}
			}
		},
		"is void when a change is missing before another": func(l *overhearer) { l.changes(9); l.wants("another"); l.beats(9); l.wants("another") },
		"is void in another incarnation":                  func(l *overhearer) { l.beat("north", heartbeat{Incarnation: "j", Seq: 7}); l.wants("another") },
		"is void when another member speaks":              func(l *overhearer) { l.beat("north", heartbeat{Seq: 7, Member: "b", Term: 1}); l.wants("another") },
		"is void after a restart":                         func(l *overhearer) { l.beat("north", heartbeat{Seq: 7, Started: l.clock}); l.wants("another") },
		"is void when the site has lost changes":          func(l *overhearer) { l.beats(6); l.wants("another"); l.changes(7); l.beats(7); l.wants("another") },
		"is not given while the site is silent":           func(l *overhearer) { l.pass(silence); l.wants("given"); l.pass(1); l.wants("nothing") },
		"is not given while the site is warming":          func(l *overhearer) { l.beat("north", heartbeat{Seq: 7, Warming: true}); l.wants("nothing") },
		"is not given while the site takes nothing in": func(l *overhearer) {
			l.say("north", heartbeat{Seq: 7})
			l.wants("nothing")
			l.beats(7)
			l.wants("given")
		},
		"is not made good by a change of another incarnation": func(l *overhearer) {
			l.change("j", 8, "")
			l.beats(8)
			l.wants("nothing")
		},
		"is not made good by a change of another member": func(l *overhearer) {
			l.beat("north", heartbeat{Seq: 7, Member: "b", Term: 2})
			l.ask()
			l.change("i", 8, "a/1")
			l.beat("north", heartbeat{Seq: 8, Member: "b", Term: 2})
			l.wants("nothing")
			l.change("i", 8, "b/2")
			l.wants("given")
		},
		"is void after a silence":                            func(l *overhearer) { l.pass(silence + 1); l.beats(7); l.wants("another") },
		"is not given for a heartbeat that had to wait":      func(l *overhearer) { l.stall(); l.wants("nothing") },
		"is not given again when the link has caught up":     func(l *overhearer) { l.stall(); l.sent(silence); l.wants("another") },
		"is given when a heartbeat had to wait for a moment": func(l *overhearer) { l.sent(0); l.ask(); l.pass(silence); l.sent(silence); l.wants("given") },
		"is void when the site was forgotten between": func(l *overhearer) {
			l.pass(announcedFor + time.Second)
			delete(l.bySite, "north")
			l.beats(7)
			l.wants("another")
		},
	} {
		t.Run(claim, func(t *testing.T) {
			l := newOverhearer(t)
			l.beats(7)
			l.ask()
			steps(l)
		})
	}
}

func TestChangesBeforeTheFirstHeartbeatSayNothing(t *testing.T) {
	l := newOverhearer(t)
	l.changes(7, 8)
	l.wants("nothing")
	l.beats(8)
	l.ask()
	l.changes(9)
	l.beats(9)
	l.wants("given")
}

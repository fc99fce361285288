package feed

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
)

// Times of following.
const (
	// silence is how long a site may leave us without a complete heartbeat
	// before it counts as lost.
	silence = 3 * time.Second
	// stuck is how long changes that the site has decided may be missing from
	// the stream, while it is silent there, before a snapshot is taken.
	stuck       = 15 * time.Second
	followRetry = 500 * time.Millisecond
	followSlow  = 15 * time.Second
	// markEvery is after how many changes at most their durability is asked for.
	markEvery = 256
	beatsMax  = 64

	stateCurrent = "current" // of SiteProgress
)

// A follower follows one site: from a snapshot, or from where it stood, through
// its changes. It belongs to the goroutine of run, but for hear, Acknowledge and
// what they say they touch.
type follower struct {
	site   string
	source *siteStream
	marks  *bookmarks
	sites  *sites
	offer  binding.SubmitFunc
	log    *slog.Logger
	now    func() time.Time

	beats chan beatAt // from hear
	pace  pace        // of hear alone

	at       bookmark      // last change applied
	known    string        // incarnation of what the Registry knows; empty if that is not known
	pending  []beatAt      // heartbeats that say more than was applied
	last     time.Time     // of the last event: they must not go back
	ahead    time.Duration // by which the site's clock is ahead of ours at least
	current  bool
	lost     bool
	progress binding.SiteProgress

	// What was submitted and is not durable yet, by token.
	mu      sync.Mutex
	token   uint64
	waiting map[uint64]bookmark
	durable atomic.Pointer[bookmark]
}

// A beatAt is a heartbeat, when it came and, if it had to wait, when it would have.
type beatAt struct {
	heartbeat
	at, came time.Time
}

// ahead is by how much the clock of the site is ahead of ours, at least: its
// heartbeat would have been here before it was sent.
func (h *beatAt) ahead() time.Duration { return max(h.At.Sub(h.at), 0) }

func newFollower(site string, source *siteStream, marks *bookmarks, f *Feed) *follower {
	return &follower{
		site: site, source: source, marks: marks, sites: f.sites, offer: f.cfg.Follow.Submit, log: f.log.With("site", site), now: f.now,
		beats: make(chan beatAt, beatsMax), waiting: map[uint64]bookmark{},
		progress: binding.SiteProgress{Followed: true, State: "waiting"},
	}
}

// hear takes a heartbeat; one goroutine at a time may call it. One that finds no
// room is dropped: another comes.
func (f *follower) hear(h heartbeat, at time.Time) {
	select {
	case f.beats <- beatAt{h, at.Add(-f.pace.waited(&h, at)), at}:
	default:
	}
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	f.resume(f.marks.get(f.site))
	f.progress.Applied, f.progress.Complete = f.at.Seq, f.now()
	f.say(f.progress.State)
	pause := followRetry
	for ctx.Err() == nil {
		began := f.now()
		err := f.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if f.now().Sub(began) > followSlow {
			pause = followRetry
		}
		f.log.Warn("following is interrupted", "err", err)
		f.idle(ctx, pause)
		pause = min(2*pause, followSlow)
	}
	f.save()
}

// resume takes up a position; one without a number says only of which
// incarnation is what the Registry knows.
func (f *follower) resume(at bookmark) {
	if f.known = at.Incarnation; at.Seq != 0 {
		f.at = at
	}
}

// idle waits, with an eye on the heartbeats.
func (f *follower) idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			f.watch(ctx)
			return
		case h := <-f.beats:
			f.beat(ctx, h)
		}
	}
}

// errAnew reports that the site must be told anew.
var errAnew = errors.New("a snapshot is needed")

// session follows until something is wrong with the stream.
func (f *follower) session(ctx context.Context) error {
	first, err := f.await(ctx)
	if err != nil {
		return err
	}
	f.ahead = first.ahead()
	if f.at.Seq == 0 || f.at.Incarnation != first.Incarnation {
		if err := f.snapshot(ctx); err != nil {
			return err
		}
		f.say("catching-up")
	} else {
		f.say("catching-up")
		f.beat(ctx, first)
	}
	err = f.consume(ctx)
	if errors.Is(err, errAnew) {
		f.at = bookmark{}
		f.behind(ctx)
	}
	return err
}

// await waits for a heartbeat.
func (f *follower) await(ctx context.Context) (beatAt, error) {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return beatAt{}, ctx.Err()
		case h := <-f.beats:
			return h, nil
		case <-tick.C:
			f.watch(ctx)
		}
	}
}

// tell submits an event of the site.
func (f *follower) tell(ctx context.Context, ev binding.Event) error {
	ev.Source, ev.Node = binding.SourceFeed, f.site
	return f.offer.Wait(ctx, ev)
}

// moment is now, and never before an earlier one: the order of events is that
// of the site.
func (f *follower) moment() time.Time {
	now := f.now().UTC().Truncate(time.Millisecond)
	if now.Before(f.last) {
		return f.last
	}
	f.last = now
	return now
}

// beat takes a heartbeat: it counts once everything is applied that the site
// had decided by then.
func (f *follower) beat(ctx context.Context, h beatAt) {
	f.ahead = h.ahead()
	if h.Incarnation != f.at.Incarnation || h.Warming || !h.Ingesting {
		return
	}
	// What another member of a pair had decided, or who now stands further back,
	// may never be published.
	f.pending = slices.DeleteFunc(f.pending, func(p beatAt) bool { return p.Seq > h.Seq || p.Member != h.Member || p.Term != h.Term })
	if f.pending = append(f.pending, h); len(f.pending) > beatsMax {
		f.pending = f.pending[1:]
	}
	f.complete(ctx)
}

// complete looks which heartbeats have become complete.
func (f *follower) complete(ctx context.Context) {
	var done time.Time
	for len(f.pending) > 0 && f.pending[0].Seq <= f.at.Seq {
		done = f.pending[0].at
		f.pending = f.pending[1:]
	}
	if done.IsZero() {
		return
	}
	f.progress.Complete = done
	if !f.current {
		ev := binding.Event{Kind: binding.NodeCurrent, Time: done, Arrived: done}
		f.ask(&ev, f.at)
		if f.tell(ctx, ev) == nil {
			f.current = true
			f.log.Info("a site is followed", "applied", f.at.Seq)
		}
	}
	f.up(ctx, done)
	if f.current && !f.lost && f.progress.State != stateCurrent {
		f.say(stateCurrent)
	}
}

// up tells of a heartbeat that is complete. Each is told: readers hold their own
// clock against it, and the journal keeps a loss that a run before has told.
func (f *follower) up(ctx context.Context, done time.Time) {
	if f.now().Sub(done) >= silence || f.tell(ctx, binding.Event{Kind: binding.NodeUp, Time: done, Arrived: done}) != nil || !f.lost {
		return
	}
	f.lost = false
	f.log.Info("a site is heard again")
}

// watch looks whether the site is lost (T8): since its last complete heartbeat.
func (f *follower) watch(ctx context.Context) {
	if f.lost || f.now().Sub(f.progress.Complete) < silence {
		return
	}
	if f.tell(ctx, binding.Event{Kind: binding.NodeDown, Time: f.progress.Complete, Arrived: f.progress.Complete}) == nil {
		f.lost = true
		f.say("lost")
		f.log.Warn("a site is lost: what it says turns stale after loss_timeout", "since", f.progress.Complete.UTC().Format(time.RFC3339))
	}
}

// behind takes the trust from all that the site said.
func (f *follower) behind(ctx context.Context) {
	f.current = false
	_ = f.tell(ctx, binding.Event{Kind: binding.NodeBehind, Arrived: f.moment()}) // fails only at the end
}

// say reports the state.
func (f *follower) say(state string) {
	f.progress.State = state
	f.report()
}

func (f *follower) report() { f.sites.report(f.site, f.progress) }

// Acknowledge implements binding.Acknowledger: what the token stands for is
// durable here, and everything before it.
func (f *follower) Acknowledge(token uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.waiting[token]
	delete(f.waiting, token)
	if ok && err == nil {
		f.durable.Store(&at)
	}
}

// ask makes an event report when it is durable.
func (f *follower) ask(ev *binding.Event, at bookmark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token++
	f.waiting[f.token] = at
	ev.Ack, ev.Token = f, f.token
}

// save writes down what is durable. Where the file cannot be written more is
// applied again after a restart.
func (f *follower) save() {
	at := f.durable.Swap(nil)
	if at == nil {
		return
	}
	if err := f.marks.set(f.site, *at); err != nil {
		f.log.Warn("the position of a followed site cannot be kept", "err", err)
	}
}

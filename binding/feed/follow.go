package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// All is every site that is heard and answers questions, as the only name in
// Follow.Sites.
const All = "*"

// Follow says which other sites the Registry learns from.
type Follow struct {
	// Sites are their names, or All; none: no site is followed.
	Sites []string
	// File keeps how far each of them was followed, over a restart.
	File string
	// Submit takes what they say. It is required with Sites.
	Submit binding.SubmitFunc
}

func (c Follow) check(own string) error {
	for _, site := range c.Sites {
		switch {
		case site == All && len(c.Sites) > 1:
			return fmt.Errorf("follow: %q stands alone", All)
		case site == All:
		case site == own:
			return fmt.Errorf("follow: %q is this site itself", site)
		default:
			if err := checkToken("follow", site, 64); err != nil {
				return err
			}
		}
	}
	if len(c.Sites) > 0 && (c.File == "" || c.Submit == nil) {
		return errors.New("follow needs a file for positions, and somebody to tell")
	}
	return nil
}

func (c Follow) names(site string) bool { return slices.Contains(c.Sites, site) }

func (c Follow) follows(site string) bool {
	return c.names(site) || len(c.Sites) == 1 && c.Sites[0] == All
}

// A following is everything that follows other sites: one follower for each.
type following struct {
	f     *Feed
	marks *bookmarks

	mu    sync.Mutex
	each  map[string]*follower
	begin func(*follower) // starts one
}

// follow follows sites until ctx ends.
func (f *Feed) follow(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(f.timeout))
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	marks, err := openBookmarks(f.cfg.Follow.File)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	all := &following{f: f, marks: marks, each: map[string]*follower{}}
	all.begin = func(one *follower) { running.Go(func() { one.run(ctx) }) }
	source := &siteStream{nc: nc, js: js, stream: f.cfg.Stream.Name, timeout: f.timeout}
	for _, site := range f.cfg.Follow.Sites {
		if site != All {
			all.follower(site, source)
		}
	}
	f.sites.setHeard(func(h heartbeat, at time.Time) {
		if f.cfg.Follow.names(h.Site) || f.cfg.Follow.follows(h.Site) && !h.NoService {
			all.follower(h.Site, source).hear(h, at)
		}
	})
	defer f.sites.setHeard(nil)
	all.forgetOthers(ctx)
	<-ctx.Done()
	return nil
}

// follower finds or starts the follower of a site.
func (a *following) follower(site string, source *siteStream) *follower {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.each[site]
	if one == nil {
		one = newFollower(site, source, a.marks, a.f)
		a.each[site] = one
		a.begin(one)
	}
	return one
}

// forgetOthers ends what sites said that are not followed any more. They would
// stay unconfirmed for ever.
func (a *following) forgetOthers(ctx context.Context) {
	tick := time.NewTicker(loadWait)
	defer tick.Stop()
	for a.f.asker.Status().Warming { // the Registry does not know them yet
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	for _, n := range a.f.asker.Nodes() {
		if n.Source != binding.SourceFeed || a.f.cfg.Follow.follows(n.Name) || n.Sessions == 0 {
			continue
		}
		a.f.log.Info("a site is not followed any more", "site", n.Name, "sessions", n.Sessions)
		_ = a.f.cfg.Follow.Submit.Wait(ctx, binding.Event{Kind: binding.NodeRestart, Source: binding.SourceFeed, Node: n.Name, Arrived: time.Now()})
	}
}

// loadWait is how often to look whether the journal is loaded.
const loadWait = 50 * time.Millisecond

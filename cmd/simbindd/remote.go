package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/cmd/simbindd/config"
)

// An abroad asks other sites about addresses that are in none of our pools, and
// keeps what they say near.
type abroad struct {
	cfg  config.Remote
	feed *feed.Feed
	near *nearby // nil if nothing is kept
}

// newAbroad makes it, or nil if it is off. Its feed is set before it is asked.
func newAbroad(cfg *config.Remote) (*abroad, error) {
	if cfg == nil {
		return nil, nil
	}
	a := &abroad{cfg: *cfg}
	if cfg.MaxAge == 0 {
		return a, nil
	}
	var err error
	a.near, err = newNearby(cfg.Entries)
	return a, err
}

// newFeed makes the feed, which also asks other sites, if that is on.
func newFeed(cfg feed.Config, far *abroad, outbox feed.Outbox, registry *registry.Registry, log *slog.Logger) *feed.Feed {
	cfg.Follow.Submit, cfg.Pair.Registry = registry.Submit, registry
	if far != nil && far.near != nil {
		cfg.Changes = far.near.changed
	}
	f := feed.New(cfg, outbox, registry, log)
	if far != nil {
		far.feed = f
	}
	return f
}

// holder is what the owner says, from near or by asking.
func (a *abroad) holder(ctx context.Context, q binding.Query) (feed.Holder, error) {
	site, no := a.feed.Owner(q.Addr, q.Domain)
	if no != binding.ReasonBound {
		return cannotSay(no), nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	ask := func(ctx context.Context) (feed.Holder, time.Duration, error) {
		h, err := a.feed.AskLookup(ctx, site, q)
		return h, a.lasts(&h), err
	}
	var h feed.Holder
	var err error
	epoch, abreast := a.feed.Abreast(site)
	if a.near == nil || !abreast || q.Port != 0 || q.Domain != "" {
		h, _, err = ask(ctx)
	} else if h, err = a.near.Get(ctx, a.near.key(site, epoch, q.Addr), ask); err == nil && !h.Seen.IsZero() {
		h.Age = max(time.Since(h.Seen), 0)
	}
	if errors.Is(err, feed.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
		return cannotSay(binding.ReasonSiteUnreachable), nil
	}
	return h, err
}

// lasts is how long an answer may be kept: a doubt hardly, a holder of ports not
// at all.
func (a *abroad) lasts(h *feed.Holder) time.Duration {
	switch {
	case h.Answer.Verdict != binding.Match:
		return a.cfg.NegativeAge
	case h.Addr.PortLow|h.Addr.PortHigh != 0:
		return 0
	}
	return a.cfg.MaxAge
}

func cannotSay(why binding.Reason) feed.Holder {
	return feed.Holder{Answer: binding.Answer{Verdict: why.Verdict(), Reason: why}}
}

// verify answers VERIFY about an address of another site.
func (a *abroad) verify(ctx context.Context, q binding.Query, n binding.Number) binding.Answer {
	h, err := a.holder(ctx, q)
	if err == nil && !h.Hidden() {
		return h.Is(n)
	}
	site, no := a.feed.Owner(q.Addr, q.Domain)
	if err != nil || no != binding.ReasonBound {
		return cannotSay(binding.ReasonSiteUnreachable).Answer
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	answer, err := a.feed.AskVerify(ctx, site, q, n) // the site tells no numbers: it decides
	if err != nil {
		return cannotSay(binding.ReasonSiteUnreachable).Answer
	}
	return answer
}

// lookup answers LOOKUP about an address of another site.
func (a *abroad) lookup(ctx context.Context, q binding.Query) (binding.Binding, binding.Answer) {
	h, err := a.holder(ctx, q)
	if err != nil {
		h = cannotSay(binding.ReasonSiteUnreachable)
	}
	if h.Hidden() {
		h.Binding.Reason, h.Answer = binding.ReasonNoMSISDN, cannotSay(binding.ReasonNoMSISDN).Answer
	}
	return h.Binding, h.Answer
}

var (
	descNear = prometheus.NewDesc("simbindd_remote_questions_total", "Questions about addresses of other sites, by what became of them near.", []string{"outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (a *abroad) Describe(ch chan<- *prometheus.Desc) { ch <- descNear }

// Collect implements prometheus.Collector.
func (a *abroad) Collect(ch chan<- prometheus.Metric) {
	if a.near == nil {
		return
	}
	c := a.near.Counts()
	for outcome, n := range map[string]uint64{"hit": c.Hits, "miss": c.Misses, "joined": c.Joined, "stale": c.Stale} {
		ch <- prometheus.MustNewConstMetric(descNear, prometheus.CounterValue, float64(n), outcome)
	}
}

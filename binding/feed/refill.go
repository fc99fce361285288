package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/simbind/simbind/binding"
)

// refillPage is how many sessions are asked for at once.
const refillPage = 1000

// refillMax bounds the pages of one snapshot.
const refillMax = 1 << 20

// A toldPage is a page of a snapshot.
type toldPage struct {
	Site        string    `json:"site"`
	Incarnation string    `json:"incarnation"`
	Seq         uint64    `json:"seq"`
	Sessions    []toldRow `json:"sessions"`
	Cursor      uint64    `json:"cursor"`
	Instance    string    `json:"instance"` // of the process that answered; "" of an older one
}

// snapshot tells the Registry all that the site knows, anew. Until the changes
// of meanwhile are applied too, nothing of it counts.
func (f *follower) snapshot(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // who asks for the pages ends too
	f.say("snapshot")
	f.progress.Rows = 0
	f.behind(ctx)
	if err := f.forget(f.known); err != nil {
		return err
	}
	last, err := f.source.end(ctx)
	if err != nil {
		return err
	}
	pages := f.source.pages(ctx, f.site)
	first, ok := <-pages
	if !ok || first.err != nil {
		return errors.Join(first.err, ctx.Err())
	}
	if err := f.replace(ctx, first.Incarnation); err != nil {
		return err
	}
	began := f.now()
	if err := f.fillAll(ctx, first, pages); err != nil {
		return err
	}
	f.at = bookmark{Incarnation: first.Incarnation, Seq: first.Seq, Stream: last}
	f.forgetBeats()
	f.progress.Applied = first.Seq
	f.progress.Snapshots++
	f.log.Info("a snapshot was taken", "rows", f.progress.Rows, "seq", first.Seq, "took", f.now().Sub(began).Round(time.Millisecond))
	return nil
}

// fillAll tells the Registry the rows of all pages, and that there are no others.
func (f *follower) fillAll(ctx context.Context, first pageOr, rest <-chan pageOr) error {
	for page, ok := first, true; ok; page, ok = <-rest {
		if page.err == nil && page.Incarnation != first.Incarnation {
			page.err = errors.New("the incarnation changed within the snapshot")
		}
		if page.err != nil {
			return page.err
		}
		if err := f.fill(ctx, page.Sessions); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return f.endUntold(ctx)
}

// fill tells the Registry the rows of a page.
func (f *follower) fill(ctx context.Context, rows []toldRow) error {
	for i := range rows {
		rows[i].Since = rows[i].Since.Add(-f.ahead)
		ev, ok, err := rows[i].event(f.site, f.moment())
		if err != nil {
			f.progress.Refused++
			f.log.Warn("a row of a snapshot cannot be understood", "err", err)
			continue // it is not bound: nobody is believed
		}
		if !ok {
			continue
		}
		if err := f.tell(ctx, ev); err != nil {
			return err
		}
		f.progress.Rows++
	}
	f.forgetBeats()
	f.watch(ctx)
	f.report()
	return nil
}

// forget forgets the position, because what the Registry knows is not the state of
// one position any more, but not of which incarnation that is.
func (f *follower) forget(incarnation string) error {
	f.mu.Lock()
	clear(f.waiting)
	f.durable.Store(nil)
	f.mu.Unlock()
	f.at, f.known = bookmark{}, incarnation
	if err := f.marks.set(f.site, bookmark{Incarnation: incarnation}); err != nil {
		return fmt.Errorf("forget the position: %w", err)
	}
	return nil
}

// replace readies the Registry for the rows of an incarnation. What another one
// knew is void at once. What the same one knew stays, unconfirmed, until all rows
// are told: that we lost sync has ended nothing at the site, and settles no
// conflict.
func (f *follower) replace(ctx context.Context, incarnation string) error {
	if f.known == incarnation || f.known == "" {
		return f.forget(incarnation)
	}
	if err := f.endUntold(ctx); err != nil {
		return err
	}
	return f.forget(incarnation)
}

// endUntold ends what was not told since the site was said to be behind.
func (f *follower) endUntold(ctx context.Context) error {
	return f.tell(ctx, binding.Event{Kind: binding.NodeRestart, Arrived: f.moment()})
}

// forgetBeats forgets the heartbeats of while a snapshot is taken: they say less
// than the next one.
func (f *follower) forgetBeats() {
	f.pending = nil
	for {
		select {
		case <-f.beats:
		default:
			return
		}
	}
}

// end is the number of the last message in the stream.
func (s *siteStream) end(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", s.stream, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// A pageOr is a page, or why there is none.
type pageOr struct {
	toldPage
	err error
}

// errOtherInstance: the process that answered the first pages does not answer any
// more. The cursor is none of the other one's, so that rows would be missed.
var errOtherInstance = errors.New("another process answered within the snapshot")

// pages asks for the pages of a site's snapshot, one ahead of who reads them.
// The channel ends with the last page or an error.
func (s *siteStream) pages(ctx context.Context, site string) <-chan pageOr {
	pages := make(chan pageOr, 1)
	go func() {
		defer close(pages)
		cursor, instance := uint64(0), ""
		for n := range refillMax {
			page, err := s.page(ctx, site, cursor)
			if n == 0 {
				instance = page.Instance
			} else if err == nil && page.Instance != instance {
				err = errOtherInstance
			}
			select {
			case pages <- pageOr{page, err}:
			case <-ctx.Done():
				return
			}
			if cursor = page.Cursor; cursor == 0 || err != nil {
				return
			}
		}
	}()
	return pages
}

func (s *siteStream) page(ctx context.Context, site string, cursor uint64) (page toldPage, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(s.timeout, 10*time.Second))
	defer cancel()
	request := fmt.Appendf(nil, `{"limit":%d,"cursor":%d}`, refillPage, cursor)
	reply, err := s.nc.RequestWithContext(ctx, serviceSubject(site, "snapshot"), request)
	if err != nil {
		return page, fmt.Errorf("snapshot of %s: %w", site, err)
	}
	if code := reply.Header.Get(micro.ErrorCodeHeader); code != "" {
		return page, fmt.Errorf("snapshot of %s: %s %s", site, code, reply.Header.Get(micro.ErrorHeader))
	}
	if err := json.Unmarshal(reply.Data, &page); err != nil {
		return page, fmt.Errorf("snapshot of %s: %w", site, err)
	}
	if page.Site != site || page.Incarnation == "" {
		return page, fmt.Errorf("snapshot of %s: it is of %q", site, page.Site)
	}
	return page, nil
}

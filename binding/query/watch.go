package query

import (
	"context"
	"fmt"

	"github.com/simbind/simbind/binding"
)

// A watcher passes changes from the Registry to one connection. Its goroutine
// hands over one batch and waits until the peer has taken it, so what a slow
// peer holds up is the Registry's channel: when that overflows the Registry
// closes it, and the peer is told that it lagged.
type watcher struct {
	filter  filter
	resp3   bool
	changes <-chan binding.Change
	cancel  func()
	credit  chan struct{} // one token: the peer has taken all
	gone    chan struct{} // closed when the connection is
}

// watch answers WATCH: OK, and after that every change that passes.
func watch(_ context.Context, s *Server, w *reply, r *request) {
	f, err := readFilter(r.args[1:])
	if err != nil {
		w.refuse(refusedERR, err.Error())
		return
	}
	if s.watching.Add(1) > maxWatchers {
		s.watching.Add(-1)
		w.refuse(refusedERR, fmt.Sprintf("%d connections watch already: that is the most", maxWatchers))
		return
	}
	changes, cancel := s.reg.Watch(watchBuffer)
	w.simple("OK")
	r.then = func(l *loop, c *conn) {
		watcher := &watcher{filter: f, resp3: c.out.resp3, changes: changes, cancel: cancel,
			credit: make(chan struct{}, 1), gone: make(chan struct{})}
		c.watch = watcher
		if c.gone {
			watcher.stop()
		}
		l.watchers.Go(func() { l.pass(c, watcher) })
	}
}

func (w *watcher) stop() { close(w.gone) }

// more tells the goroutine that the peer has taken all.
func (w *watcher) more() {
	select {
	case w.credit <- struct{}{}:
	default:
	}
}

// pass is the goroutine of a watcher.
func (l *loop) pass(c *conn, w *watcher) {
	defer l.s.watching.Add(-1)
	defer w.cancel()
	for {
		select {
		case <-w.credit:
		case <-w.gone:
			return
		}
		b, open := w.batch()
		if len(b) > 0 {
			l.post(func() {
				if c.watch == w {
					l.send(c, b)
				}
			})
		}
		if !open {
			l.post(func() {
				if c.watch == w {
					l.farewell(c, refusedERR, "this watcher lagged behind and missed changes: read faster or filter, and WATCH again", closedLagged)
				}
			})
			return
		}
	}
}

// batch waits for a change that passes and takes those that follow at once.
// open is false after the last one.
func (w *watcher) batch() (b []byte, open bool) {
	out := reply{resp3: w.resp3}
	for len(out.b) < watchBatch {
		if len(out.b) == 0 {
			select {
			case change, ok := <-w.changes:
				if !ok {
					return nil, false
				}
				w.add(&out, &change)
			case <-w.gone:
				return nil, true
			}
			continue
		}
		select {
		case change, ok := <-w.changes:
			if !ok {
				return out.b, false
			}
			w.add(&out, &change)
		default:
			return out.b, true
		}
	}
	return out.b, true
}

// add writes a change: in RESP3 a push of "change" and a map, in RESP2 an array
// of "change", kind, seq and the fields by name.
func (w *watcher) add(out *reply, c *binding.Change) {
	if !w.filter.passes(c) {
		return
	}
	if out.resp3 {
		out.push(2)
		out.bulk("change")
		out.object(19)
		out.textField("kind", c.Kind.String())
		out.uintField("seq", c.Seq)
	} else {
		out.array(3 + 2*17)
		out.bulk("change")
		out.bulk(c.Kind.String())
		out.uint(c.Seq)
	}
	out.timeField("at", c.At)
	out.timeField("event_time", c.EventTime)
	out.textField("domain", c.Domain)
	if c.Addr.Prefix.IsValid() {
		out.textField("addr", c.Addr.String())
	} else {
		out.textField("addr", "")
	}
	out.subscriber("", c.Now)
	out.subscriber("was_", c.Was)
	out.textField("apn", c.APN)
	out.textField("rat", c.RAT.String())
	out.textField("node", c.Node)
	out.wordsField("sources", c.Sources.Names())
	if c.Kind == binding.SIMChange {
		out.textField("state", "")
		out.textField("reason", "")
	} else {
		out.textField("state", c.State.String())
		out.textField("reason", c.Reason.String())
	}
	out.textField("why", c.Why)
}

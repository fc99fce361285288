package binding

import (
	"slices"
	"sync"
)

// A hub shows committed changes to watchers. It never waits for one: a watcher
// that lags loses its channel.
type hub struct {
	mu       sync.Mutex
	watchers []chan Change
	done     bool
}

// Watch returns committed changes from now on. The channel is closed when more
// than buffer changes wait in it, by cancel, or when the Registry stops.
func (r *Registry) Watch(buffer int) (changes <-chan Change, cancel func()) {
	ch := make(chan Change, max(buffer, 1))
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	if r.hub.done {
		close(ch)
		return ch, func() {}
	}
	r.hub.watchers = append(r.hub.watchers, ch)
	return ch, func() { r.hub.remove(ch) }
}

func (h *hub) remove(ch chan Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.watchers, ch); i >= 0 {
		h.watchers = slices.Delete(h.watchers, i, i+1)
		close(ch)
	}
}

func (h *hub) publish(changes []Change, cs *counters) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = slices.DeleteFunc(h.watchers, func(ch chan Change) bool {
		for _, c := range changes {
			select {
			case ch <- c:
			default:
				close(ch)
				cs.add(countWatchersLagged, 1)
				return true
			}
		}
		return false
	})
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = true
	for _, ch := range h.watchers {
		close(ch)
	}
	h.watchers = nil
}

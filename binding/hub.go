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
}

// Watch returns committed changes from now on. The channel is closed when more
// than buffer changes wait in it, and by cancel; when the Registry stops nothing
// comes any more.
func (r *Registry) Watch(buffer int) (changes <-chan Change, cancel func()) {
	ch := make(chan Change, max(buffer, 1))
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
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

package registry

import (
	"slices"
	"sync"

	"github.com/simbind/simbind/binding"
)

// A hub shows committed changes to watchers. It never waits for one: a watcher
// that lags loses its channel.
type hub struct {
	mu       sync.Mutex
	watchers []chan binding.Change
}

// Watch returns committed changes from now on. The channel is closed when more
// than buffer changes wait in it, and by cancel; when the Registry stops nothing
// comes any more.
func (r *Registry) Watch(buffer int) (changes <-chan binding.Change, cancel func()) {
	ch := make(chan binding.Change, max(buffer, 1))
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.watchers = append(r.hub.watchers, ch)
	return ch, func() { r.hub.remove(ch) }
}

func (h *hub) remove(ch chan binding.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.watchers, ch); i >= 0 {
		h.watchers = slices.Delete(h.watchers, i, i+1)
		close(ch)
	}
}

func (h *hub) publish(changes []binding.Change, cs *counters) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = slices.DeleteFunc(h.watchers, func(ch chan binding.Change) bool {
		for _, c := range changes {
			select {
			case ch <- c:
			default:
				close(ch)
				cs.add(countWatchersLagged)
				return true
			}
		}
		return false
	})
}

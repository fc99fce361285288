package feed

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A State says how publishing goes, for STATUS and health.
type State struct {
	// Connected: there is a connection to a server.
	Connected bool
	// Server is the URL of the connected server without credentials, or
	// "embedded".
	Server string
	// Stream is the stream's name.
	Stream string
	// Incarnation is the one that consumers see; empty before the stream was
	// first reached.
	Incarnation string
	// Delivered is the number of the last change that the stream has stored,
	// as far as is known; of a member that stands by, of the last that the
	// active one answers for.
	Delivered uint64
	// Offset is what consumers' numbers exceed the journal's by, modulo 2^64:
	// zero but for a member of an HA pair.
	Offset uint64
	// Role is RoleActive or RoleStandby of a member of an HA pair, else empty.
	Role string
	// Standing: one that stands by can go on where the active one stops. Differ
	// is at how many places they differ so far.
	Standing bool
	Differ   int
	// Behind is when the Registry decided the oldest change that is known to
	// wait; zero if none is.
	Behind time.Time
	// Problem says in words for an operator what keeps changes from being
	// delivered; empty if nothing does.
	Problem string
	// Warnings are what does not stop delivery and yet needs an operator.
	Warnings []string
}

// health is the state and its counters, written by Run and the connection's
// callbacks and read by anyone.
type health struct {
	mu       sync.Mutex
	state    State
	concerns []string // about the stream
	journal  []string // about the journal
	held     bool     // another publisher speaks for the site
	counters counters
}

type counters struct {
	changes, batches, lost, errors, resumes, connects, takeovers, noise uint64
}

func (h *health) get() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.state
	s.Warnings = slices.Concat(h.journal, h.concerns)
	if n := h.counters.noise; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d messages on the subjects of this site's changes are none: who may ask the servers may have had answers stored there", n))
	}
	return s
}

// offset is State.Offset.
func (h *health) offset() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.Offset
}

func (h *health) link(connected bool, server string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Connected, h.state.Server = connected, server
	if connected {
		h.counters.connects++
	}
}

// problem notes why nothing is delivered and reports whether that is news.
func (h *health) problem(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters.errors++
	news := h.state.Problem != text
	h.state.Problem = text
	return news
}

// hold notes whether another publisher speaks for the site.
func (h *health) hold(held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = held
}

func (h *health) isHeld() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

func (h *health) resumed(pos position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Incarnation, h.state.Delivered, h.state.Offset = pos.incarnation, pos.after, pos.offset
	h.counters.resumes++
}

// stand notes that another member of the pair speaks for the site.
func (h *health) stand(read uint64, standing bool, differ int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Role, h.state.Incarnation, h.state.Offset = RoleStandby, "", 0
	h.state.Standing = standing
	h.state.Delivered, h.state.Differ, h.state.Behind, h.state.Problem = read, differ, time.Time{}, ""
}

// lead notes that this member speaks for the site.
func (h *health) lead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Role != RoleActive {
		h.counters.takeovers++
	}
	h.state.Role, h.state.Standing, h.state.Differ = RoleActive, false, 0
}

// delivered notes a batch and reports whether there was a problem before.
func (h *health) delivered(seq uint64, n int) (again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	again = h.state.Problem != "" && h.counters.batches > 0
	h.state.Delivered, h.state.Problem = seq, ""
	h.counters.changes += uint64(n)
	h.counters.batches++
	return again
}

func (h *health) waiting(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Behind = at
}

func (h *health) caughtUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state.Behind, h.state.Problem = time.Time{}, ""
}

func (h *health) lost(n uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters.lost += n
}

// noise notes messages of the site's that no publisher sent, and returns how
// many there were in all.
func (h *health) noise(n uint64) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counters.noise += n
	return h.counters.noise
}

// setConcerns replaces what is known about the stream and logs what is new.
func (h *health) setConcerns(log *slog.Logger, concerns []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, text := range concerns {
		if !slices.Contains(h.concerns, text) {
			log.Warn(text)
		}
	}
	h.concerns = concerns
}

// alarm is warn, and logs it.
func (h *health) alarm(log *slog.Logger, text string) {
	log.Error(text)
	h.warn(text)
}

func (h *health) warn(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.journal = append(h.journal, text)
}

func (h *health) count() counters {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counters
}

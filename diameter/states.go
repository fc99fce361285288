package diameter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"sync"
)

// maxStates bounds the file of Origin-State-Ids.
const maxStates = 4 << 20

// states keeps the Origin-State-Id of each node across restarts of ours: a host
// that restarted while we were away tells so with its first message, but only
// to who knows the value from before. A larger value is kept only when the
// restart that it tells of is durable; if we end in between, it is told again.
type states struct {
	file string // empty: nothing is kept

	mu      sync.Mutex
	kept    map[string]uint32
	dirty   bool
	waiting map[uint64]keptState // by token of the NodeRestart
	next    uint64
}

type keptState struct {
	host  string
	state uint32
}

func newStates(file string) *states {
	return &states{file: file, kept: map[string]uint32{}, waiting: map[uint64]keptState{}}
}

// load reads the file, if there is one.
func (s *states) load() error {
	if s.file == "" {
		return nil
	}
	f, err := os.Open(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewDecoder(io.LimitReader(f, maxStates)).Decode(&s.kept); err != nil {
		s.kept = map[string]uint32{}
		return fmt.Errorf("%s: %w", s.file, err)
	}
	return nil
}

// all is what is kept.
func (s *states) all() map[string]uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.kept)
}

// keep notes a value that nothing depends on.
func (s *states) keep(host string, state uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) < 4*maxNodes {
		s.kept[host], s.dirty = state, true
	}
}

// await notes a value that is to be kept when the event with that token is
// durable.
func (s *states) await(host string, state uint32) (token uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.waiting[s.next] = keptState{host, state}
	return s.next
}

// Acknowledge takes the fate of a NodeRestart from the Registry.
func (s *states) Acknowledge(token uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, ok := s.waiting[token]
	delete(s.waiting, token)
	if ok && err == nil {
		s.kept[w.host], s.dirty = w.state, true
	}
}

// save writes the file if something changed.
func (s *states) save() error {
	s.mu.Lock()
	if s.file == "" || !s.dirty {
		s.mu.Unlock()
		return nil
	}
	text, err := json.Marshal(s.kept)
	s.dirty = false
	s.mu.Unlock()
	if err != nil {
		return err
	}
	// Aside and renamed: a reader finds the old file or the new one.
	if err := os.WriteFile(s.file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(s.file+".new", s.file)
}

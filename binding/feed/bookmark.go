package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// A bookmark is how far a followed site's changes are durable here. Without a
// number it says only of which incarnation those are: a snapshot is to be taken.
type bookmark struct {
	Incarnation string `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	// Stream is the stream's own number of that change.
	Stream uint64 `json:"stream"`
}

// bookmarks is a small file with a bookmark for each followed site. It is never ahead
// of the journal; where it is behind, changes are applied again, which sets the
// same thing.
type bookmarks struct {
	file string

	mu     sync.Mutex
	bySite map[string]bookmark // as they were written down
	unsure bool                // what the file has, because it could not be written
}

// openBookmarks reads the file. One that is missing or cannot be understood means
// that every site is followed from a snapshot.
func openBookmarks(file string) (*bookmarks, error) {
	m := &bookmarks{file: file, bySite: map[string]bookmark{}}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return nil, fmt.Errorf("follow: %w", err)
	}
	if json.Unmarshal(text, &m.bySite) != nil || m.bySite == nil {
		m.bySite = map[string]bookmark{}
	}
	return m, nil
}

func (m *bookmarks) get(site string) bookmark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bySite[site]
}

// set makes a site's bookmark durable; the zero bookmark forgets it.
func (m *bookmarks) set(site string, at bookmark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bySite[site] == at && !m.unsure {
		return nil
	}
	next := maps.Clone(m.bySite)
	next[site] = at
	if at == (bookmark{}) {
		delete(next, site)
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	m.unsure = true
	if err := writeDurably(m.file, text); err != nil {
		return err
	}
	m.bySite, m.unsure = next, false
	return nil
}

// writeDurably replaces a file as one step that survives a loss of power.
func writeDurably(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

package numverify

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/numverify/authz"
)

// files are those that may change while the service runs.
type files struct {
	cfg         Config
	log         *slog.Logger
	clients     *authz.Clients
	keys        *authz.Keys
	certificate atomic.Pointer[tls.Certificate]
	seen        map[string]time.Time // owned by watch
}

func newFiles(cfg Config, clients *authz.Clients, log *slog.Logger) *files {
	return &files{cfg: cfg, log: log, clients: clients, keys: &authz.Keys{}, seen: map[string]time.Time{}}
}

// load reads all of them.
func (f *files) load() error {
	for _, read := range f.readers() {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (f *files) readers() []func() error {
	return []func() error{f.readClients, f.readKeys, f.readCertificate}
}

func (f *files) readClients() error {
	text, err := os.ReadFile(f.cfg.ClientsFile)
	if err != nil {
		return err
	}
	list, err := authz.ParseClients(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.cfg.ClientsFile, err)
	}
	f.clients.Set(list)
	return nil
}

func (f *files) readKeys() error {
	text, err := os.ReadFile(f.cfg.SigningFile)
	if err != nil {
		return fmt.Errorf("%w; make one with: numverify keys %s", err, f.cfg.SigningFile)
	}
	if err := f.keys.Set(text); err != nil {
		return fmt.Errorf("%s: %w", f.cfg.SigningFile, err)
	}
	return nil
}

func (f *files) readCertificate() error {
	if f.cfg.CertFile == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.cfg.CertFile, f.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	f.certificate.Store(&pair)
	return nil
}

// reload reads all again; what cannot be read stays as it is.
func (f *files) reload() {
	for _, read := range f.readers() {
		if err := read(); err != nil {
			f.log.Error("not reloaded; what was read before stays", "err", err)
		}
	}
}

// watchEvery is how soon a changed file is noticed.
const watchEvery = 5 * time.Second

// watch reloads when a file has changed, until ctx ends.
func (f *files) watch(ctx context.Context) {
	f.changed()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if f.changed() {
				f.log.Info("a file has changed: reloading")
				f.reload()
			}
		}
	}
}

// changed reports whether any file is another than at the last call.
func (f *files) changed() bool {
	changed := false
	for _, name := range []string{f.cfg.ClientsFile, f.cfg.SigningFile, f.cfg.CertFile, f.cfg.KeyFile} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			continue // it is being replaced
		}
		if at := info.ModTime(); !at.Equal(f.seen[name]) {
			changed = true
			f.seen[name] = at
		}
	}
	return changed
}

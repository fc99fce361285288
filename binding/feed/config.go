package feed

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// Defaults of Config.
const (
	DefaultStream   = "SIMBIND"
	DefaultMaxAge   = 24 * time.Hour
	DefaultMaxBytes = 4 << 30
	// A server on its defaults syncs its files every two minutes; the embedded
	// one every two seconds.
	DefaultHold         = 3 * time.Minute
	DefaultHoldEmbedded = 30 * time.Second
)

// The modes of Config.PublishMSISDN.
const (
	Clear  = "clear"  // "+491700000001"
	SHA256 = "sha256" // hexadecimal SHA-256 of "+491700000001"
	None   = "none"   // no number at all
)

// A Config says where changes go. The zero value of an optional field means
// its default.
type Config struct {
	// Site is this sidecar's name on NATS: 1 to 64 of A-Z a-z 0-9 _ -.
	Site string
	// Journal is what the journal knew about itself when it was opened. Its
	// incarnation is part of every message id; its Seq tells a data directory
	// that was restored from a copy.
	Journal binding.JournalMeta

	// URL names the operator's servers, separated by commas. Empty: the server
	// runs embedded.
	URL string
	// At most one of the files with credentials: a .creds file, the seed of an
	// nkey, a token.
	CredsFile, NKeyFile, TokenFile string
	TLS                            TLS
	Embedded                       Embedded
	Stream                         Stream

	// Hold is how long a change stays in the outbox after the stream stored
	// it, so that a server which lost its last unsynced writes with the power
	// gets them again. It should exceed the server's sync_interval. Default
	// DefaultHold, or DefaultHoldEmbedded.
	Hold time.Duration

	// PublishMSISDN is Clear, SHA256 or None. It has no default: the operator
	// decides.
	PublishMSISDN string
	// Follow other sites.
	Follow Follow
	// Changes, if it is set, hears the changes of other sites, for near-caches;
	// that of no site and no address says that some were missed.
	Changes ChangeHeard
	// Sites keeps track of other sites without following them.
	Sites bool
	// Service answers lookup, verify, status and snapshot over NATS.
	Service bool
	// Pair makes this sidecar one of several that speak for the site.
	Pair Pair
}

// TLS secures the connection to the operator's servers.
type TLS struct {
	CAFile            string // empty: the system's
	CertFile, KeyFile string // of the client, both or none
}

// Embedded configures the server inside this process.
type Embedded struct {
	// Listen is host:port for other processes; empty: no listener.
	Listen string
	// StoreDir is where JetStream keeps its files.
	StoreDir string
	// MaxBytes bounds everything that JetStream stores; default twice
	// Stream.MaxBytes.
	MaxBytes int64
	// TokenFile holds the token that clients of the listener must present. A
	// listener beyond loopback needs one.
	TokenFile string
	// CertFile and KeyFile make the listener speak TLS, both or none.
	CertFile, KeyFile string
	// Leaf joins the operator's cluster.
	Leaf Leaf
}

// Stream configures the JetStream stream, if it does not exist yet.
type Stream struct {
	Name     string        // default SIMBIND
	MaxAge   time.Duration // default 24 h
	MaxBytes int64         // default 4 GiB
	Replicas int           // 1 to 5, default 1
}

func (cfg Config) withDefaults() Config {
	if cfg.Stream.Name == "" {
		cfg.Stream.Name = DefaultStream
	}
	if cfg.Stream.MaxAge == 0 {
		cfg.Stream.MaxAge = DefaultMaxAge
	}
	if cfg.Stream.MaxBytes == 0 {
		cfg.Stream.MaxBytes = DefaultMaxBytes
	}
	if cfg.Stream.Replicas == 0 {
		cfg.Stream.Replicas = 1
	}
	if cfg.Hold == 0 {
		cfg.Hold = DefaultHold
		if cfg.URL == "" {
			cfg.Hold = DefaultHoldEmbedded
		}
	}
	if cfg.Embedded.MaxBytes == 0 {
		cfg.Embedded.MaxBytes = 2 * cfg.Stream.MaxBytes
	}
	return cfg
}

// Check reports what is wrong with the configuration. It reads no file.
func (cfg Config) Check() error {
	cfg = cfg.withDefaults()
	for _, check := range []func() error{cfg.checkNames, cfg.checkPrivacy, cfg.checkLimits, cfg.checkServer,
		func() error { return cfg.Follow.check(cfg.Site) }, cfg.checkPair} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (cfg Config) checkNames() error {
	if err := checkToken("site", cfg.Site, 64); err != nil {
		return err
	}
	if err := checkToken("incarnation", cfg.Journal.Incarnation, 64); err != nil {
		return err
	}
	return checkToken("stream name", cfg.Stream.Name, 255)
}

// checkToken accepts what is one token of a NATS subject everywhere.
func checkToken(what, s string, limit int) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(s) > limit {
		return fmt.Errorf("%s is longer than %d characters", what, limit)
	}
	if i := strings.IndexFunc(s, notOfToken); i >= 0 {
		return fmt.Errorf("%s %q: only A-Z a-z 0-9 _ - are allowed", what, s)
	}
	return nil
}

func notOfToken(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}

func (cfg Config) checkPrivacy() error {
	switch cfg.PublishMSISDN {
	case Clear, SHA256, None:
		return nil
	}
	return fmt.Errorf("publish_msisdn %q: want clear, sha256 or none", cfg.PublishMSISDN)
}

func (cfg Config) checkLimits() error {
	switch {
	case cfg.Hold < 0:
		return errors.New("hold is negative")
	case cfg.Stream.MaxAge < time.Minute:
		return errors.New("stream max_age is below one minute")
	case cfg.Stream.MaxBytes < 1<<20:
		return errors.New("stream max_bytes is below 1 MiB")
	case cfg.Stream.Replicas < 1 || cfg.Stream.Replicas > 5:
		return errors.New("stream replicas must be 1 to 5")
	}
	return nil
}

func (cfg Config) checkServer() error {
	if cfg.URL == "" {
		return cfg.checkEmbedded()
	}
	given := 0
	for _, file := range []string{cfg.CredsFile, cfg.NKeyFile, cfg.TokenFile} {
		if file != "" {
			given++
		}
	}
	if given > 1 {
		return errors.New("more than one of creds_file, nkey_file and token_file")
	}
	if (cfg.TLS.CertFile == "") != (cfg.TLS.KeyFile == "") {
		return errors.New("tls needs both cert_file and key_file, or none")
	}
	return nil
}

func (cfg Config) checkEmbedded() error {
	e := cfg.Embedded
	if e.StoreDir == "" {
		return errors.New("the embedded server has no store_dir")
	}
	if e.MaxBytes < cfg.Stream.MaxBytes {
		return errors.New("embedded max_bytes is below the stream's")
	}
	if err := e.Leaf.check(); err != nil {
		return err
	}
	if cfg.Stream.Replicas != 1 {
		return errors.New("stream replicas: the embedded server keeps one replica; more need a cluster (url)")
	}
	if e.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(e.Listen)
	if err != nil {
		return fmt.Errorf("embedded listen %q: %w", e.Listen, err)
	}
	if e.TokenFile == "" && !isLoopback(host) {
		return fmt.Errorf("embedded listen %q is reachable from other hosts: it needs a token_file, or listen on 127.0.0.1", e.Listen)
	}
	if (e.CertFile == "") != (e.KeyFile == "") {
		return errors.New("embedded needs both cert_file and key_file, or none")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

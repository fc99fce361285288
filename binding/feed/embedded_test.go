package feed

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no site", func(c *Config) { c.Site = "" }, "site is empty"},
		{"a site of two tokens", func(c *Config) { c.Site = "a.b" }, "site"},
		{"a site with a wildcard", func(c *Config) { c.Site = "a*" }, "site"},
		{"a site with a space", func(c *Config) { c.Site = "a b" }, "site"},
		{"a long site", func(c *Config) { c.Site = strings.Repeat("a", 65) }, "longer than 64"},
		{"no incarnation", func(c *Config) { c.Journal.Incarnation = "" }, "incarnation is empty"},
		{"an incarnation with a dot", func(c *Config) { c.Journal.Incarnation = "a.1" }, "incarnation"},
		{"no privacy mode", func(c *Config) { c.PublishMSISDN = "" }, "publish_msisdn"},
		{"an unknown privacy mode", func(c *Config) { c.PublishMSISDN = "md5" }, "publish_msisdn"},
		{"a stream name of two tokens", func(c *Config) { c.Stream.Name = "a.b" }, "stream name"},
		{"a stream that keeps next to nothing", func(c *Config) { c.Stream.MaxBytes = 1 }, "max_bytes"},
		{"a stream that forgets at once", func(c *Config) { c.Stream.MaxAge = time.Second }, "max_age"},
		{"six replicas", func(c *Config) { c.URL, c.Stream.Replicas = "nats://x", 6 }, "replicas"},
		{"replicas of an embedded server", func(c *Config) { c.Stream.Replicas = 3 }, "one replica"},
		{"a negative hold", func(c *Config) { c.Hold = -1 }, "hold"},
		{"no store", func(c *Config) { c.Embedded.StoreDir = "" }, "store_dir"},
		{"a store smaller than the stream", func(c *Config) { c.Embedded.MaxBytes = 1 << 20 }, "max_bytes"},
		{"a listener without a port", func(c *Config) { c.Embedded.Listen = "127.0.0.1" }, "listen"},
		{"a listener on a bad port", func(c *Config) { c.Embedded.Listen = "127.0.0.1:70000" }, "port"},
		{"an open listener on every address", func(c *Config) { c.Embedded.Listen = "0.0.0.0:0" }, "needs a token_file"},
		{"an open listener on every address of IPv6", func(c *Config) { c.Embedded.Listen = "[::]:0" }, "needs a token_file"},
		{"an open listener on an empty host", func(c *Config) { c.Embedded.Listen = ":4222" }, "needs a token_file"},
		{"an open listener on a public address", func(c *Config) { c.Embedded.Listen = "192.0.2.1:4222" }, "needs a token_file"},
		{"an open listener on a name", func(c *Config) { c.Embedded.Listen = "nats.example:4222" }, "needs a token_file"},
		{"half a certificate", func(c *Config) { c.Embedded.CertFile = "x" }, "both cert_file and key_file"},
		{"half a client certificate", func(c *Config) { c.URL, c.TLS.KeyFile = "nats://x", "x" }, "both cert_file and key_file"},
		{"two credentials", func(c *Config) { c.URL, c.TokenFile, c.CredsFile = "nats://x", "x", "y" }, "more than one"},
		{"a creds file that is not there", func(c *Config) { c.URL, c.CredsFile = "nats://x", "/nonexistent" }, "creds_file"},
		{"an nkey file that is not there", func(c *Config) { c.URL, c.NKeyFile = "nats://x", "/nonexistent" }, "nkey_file"},
		{"a token file that is not there", func(c *Config) { c.URL, c.TokenFile = "nats://x", "/nonexistent" }, "token_file"},
		{"a CA file that is not there", func(c *Config) { c.URL, c.TLS.CAFile = "nats://x", "/nonexistent" }, "tls"},
		{"a listener's token file that is not there", func(c *Config) { c.Embedded.TokenFile = "/nonexistent" }, "token_file"},
		{"a listener's token file that is empty", func(c *Config) { c.Embedded.TokenFile = writeFile(t, "\n") }, "is empty"},
		{"a URL that is none", func(c *Config) { c.URL = "http://[" }, "nats url"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := embeddedConfig(t)
			c.change(&cfg)
			err := New(cfg, newFakeOutbox(), nil, testDiscard).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run: %v, want %q", err, c.want)
			}
		})
	}
}

func TestAnEmbeddedServerThatCannotStartEndsRun(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := writeFile(t, "not a directory")
	cases := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"its port is taken", func(c *Config) { c.Embedded.Listen = taken.Addr().String() }, "address already in use"},
		{"its store is a file", func(c *Config) { c.Embedded.StoreDir = file }, "JetStream"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := embeddedConfig(t)
			c.change(&cfg)
			err := New(cfg, newFakeOutbox(), nil, testDiscard).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run: %v, want %q", err, c.want)
			}
		})
	}
}

func TestWithoutAListenerNothingListens(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Embedded.Listen = ""
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(3)
	if f.Addr() != "" {
		t.Errorf("it listens on %s", f.Addr())
	}
	if f.State().Server != "embedded" {
		t.Errorf("server %q", f.State().Server)
	}
}

func TestTheListenersTokenIsAskedFor(t *testing.T) {
	cfg := embeddedConfig(t)
	cfg.Embedded.Listen = "0.0.0.0:0"
	cfg.Embedded.TokenFile = writeFile(t, "s3cret\n")
	outbox := newFakeOutbox()
	outbox.fill(1, 3)
	f := start(t, cfg, outbox, nil)
	f.awaitDelivered(3)
	for name, opt := range map[string]nats.Option{
		"no token":          nats.Name("x"),
		"a wrong token":     nats.Token("guess"),
		"a prefix of it":    nats.Token("s3cre"),
		"our user, no pass": nats.UserInfo(ownUser, ""),
		"our user, guessed": nats.UserInfo(ownUser, "guess"),
		"the token as pass": nats.UserInfo("guest", "s3cret"),
	} {
		if nc, err := nats.Connect(f.Addr(), opt); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
			nc.Close()
		}
	}
	wantChanges(t, readAll(t, client(t, f.Addr(), nats.Token("s3cret"))), "abc", 1, 3)
}

func TestAGuestReadsAndChangesNothing(t *testing.T) {
	outbox := newFakeOutbox()
	outbox.fill(1, 10)
	f := start(t, embeddedConfig(t), outbox, nil)
	f.awaitDelivered(10)
	refused := make(chan error, 1)
	nc := client(t, f.Addr(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	publish := func(subject string) func() error {
		return func() error { return nc.Publish(subject, []byte("{}")) }
	}
	subscribe := func(subject string) func() error {
		return func() error { _, err := nc.SubscribeSync(subject); return err }
	}
	attempts := []struct {
		name string
		try  func() error
	}{
		{"forge a change", publish("simbind.v1.lab.change.bound")},
		{"delete the stream", publish("$JS.API.STREAM.DELETE.SIMBIND")},
		{"empty the stream", publish("$JS.API.STREAM.PURGE.SIMBIND")},
		{"delete a change", publish("$JS.API.STREAM.MSG.DELETE.SIMBIND")},
		{"change the stream", publish("$JS.API.STREAM.UPDATE.SIMBIND")},
		{"make a stream of its own", publish("$JS.API.STREAM.CREATE.X")},
		{"put a copy back", publish("$JS.API.STREAM.RESTORE.SIMBIND")},
		{"answer in our place", subscribe("simbind.v1.lab.svc.verify")},
		{"listen to everything", subscribe(">")},
		{"listen to the system", subscribe("$SYS.>")},
	}
	for _, a := range attempts {
		if err := a.try(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", a.name, err)
			}
		case <-time.After(testDeadline):
			t.Fatalf("a guest could %s", a.name)
		}
	}
	wantChanges(t, readAll(t, nc), "abc", 1, 10)
}

func TestNoNumberIsInAnyStoredByte(t *testing.T) {
	for _, mode := range []string{SHA256, None, Clear} {
		t.Run(mode, func(t *testing.T) {
			cfg := embeddedConfig(t)
			cfg.PublishMSISDN = mode
			outbox := newFakeOutbox()
			for seq := uint64(1); seq <= 50; seq++ {
				c := change(seq)
				c.Was.MSISDN = binding.MSISDN(499000000000 + seq)
				outbox.add(c)
			}
			f := start(t, cfg, outbox, nil)
			f.awaitDelivered(50)
			if err := f.stop(); err != nil {
				t.Fatal(err)
			}
			found := 0
			err := filepath.WalkDir(cfg.Embedded.StoreDir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				found += strings.Count(string(data), "49170000") + strings.Count(string(data), "49900000")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case mode == Clear && found < 100:
				t.Errorf("the search finds only %d numbers where there are 100", found)
			case mode != Clear && found != 0:
				t.Errorf("%d numbers are in the store", found)
			}
		})
	}
}

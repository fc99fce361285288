package feed

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// dial returns after the first attempt or when ctx ends. Connected or not, the
// client keeps trying until it is closed. An error is a file that cannot be
// read.
func (f *Feed) dial(ctx context.Context, e *embedded, callbacks ...nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	tried := make(chan result, 1)
	go func() {
		nc, err := f.connect(e, callbacks)
		tried <- result{nc, err}
	}()
	select {
	case r := <-tried:
		return r.nc, r.err
	case <-ctx.Done():
	}
	go func() { // a server that hangs keeps the attempt for seconds
		if r := <-tried; r.err == nil {
			r.nc.Close()
		}
	}()
	return nil, ctx.Err()
}

func (f *Feed) connect(e *embedded, callbacks []nats.Option) (*nats.Conn, error) {
	opts := append([]nats.Option{
		nats.Name("simbindd " + f.cfg.Site),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(f.reconnectWait),
		nats.ReconnectJitter(f.reconnectWait/2, f.reconnectWait),
		nats.ReconnectBufSize(-1), // what cannot be sent now stays in the outbox
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(f.timeout), // for a write, too
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { f.refused(err) }),
	}, callbacks...)
	url := f.cfg.URL
	if e != nil {
		url = nats.DefaultURL
		opts = append(opts, nats.InProcessServer(e.srv), nats.UserInfo(ownUser, e.secret))
	} else {
		creds, err := f.credentials()
		if err != nil {
			return nil, err
		}
		opts = append(opts, creds...)
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("nats url: %w", err)
	}
	return nc, nil
}

// credentials are read again at every connection, so that they can be rotated;
// that they can be read at all is checked now.
func (f *Feed) credentials() ([]nats.Option, error) {
	var opts []nats.Option
	switch cfg := f.cfg; {
	case cfg.CredsFile != "":
		if _, err := os.ReadFile(cfg.CredsFile); err != nil {
			return nil, fmt.Errorf("nats creds_file: %w", err)
		}
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	case cfg.NKeyFile != "":
		opt, err := nats.NkeyOptionFromSeed(cfg.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats nkey_file: %w", err)
		}
		opts = append(opts, opt)
	case cfg.TokenFile != "":
		if _, err := readSecret(cfg.TokenFile); err != nil {
			return nil, fmt.Errorf("nats token_file: %w", err)
		}
		opts = append(opts, nats.TokenHandler(func() string {
			token, _ := readSecret(cfg.TokenFile) // empty: the server refuses and says so
			return token
		}))
	}
	return f.appendTLS(opts)
}

func (f *Feed) appendTLS(opts []nats.Option) ([]nats.Option, error) {
	t := f.cfg.TLS
	for _, file := range []string{t.CAFile, t.CertFile, t.KeyFile} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("nats tls: %w", err)
		}
	}
	if t.CAFile != "" {
		opts = append(opts, nats.RootCAs(t.CAFile))
	}
	if t.CertFile != "" {
		opts = append(opts, nats.ClientCert(t.CertFile, t.KeyFile))
	}
	return opts, nil
}

// The callbacks of the connection that publishes.
func (f *Feed) callbacks() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) { f.connected(nc) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { f.connected(nc) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { f.disconnected(err) }),
		nats.ReconnectErrHandler(f.unreachable),
	}
}

func (f *Feed) connected(nc *nats.Conn) {
	server := "embedded"
	if f.cfg.URL != "" {
		server = nc.ConnectedUrlRedacted()
	}
	f.last.Store(nil)
	f.health.link(true, server)
	f.log.Info("connected to nats", "peer", server)
	select {
	case f.up <- struct{}{}:
	default:
	}
}

func (f *Feed) disconnected(err error) {
	f.health.link(false, "")
	f.interrupt(fmt.Errorf("connection lost: %v", err)) // err may be nil
}

// unreachable is told about every failed attempt to connect.
func (f *Feed) unreachable(nc *nats.Conn, err error) {
	if last := nc.LastError(); last != nil {
		err = last // says more than that no server is left to try
	}
	was := f.State().Problem
	f.health.problem(noConnection + err.Error())
	if !strings.HasPrefix(was, noConnection) { // each server of a cluster may say something else, and each time
		f.log.Warn("nats is not reachable", "err", err)
	}
}

const noConnection = "no connection: "

// refused is told what the server reports without being asked, such as a
// missing permission.
func (f *Feed) refused(err error) {
	if last := f.last.Swap(&err); last == nil || (*last).Error() != err.Error() {
		f.log.Warn("nats reports", "err", err)
	}
}

package sh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/directory"
)

// A Client asks HSSs. Its methods may be called by anyone.
type Client struct {
	cfg     Config
	log     *slog.Logger
	peers   *diameter.Client
	flights flights
	counts  counts
}

// New makes a client. It does no I/O; Run reports a bad configuration.
func New(cfg Config, log *slog.Logger) *Client {
	c := &Client{cfg: cfg.withDefaults(), log: log.With("source", "sh")}
	c.flights.byIMSI = map[binding.IMSI]*flight{}
	connection := c.cfg.connection()
	connection.Serve = c.notified
	c.peers = diameter.NewClient(connection, c.log)
	return c
}

// Ready is closed when Run has begun to connect.
func (c *Client) Ready() <-chan struct{} { return c.peers.Ready() }

// Run keeps the connections until ctx ends, and asks every server to
// disconnect. An error means that the configuration is bad.
func (c *Client) Run(ctx context.Context) error {
	if err := c.cfg.Check(); err != nil {
		return err
	}
	return c.peers.Run(ctx)
}

// Peers reports on every server.
func (c *Client) Peers() []diameter.PeerReport { return c.peers.Peers() }

// Name is "sh".
func (c *Client) Name() string { return "sh" }

// maxAgain bounds how often one is asked whose number changes meanwhile.
const maxAgain = 2

var errChanging = errors.New("sh: the number changed while it was asked for")

// Resolve asks for the number of a SIM, and waits for each answer for the
// configured time: to the request, to that for a subscription before it, and
// to a second request if the number changed meanwhile. [directory.ErrUnknown]
// means that the HSS has no such subscriber, or one without a number, or with
// several: it would say so again. After any other error it may be asked again
// later.
//
// With a subscription the HSS may tell of a change at any time. Resolve never
// returns what was said before a change that was told by then; if one is told
// after, it is for the caller to keep the newer.
func (c *Client) Resolve(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, error) {
	if imsi == 0 {
		return 0, directory.ErrUnknown
	}
	f := c.flights.begin(imsi)
	defer c.flights.end(imsi, f)
	if c.cfg.Subscribe != 0 {
		// First, so that no change falls between the answer and it.
		c.subscribe(ctx, imsi)
	}
	for range maxAgain {
		f.changed.Store(false)
		msisdn, err := c.ask(ctx, imsi)
		if err != nil || !f.changed.Load() {
			return msisdn, err
		}
	}
	return 0, errChanging
}

// ask sends one User-Data-Request.
func (c *Client) ask(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, error) {
	m, err := c.peers.Ask(ctx, cmdUserData, c.cfg.appendUserData(nil, imsi))
	if err != nil {
		c.counts.failed(err)
		return 0, fmt.Errorf("sh: %w", err)
	}
	msisdn, what, err := decodeUserData(m, imsi)
	c.counts.outcomes[what].Add(1)
	if err != nil {
		c.log.Debug("no number", "imsi", imsi, "err", err)
	}
	return msisdn, err
}

// subscribe asks to be told of changes. Without, what is known lasts for its
// TTL.
func (c *Client) subscribe(ctx context.Context, imsi binding.IMSI) {
	m, err := c.peers.Ask(ctx, cmdSubscribe, c.cfg.appendSubscription(nil, imsi))
	if err == nil {
		err = decodeResult(m)
	}
	switch {
	case err == nil:
		c.counts.subscribed.Add(1)
	case !errors.Is(err, directory.ErrUnknown):
		c.counts.unsubscribed.Add(1)
		c.log.Debug("no subscription", "imsi", imsi, "err", err)
	}
}

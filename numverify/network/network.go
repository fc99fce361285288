// Package network asks simbindd, over its Unix socket, which SIM is behind a
// connection.
package network

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/numverify/origin"
)

var (
	// ErrUnknown: the network does not recognise the connection without a doubt.
	ErrUnknown = errors.New("the connection is not recognised")
	// ErrNobody comes with ErrUnknown: the network says that nobody holds the
	// address.
	ErrNobody = errors.New("nobody holds the address")
	// ErrNotNow: the daemon cannot be asked, or is not ready to say.
	ErrNotNow = errors.New("the network cannot say at this moment")
)

// A SIM is who holds an address, as the network said it at one moment.
type SIM struct {
	MSISDN string // +E164
	IMSI   string // "" if unknown
	// Version changes whenever the holder of the address does.
	Version uint64
}

// Same reports whether two sightings are of one SIM with one number. What is
// unknown in either is not the same.
func (s SIM) Same(other SIM) bool { return s.MSISDN == other.MSISDN && s.IMSI == other.IMSI }

// A Network asks one daemon. Any goroutine may use it.
type Network struct {
	socket  string
	domain  string
	timeout time.Duration

	mu     sync.Mutex
	client *query.Client // nil until the daemon was reached once
}

// New makes a Network. The domain is that of the addresses, "" if pools do not
// overlap; timeout bounds each question. It does no I/O.
func New(socket, domain string, timeout time.Duration) *Network {
	return &Network{socket: socket, domain: domain, timeout: timeout}
}

func (n *Network) dial(ctx context.Context) (*query.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client != nil {
		return n.client, nil
	}
	c, err := query.Dial(ctx, n.socket)
	n.client = c
	return c, err
}

// Holder is the SIM that holds the address of c without any doubt. The error
// wraps ErrUnknown or ErrNotNow.
func (n *Network) Holder(ctx context.Context, c origin.Client) (SIM, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	q, err := n.dial(ctx)
	if err != nil {
		return SIM{}, fmt.Errorf("%w: %w", ErrNotNow, err)
	}
	var opt []query.Option
	if c.Port != 0 {
		opt = append(opt, query.Port(c.Port))
	}
	if n.domain != "" {
		opt = append(opt, query.Domain(n.domain))
	}
	b, err := q.Lookup(ctx, c.Addr.String(), opt...)
	var refused *query.ReplyError
	switch {
	case errors.As(err, &refused) && refused.Code == "BADADDR":
		return SIM{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	case err != nil:
		return SIM{}, fmt.Errorf("%w: %w", ErrNotNow, err)
	case b.Reason == "warming" || b.Reason == "not-ingesting" || b.Reason == "site-unreachable":
		return SIM{}, fmt.Errorf("%w: %s", ErrNotNow, b.Reason)
	case b.State == "" || b.Reason == "no-binding": // "ended" may be a doubt: another source has not confirmed the end
		return SIM{}, fmt.Errorf("%w: %w", ErrUnknown, ErrNobody)
	case b.State != "bound" || b.MSISDN == "" || b.Version == 0:
		return SIM{}, fmt.Errorf("%w: %s %s", ErrUnknown, b.State, b.Reason)
	}
	return SIM{MSISDN: b.MSISDN, IMSI: b.IMSI, Version: b.Version}, nil
}

// Moved reports whether the number of a SIM is with another SIM now, at any
// address. The error wraps ErrNotNow.
func (n *Network) Moved(ctx context.Context, s SIM) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	q, err := n.dial(ctx)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotNow, err)
	}
	const enough = 100 // sessions of one number
	list, _, err := q.Sessions(ctx, "msisdn", s.MSISDN, enough, "")
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNotNow, err)
	}
	for _, b := range list {
		if b.IMSI != "" && s.IMSI != "" && b.IMSI != s.IMSI {
			return true, nil
		}
	}
	return false, nil
}

// Ping reports why the daemon cannot be asked.
func (n *Network) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	q, err := n.dial(ctx)
	if err != nil {
		return err
	}
	_, err = q.Verify(ctx, "192.0.2.1", "+10000000000")
	return err
}

// Close ends the connections.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client != nil {
		n.client.Close()
	}
}

package radiustest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	layeh "layeh.com/radius"
)

// A Client is one UDP socket of a NAS. It is for one goroutine.
type Client struct {
	conn   net.Conn
	buffer [layeh.MaxPacketLength]byte
}

// ErrBadAnswer reports an answer that is not authentic.
var ErrBadAnswer = errors.New("the answer is not authentic")

// Dial opens a socket to a server.
func Dial(server string) (*Client, error) {
	conn, err := net.Dial("udp", server)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", server, err)
	}
	return &Client{conn: conn}, nil
}

// Close closes the socket.
func (c *Client) Close() error { return c.conn.Close() }

// Exchange sends a packet once and waits for its verified answer until ctx
// ends. Answers to other identifiers are passed over.
func (c *Client) Exchange(ctx context.Context, p *layeh.Packet) (*layeh.Packet, error) {
	wire, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	answer, err := c.ExchangeRaw(ctx, wire)
	if err != nil {
		return nil, err
	}
	if !layeh.IsAuthenticResponse(answer, wire, p.Secret) {
		return nil, ErrBadAnswer
	}
	return layeh.Parse(answer, p.Secret)
}

// ExchangeRaw sends octets as they are and waits for a packet with their
// identifier, which it does not verify.
func (c *Client) ExchangeRaw(ctx context.Context, wire []byte) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := c.conn.Write(wire); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	for {
		n, err := c.conn.Read(c.buffer[:])
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, fmt.Errorf("receive: %w", err)
		case n >= 20 && len(wire) > 1 && c.buffer[1] == wire[1]:
			return append([]byte(nil), c.buffer[:n]...), nil
		}
	}
}

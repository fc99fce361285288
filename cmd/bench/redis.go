package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// A redis is a redis-server that holds the number of each resident under its
// address, as frontends keep them today.
type redis struct {
	*process
	socket string
}

func startRedis(ctx context.Context, s *stage) (*redis, error) {
	socket := filepath.Join(s.dir, "r")
	p, err := launch(s.dir, "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, err
	}
	r := &redis{p, socket}
	if err := r.fill(ctx, s); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *redis) fill(ctx context.Context, s *stage) error {
	var conn net.Conn
	err := r.await(ctx, 10*time.Second, func(context.Context) (err error) {
		conn, err = net.Dial("unix", r.socket)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	sent := make(chan error, 1)
	go func() { sent <- setAll(conn, uint64(s.sessions)) }()
	replies := bufio.NewReader(conn)
	for range s.sessions {
		line, err := replies.ReadString('\n')
		if err == nil && line != "+OK\r\n" {
			err = fmt.Errorf("redis said %q", line)
		}
		if err != nil {
			conn.Close() // ends setAll
			return errors.Join(err, <-sent)
		}
	}
	return <-sent
}

func setAll(conn net.Conn, sessions uint64) error {
	w, who := bufio.NewWriterSize(conn, 64<<10), residents()
	var b []byte
	for n := range sessions {
		b = append(b[:0], "*3\r\n$3\r\nSET\r\n"...)
		b = appendBulk(b, who.addr(n).String())
		b = appendBulk(b, who.number(n))
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

func appendBulk(b []byte, s string) []byte {
	b = strconv.AppendInt(append(b, '$'), int64(len(s)), 10)
	return append(append(append(b, '\r', '\n'), s...), '\r', '\n')
}

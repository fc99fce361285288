package query

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/redcon"
	"golang.org/x/sys/unix"
)

// fastClock makes a second of the loop's clock last a few milliseconds.
func fastClock(s *Server) { s.second = 5 * time.Millisecond }

func TestConnections(t *testing.T) {
	f := newFake(100)
	s, path := start(t, f)
	alive := func(t *testing.T) {
		t.Helper()
		if got := dialRaw(t, path).ask("PING"); got != "PONG" {
			t.Fatalf("the server answers %q", got)
		}
	}

	t.Run("a client that hangs up mid command does not take the server down", func(t *testing.T) {
		c := dialRaw(t, path)
		c.Write([]byte("*3\r\n$6\r\nVERIFY\r\n$9\r\n10."))
		c.Close()
		alive(t)
		waitFor(t, func() bool { return s.open.Load() <= 1 })
	})

	t.Run("a request may come byte by byte", func(t *testing.T) {
		c := dialRaw(t, path)
		for _, b := range []byte("*3\r\n$6\r\nVERIFY\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n") {
			c.Write([]byte{b})
		}
		if got := flat(c.next()); got != "*[match bound 1500 8]" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("an oversized request is told so and the connection is closed", func(t *testing.T) {
		c := dialRaw(t, path)
		c.Write([]byte("*2\r\n$3\r\nGET\r\n$100000\r\n"))
		if got := flat(c.next()); !strings.HasPrefix(got, "-ERR protocol: a request may have 64 KiB") {
			t.Errorf("got %q", got)
		}
		if !c.ended() {
			t.Error("the connection goes on")
		}
	})

	t.Run("a client that asks and stops sending still gets its replies", func(t *testing.T) {
		c := dialRaw(t, path)
		c.send("PING", "NODES", "GET 10.45.0.7")
		c.CloseWrite()
		if got := flat(c.next()) + flat(c.next()) + flat(c.next()); got != "PONG*[]+491700000007" {
			t.Errorf("got %q", got)
		}
		if !c.ended() {
			t.Error("the connection goes on")
		}
	})

	t.Run("QUIT is answered, what follows it is not", func(t *testing.T) {
		c := dialRaw(t, path)
		c.send("QUIT", "PING")
		if got := flat(c.next()); got != "OK" || !c.ended() {
			t.Errorf("got %q, or more", got)
		}
	})

	t.Run("thousands of pipelined requests are answered in order", func(t *testing.T) { testPipeline(t, path, 20000) })

	t.Run("no connection is left", func(t *testing.T) {
		waitFor(t, func() bool { return s.open.Load() == 0 })
	})
}

// testPipeline mixes what the loop answers with what workers answer.
func testPipeline(t *testing.T, path string, n int) {
	c := dialRaw(t, path)
	go func() {
		var b []byte
		for i := range n {
			switch {
			case i%1000 == 999:
				b = appendRequest(b, "SESSIONS", "imsi", held(i%100).IMSI.String())
			case i%2 == 0:
				b = appendRequest(b, "PING", fmt.Sprint(i))
			default:
				b = appendRequest(b, "GET", held(i%100).Addr.String())
			}
		}
		c.Write(b)
	}()
	for i := range n {
		got := c.next()
		switch {
		case i%1000 == 999:
			if len(got.list) != 2 || len(got.list[1].list) != 1 {
				t.Fatalf("reply %d is %s", i, flat(got))
			}
		case i%2 == 0:
			if got.str != fmt.Sprint(i) {
				t.Fatalf("reply %d is %s", i, flat(got))
			}
		case got.str != held(i%100).MSISDN.String():
			t.Fatalf("reply %d is %s", i, flat(got))
		}
	}
}

func appendRequest(b []byte, args ...string) []byte {
	b = redcon.AppendArray(b, len(args))
	for _, a := range args {
		b = redcon.AppendBulkString(b, a)
	}
	return b
}

func TestASlowReaderIsDisconnected(t *testing.T) {
	s, path := start(t, newFake(100), fastClock)
	c := dialRaw(t, path)
	// It asks for ever and reads nothing: the server stops reading from it, so
	// its own writes block in the end, and then it is thrown out.
	many := bytes.Repeat([]byte("LOOKUP 10.45.0.7\r\n"), 1000)
	c.SetWriteDeadline(time.Now().Add(15 * time.Second))
	written := 0
	for {
		n, err := c.Write(many)
		written += n
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("it is still connected")
			}
			break
		}
	}
	if limit := 4 << 20; written > limit {
		t.Errorf("the server took %d bytes of requests whose replies nobody read", written)
	}
	waitFor(t, func() bool { return s.open.Load() == 0 })
	if s.closed[closedStalled].Load() != 1 {
		t.Error("it was not counted as stalled")
	}
}

func TestASlowButSteadyReaderIsServed(t *testing.T) {
	_, path := start(t, newFake(100))
	c := dialRaw(t, path)
	const n = 30000
	go c.Write(bytes.Repeat([]byte("LOOKUP 10.45.0.7\r\n"), n))
	for range n {
		if got := c.next().binding(); got.MSISDN != "+491700000007" {
			t.Fatalf("got %+v", got)
		}
	}
}

func TestAnUnfinishedRequestIsNotWaitedForForEver(t *testing.T) {
	s, path := start(t, newFake(1), fastClock)
	c := dialRaw(t, path)
	c.Write([]byte("*2\r\n$3\r\nGET\r\n"))
	if !c.ended() {
		t.Fatal("it is still connected")
	}
	if s.closed[closedStalled].Load() != 1 {
		t.Error("it was not counted as stalled")
	}
}

// A tick may come while replies wait to be written at the end of the turn.
func TestABusyConnectionIsNotTakenForAStalledOne(t *testing.T) {
	s, path := start(t, newFake(100), func(s *Server) { s.second = 100 * time.Microsecond })
	var tasks sync.WaitGroup
	for range 8 {
		tasks.Go(func() {
			for range 500 {
				c, err := net.Dial("unix", path)
				if err != nil {
					t.Error(err)
					return
				}
				c.Write([]byte("PING\r\n"))
				c.Read(make([]byte, 16))
				c.Close()
			}
		})
	}
	tasks.Wait()
	if n := s.closed[closedStalled].Load(); n != 0 {
		t.Errorf("%d connections were taken for stalled", n)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	s, path := start(t, newFake(1), fastClock, func(s *Server) { s.cfg.IdleTimeout = 10 * time.Second })
	c := dialRaw(t, path)
	if c.ask("PING") != "PONG" || !c.ended() {
		t.Fatal("it is still connected")
	}
	if s.closed[closedIdle].Load() != 1 {
		t.Error("it was not counted as idle")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s, path := start(t, newFake(1), func(s *Server) { s.cfg.MaxConns = 2 })
	first := dialRaw(t, path)
	first.ask("PING")
	dialRaw(t, path).ask("PING")
	third := dialRaw(t, path)
	if got := flat(third.next()); !strings.HasPrefix(got, "-ERR too many connections") || !third.ended() {
		t.Errorf("got %q", got)
	}
	first.Close()
	waitFor(t, func() bool { return s.open.Load() == 1 })
	if got := dialRaw(t, path).ask("PING"); got != "PONG" {
		t.Errorf("after one left: %q", got)
	}
}

func TestASlowCommandHoldsUpItsOwnConnectionOnly(t *testing.T) {
	f := newFake(100)
	f.hold = make(chan struct{})
	_, path := start(t, f)
	held := dialRaw(t, path)
	held.send("SESSIONS all LIMIT 1", "GET 10.45.0.7")
	for range 100 {
		if got := dialRaw(t, path).ask("GET 10.45.0.8"); got != "+491700000008" {
			t.Fatalf("got %q", got)
		}
	}
	f.hold <- struct{}{}
	if v := held.next(); len(v.list) != 2 {
		t.Errorf("got %s", flat(v))
	}
	if v := held.next(); v.str != "+491700000007" {
		t.Errorf("got %s", flat(v))
	}
}

func TestAClientMayLeaveDuringASlowCommand(t *testing.T) {
	f := newFake(100)
	f.hold = make(chan struct{})
	s, path := start(t, f)
	c := dialRaw(t, path)
	c.send("SESSIONS all LIMIT 1")
	waitFor(t, func() bool { return s.open.Load() == 1 })
	c.Close()
	waitFor(t, func() bool { return s.open.Load() == 0 })
	f.hold <- struct{}{}
	if got := dialRaw(t, path).ask("PING"); got != "PONG" {
		t.Errorf("got %q", got)
	}
}

func TestSlowRequestsOfThoseWhoLeftAreBounded(t *testing.T) {
	f := newFake(100)
	f.hold = make(chan struct{})
	s, path := start(t, f, func(s *Server) { s.cfg.MaxConns = 2 })
	refused := false
	for i := range uint64(workers + 2 + 1) { // at work, waiting, and one more
		c := dialRaw(t, path)
		c.send("SESSIONS all LIMIT 1")
		waitFor(t, func() bool { return s.commands["SESSIONS"].calls.Load() == i+1 })
		if s.refused[refusedERR].Load() > 0 {
			refused = strings.HasPrefix(flat(c.next()), "-ERR too many slow requests wait")
			break
		}
		c.Close()
		waitFor(t, func() bool { return s.open.Load() == 0 })
	}
	close(f.hold)
	if !refused {
		t.Error("none was refused")
	}
	waitFor(t, func() bool { return flat(dialOnce(t, path, "PING")) == "PONG" })
}

func dialOnce(t *testing.T, path, line string) value {
	c := dialRaw(t, path)
	defer c.Close()
	c.send(line)
	return c.next()
}

func TestALargeReplyArrivesWhole(t *testing.T) {
	_, path := start(t, newFake(1))
	c := dialRaw(t, path)
	c.send("SESSIONS all LIMIT 10000", "PING after")
	if v := c.next(); len(v.list) != 2 || len(v.list[1].list) != 2500 {
		t.Errorf("got %d bindings", len(v.list[1].list))
	}
	if v := c.next(); v.str != "after" {
		t.Errorf("got %q", flat(v))
	}
}

func TestShutdown(t *testing.T) {
	t.Run("replies that are due are sent, then the connections are closed and the socket is gone", func(t *testing.T) {
		f := newFake(100)
		f.hold = make(chan struct{})
		s := NewServer(Config{Socket: shortDir(t) + "/s", Priority: "normal"}, f, discard())
		stop := run(t, s)
		busy, idle := dialRaw(t, s.cfg.Socket), dialRaw(t, s.cfg.Socket)
		idle.ask("PING")
		busy.send("SESSIONS all LIMIT 1")
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		if !idle.ended() {
			t.Error("an idle connection goes on")
		}
		f.hold <- struct{}{}
		if v := busy.next(); len(v.list) != 2 {
			t.Errorf("the reply that was due is %s", flat(v))
		}
		if !busy.ended() {
			t.Error("a connection goes on")
		}
		<-stopped
		if _, err := net.Dial("unix", s.cfg.Socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("dial says %v", err)
		}
	})

	t.Run("a peer that reads nothing does not hold it up", func(t *testing.T) {
		s := NewServer(Config{Socket: shortDir(t) + "/s", Priority: "normal"}, newFake(100), discard())
		s.second = 20 * time.Millisecond
		stop := run(t, s)
		c := dialRaw(t, s.cfg.Socket)
		c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			if _, err := c.Write(bytes.Repeat([]byte("LOOKUP 10.45.0.7\r\n"), 1000)); err != nil {
				break
			}
		}
		stop()
	})
}

func TestPriorityIsCheckedAndOptional(t *testing.T) {
	s := NewServer(Config{Socket: shortDir(t) + "/s", Priority: "highest"}, newFake(1), discard())
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "normal or high") {
		t.Errorf("got %v", err)
	}
	// Whether or not the system grants it, questions are answered.
	_, path := start(t, newFake(10), func(s *Server) { s.cfg.Priority = "" })
	c := dialRaw(t, path)
	for range 1000 {
		if got := c.ask("PING"); got != "PONG" {
			t.Fatalf("got %q", got)
		}
	}
}

// A client may hand over its end of the connection or lose it in ways that
// only the kernel sees.
func TestAShutSocketEndsTheConnection(t *testing.T) {
	s, path := start(t, newFake(1))
	c := dialRaw(t, path)
	c.ask("PING")
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	waitFor(t, func() bool { return s.open.Load() == 0 })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read says %v", err)
	}
}

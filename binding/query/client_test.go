package query

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

func dialClient(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientAsks(t *testing.T) {
	f := doubtful()
	f.state.Problems = []string{"journal is slow"}
	f.nodes = append(f.nodes, binding.Node{Name: "dra.lab", Source: binding.SourceGx, Up: true, Link: &binding.Link{
		State: "okay", Address: "192.0.2.7:3868", Since: day, RoundTrip: 250 * time.Microsecond, OriginState: 77, Waiting: 1, Pending: 2,
		Results: map[uint32]uint64{2001: 41, 3004: 1},
	}})
	_, path := start(t, f)
	c, ctx := dialClient(t, path), t.Context()

	t.Run("verify", func(t *testing.T) {
		got, err := c.Verify(ctx, "10.45.0.7", "+491700000007", Port(80), Domain("internet"))
		if want := (VerifyReply{"match", "bound", 1500, 8}); err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("lookup", func(t *testing.T) {
		got, err := c.Lookup(ctx, "10.45.0.7")
		want := BindingReply{Addr: "10.45.0.7", MSISDN: "+491700000007", IMSI: "001010000000007", APN: "internet", RAT: "eutran",
			Domain: "internet", Node: "pgw1.lab", Sources: []string{"gx", "radius"}, State: "bound", Reason: "bound",
			Since: day.Add(-time.Hour), Seen: day, Expires: day.Add(24 * time.Hour), Version: 8}
		if err != nil || !reflect.DeepEqual(got, want) || !got.Known() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("lookup at a time before the binding", func(t *testing.T) {
		got, err := c.Lookup(ctx, "10.45.0.7", At(day.Add(-2*time.Hour)))
		if err != nil || got.State != "unknown" || got.Reason != "no-history" || got.Known() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("lookup of nobody", func(t *testing.T) {
		got, err := c.Lookup(ctx, "10.46.0.7")
		if err != nil || got.State != "" || got.Known() {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("sessions, page by page", func(t *testing.T) {
		cursor, n := "", 0
		for {
			list, next, err := c.Sessions(ctx, "all", "", 1000, cursor)
			if err != nil {
				t.Fatal(err)
			}
			n += len(list)
			if cursor = next; cursor == "" {
				break
			}
		}
		if n != 2500 {
			t.Errorf("got %d", n)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		got, err := c.Nodes(ctx)
		want := []NodeReply{{Name: "pgw1.lab", Source: "gx", Up: true, Since: day, Heard: day, Restarts: 2, Sessions: 5, Events: 10,
			Owner: "dra", Also: []string{"10.0.0.1"}, Shared: true, Orphaned: true, OffsetKnown: true, OffsetMS: -1500}}
		want = append(want, NodeReply{Name: "dra.lab", Also: []string{}, Source: "gx", Up: true, Link: &LinkReply{
			State: "okay", Address: "192.0.2.7:3868", Since: day, RoundTripMicros: 250, OriginState: 77, Waiting: 1, Pending: 2,
			Results: map[string]uint64{"2001": 41, "3004": 1},
		}})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("status", func(t *testing.T) {
		got, err := c.Status(ctx)
		want := StatusReply{Site: "lab", Daemon: "1.2.3", Started: day, Healthy: true, Problems: []string{"journal is slow"},
			Sessions: 100, SessionsCap: 1000000, Addresses: 100, AddressCap: 2000000, QueueCap: 4096, Nodes: 1, JournalSeq: 42,
			Commits: 7, CommitMicros: 250, Edges: map[string]string{"tap": "tcx on eth0"}, Counters: map[string]uint64{"events_applied": 42, "feed_published": 41}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("trace", func(t *testing.T) {
		got, err := c.Trace(ctx, "10.45.0.7", 10)
		want := []TraceReply{{At: day, Kind: "session-start", Source: "gx", Node: "pgw1.lab", Session: "s;1", MSISDN: "+491700000007",
			IMSI: "001010000000007", Addrs: []string{"10.45.0.7"}, Domain: "internet", Time: day, Outcome: "applied"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("release", func(t *testing.T) {
		if err := c.Release(ctx, "10.45.0.7", "wrong person", Domain("internet")); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if got := f.released; len(got) != 1 || !strings.HasPrefix(got[0], "10.45.0.7 internet: wrong person by uid=") {
			t.Errorf("released %q", got)
		}
	})
	t.Run("a refusal has a code and says what to do", func(t *testing.T) {
		_, err := c.Verify(ctx, "10.45.0.7", "0170")
		var refused *ReplyError
		if !errors.As(err, &refused) || refused.Code != "BADNUM" || errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDialErrorsSayWhatToDo(t *testing.T) {
	ctx := t.Context()
	fails := func(t *testing.T, path, want string) {
		t.Helper()
		_, err := Dial(ctx, path)
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	t.Run("nothing is there", func(t *testing.T) { fails(t, shortDir(t)+"/s", "start simbindd, or name the socket") })
	t.Run("a stale socket", func(t *testing.T) {
		path := shortDir(t) + "/s"
		stale(t, path)
		fails(t, path, "simbindd is not running, it left the file behind")
	})
	t.Run("a file that is no socket", func(t *testing.T) {
		path := shortDir(t) + "/s"
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		fails(t, path, "is not a socket")
	})
	t.Run("no permission", func(t *testing.T) {
		err := dialError("/run/simbind/s", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", os.ErrPermission)})
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "ls -l /run/simbind/s") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("something else answers", func(t *testing.T) {
		path := shortDir(t) + "/s"
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			if c, err := ln.Accept(); err == nil {
				c.Write([]byte("HTTP/1.1 400 Bad Request\r\n"))
				c.Close()
			}
		}()
		fails(t, path, "does not answer as simbindd")
	})
}

func TestClientSurvivesARestartOfTheDaemon(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	serve := func() (stop func()) {
		return run(t, NewServer(Config{Socket: path, Priority: "normal"}, newFake(10), discard()))
	}
	stop := serve()
	c := dialClient(t, path)
	stop()
	if _, err := c.Verify(t.Context(), "10.45.0.7", "+491700000007"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("while it is down: %v", err)
	}
	stop = serve()
	if got, err := c.Verify(t.Context(), "10.45.0.7", "+491700000007"); err != nil || got.Verdict != "match" {
		t.Errorf("after it came back: %+v, %v", got, err)
	}
	stop()
	serve()
	if got, err := c.Verify(t.Context(), "10.45.0.7", "+491700000007"); err != nil || got.Verdict != "match" {
		t.Errorf("over a connection that the restart broke: %+v, %v", got, err)
	}
}

func TestClientIsSafeForConcurrentUse(t *testing.T) {
	_, path := start(t, newFake(100))
	c := dialClient(t, path)
	var tasks sync.WaitGroup
	for g := range 100 {
		tasks.Go(func() {
			for i := range 50 {
				b := held((g + i) % 100)
				got, err := c.Lookup(t.Context(), b.Addr.String())
				if err != nil || got.MSISDN != b.MSISDN.String() {
					t.Errorf("got %+v, %v", got, err)
					return
				}
			}
		})
	}
	tasks.Wait()
	if n := len(c.idle); n > clientIdle {
		t.Errorf("%d connections are kept", n)
	}
}

func TestClientGivesUpWithItsContext(t *testing.T) {
	f := newFake(10)
	f.hold = make(chan struct{})
	defer close(f.hold)
	_, path := start(t, f)
	c := dialClient(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := c.Sessions(ctx, "all", "", 0, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got, err := c.Verify(t.Context(), "10.45.0.7", "+491700000007"); err != nil || got.Verdict != "match" {
		t.Errorf("the next question got %+v, %v: the late reply of the other?", got, err)
	}
}

func TestClosedClient(t *testing.T) {
	_, path := start(t, newFake(10))
	c := dialClient(t, path)
	c.Close()
	if _, err := c.Status(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestReleaseIsAudited(t *testing.T) {
	var log lockedBuffer
	_, path := start(t, newFake(10), func(s *Server) { s.log = slog.New(slog.NewTextHandler(&log, nil)) },
		func(s *Server) { s.peerOf = func(int) (peer, error) { return peer{uid: 0, gid: 5, pid: 77}, nil } })
	c := dialRaw(t, path)
	c.ask(`RELEASE 10.45.0.7 REASON "ported\r\nout"`)
	c.ask("RELEASE 10.46.0.7 REASON test")
	for _, want := range []string{
		`msg=release addr=10.45.0.7 port=0 domain="" msisdn=+49170*****07 imsi=00101********07 uid=0 gid=5 pid=77 reason="ported  out" err=<nil>`,
		`msg=release addr=10.46.0.7 port=0 domain="" msisdn="" imsi="" uid=0 gid=5 pid=77 reason=test err="nobody holds the address"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no\n%s\n%s", want, log.String())
		}
	}
}

// A lockedBuffer is written by the server and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// FuzzClientReply reads what is no reply: it must not panic or keep more than it
// was sent.
func FuzzClientReply(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n:1\r\n"))
	f.Add([]byte("%1\r\n+a\r\n*-1\r\n"))
	f.Add([]byte(">2\r\n$6\r\nchange\r\n%1\r\n$3\r\nseq\r\n:7\r\n"))
	f.Add([]byte("$1000000\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := readValue(bufio.NewReader(bytes.NewReader(data)), maxDepth)
		if err != nil && !reflect.DeepEqual(v, value{}) {
			t.Errorf("an error and a value: %+v", v)
		}
		v.binding()
		v.node()
		v.status()
		v.trace()
		v.change()
	})
}

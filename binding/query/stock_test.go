package query

import (
	"context"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Stock clients are the independent implementation that the server is held
// against.

func TestGoRedis(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(map[int]string{2: "RESP2", 3: "RESP3"}[protocol], func(t *testing.T) {
			_, path := start(t, doubtful())
			// With a password and a client name, as in front of the Redis that is
			// replaced.
			c := redis.NewClient(&redis.Options{Network: "unix", Addr: path, Protocol: protocol, Password: "secret", ClientName: "frontend"})
			defer c.Close()
			goRedis(t, c)
		})
	}
}

func goRedis(t *testing.T, c *redis.Client) {
	ctx := t.Context()
	t.Run("PING", func(t *testing.T) {
		if got, err := c.Ping(ctx).Result(); err != nil || got != "PONG" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("GET is a drop-in", func(t *testing.T) {
		if got, err := c.Get(ctx, "10.45.0.7").Result(); err != nil || got != "+491700000007" {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := c.Get(ctx, "10.46.0.7").Result(); !errors.Is(err, redis.Nil) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("MGET", func(t *testing.T) {
		got, err := c.MGet(ctx, "10.45.0.7", "10.46.0.7").Result()
		if err != nil || !reflect.DeepEqual(got, []any{"+491700000007", nil}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("VERIFY", func(t *testing.T) {
		got, err := c.Do(ctx, "VERIFY", "10.45.0.7", "+491700000007").Slice()
		if err != nil || !reflect.DeepEqual(got, []any{"match", "bound", int64(1500), int64(8)}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("LOOKUP", func(t *testing.T) {
		got, err := c.Do(ctx, "LOOKUP", "10.45.0.7").Result()
		if err != nil {
			t.Fatal(err)
		}
		fields := map[any]any{}
		switch v := got.(type) {
		case map[any]any: // RESP3
			fields = v
		case []any: // RESP2
			for i := 0; i < len(v); i += 2 {
				fields[v[i]] = v[i+1]
			}
		}
		if len(fields) != 15 || fields["imsi"] != "001010000000007" || !reflect.DeepEqual(fields["sources"], []any{"gx", "radius"}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("INFO", func(t *testing.T) {
		got, err := c.Info(ctx, "journal").Result()
		if want := "# Journal\r\njournal_seq:42\r\ncommits:7\r\ncommit_us:250\r\n"; err != nil || got != want {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("COMMAND", func(t *testing.T) {
		got, err := c.Command(ctx).Result()
		if err != nil || got["verify"] == nil || got["verify"].Arity != -3 {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("a pipeline", func(t *testing.T) {
		cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range 1000 {
				p.Get(ctx, held(i%100).Addr.String())
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		for i, cmd := range cmds {
			b := held(i % 100)
			got, err := cmd.(*redis.StringCmd).Result()
			switch i % 100 {
			case 90, 91, 92: // in doubt
				if !errors.Is(err, redis.Nil) {
					t.Fatalf("%d: %q, %v", i, got, err)
				}
			default:
				if got != b.MSISDN.String() {
					t.Fatalf("%d: %q, %v", i, got, err)
				}
			}
		}
	})
	t.Run("an error reply", func(t *testing.T) {
		if err := c.Do(ctx, "VERIFY", "10.45.0.7", "0170").Err(); err == nil || !strings.HasPrefix(err.Error(), "BADNUM ") {
			t.Errorf("got %v", err)
		}
	})
}

// redisCLI runs one command, or lines of input, with redis-cli.
func redisCLI(t *testing.T, path, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, tool(t, "redis-cli"), append([]string{"-s", path, "--no-raw"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli: %v\n%s", err, out)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

func TestRedisCLI(t *testing.T) {
	_, path := start(t, newFake(100))
	for _, tt := range []struct {
		claim, stdin string
		args         []string
		want         string
	}{
		{"RESP2", "", []string{"VERIFY", "10.45.0.7", "+491700000007"}, "1) \"match\"\n2) \"bound\"\n3) (integer) 1500\n4) (integer) 8\n"},
		{"RESP3", "", []string{"-3", "LOOKUP", "10.46.0.7"}, "(nil)\n"},
		{"a map", "", []string{"-3", "NODES"}, "(empty array)\n"},
		{"several lines", "GET 10.45.0.7\nLOOKUP 10.46.0.7\nGET x\n", nil,
			"\"+491700000007\"\n(nil)\n(error) BADADDR \"x\" is not an IPv4 or IPv6 address without zone\n"},
		{"a number", "", []string{"COMMAND", "COUNT"}, "(integer) 21\n"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if got := redisCLI(t, path, tt.stdin, tt.args...); got != tt.want {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
	t.Run("INFO is shown as text", func(t *testing.T) {
		if got := redisCLI(t, path, "", "INFO"); !strings.Contains(got, "simbind_version:1.2.3") || !strings.Contains(got, "# Feed") {
			t.Errorf("got %q", got)
		}
	})
}

func TestRedisBenchmark(t *testing.T) {
	_, path := start(t, newFake(100))
	if rate := redisBenchmark(t, path, []string{"-c", "10", "-P", "4", "-n", "5000", "-q"}, "VERIFY", "10.45.0.7", "+491700000007"); rate <= 0 {
		t.Errorf("got %v", rate)
	}
}

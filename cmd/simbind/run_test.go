package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
)

var update = flag.Bool("update", false, "write testdata/help anew")

// commandPaths is every command as its words, the program itself first.
func commandPaths() [][]string {
	var paths [][]string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		paths = append(paths, strings.Fields(cmd.CommandPath())[1:])
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	c := &cli{}
	walk(c.rootCommand())
	return paths
}

func TestHelpIsStable(t *testing.T) {
	for _, words := range commandPaths() {
		name := strings.Join(append([]string{"simbind"}, words...), "-")
		t.Run(name, func(t *testing.T) {
			s := newSession(append(words, "-h")...)
			if code := s.run(); code != exitYes || s.err.Len() > 0 {
				t.Fatalf("exit %d, stderr %q", code, &s.err)
			}
			golden := filepath.Join("testdata", "help", name+".txt")
			if *update {
				if err := os.WriteFile(golden, s.out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if s.out.String() != string(want) {
				t.Errorf("help changed; if it should, run: go test ./cmd/simbind -run Help -update\n%s", &s.out)
			}
			if !strings.Contains(s.out.String(), "Examples:\n  simbind") && name != "simbind-completion" {
				t.Error("help has no example")
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	healthy := serve(t, newFakeRegistry())
	ailing := newFakeRegistry()
	ailing.status.Healthy, ailing.status.Problems = false, []string{"journal is down: disk full"}
	ill := serve(t, ailing)

	for _, tc := range []struct {
		claim  string
		socket string
		args   string
		code   int
		says   string // on stdout, or on stderr
	}{
		{"a match is a yes", healthy, "verify 10.45.0.7 +34600000001", exitYes, "match"},
		{"a hashed match is a yes", healthy, "verify 10.45.0.7 eb491b384e4fda4281634daa211e6e54a4cf7f82baa33a9f35980329e4ad95f3", exitYes, "match"},
		{"another number is a no", healthy, "verify 10.45.0.7 +34600000002", exitNo, "mismatch"},
		{"an unknown address is a no", healthy, "verify 10.45.0.9 +34600000001", exitNo, "no-binding"},
		{"a conflict is a no", healthy, "verify 10.45.0.8 +34600000001", exitNo, "ambiguous"},
		{"a national number is refused before anybody is asked", "/nowhere", "verify 10.45.0.7 600000001", exitUsage, "country code"},
		{"a word is no address", "/nowhere", "verify ten +34600000001", exitUsage, `"ten" is not an IP address`},
		{"a bound address is a yes", healthy, "lookup 10.45.0.7", exitYes, "+34600000001"},
		{"a disputed address is a no", healthy, "lookup 10.45.0.8", exitNo, "conflict"},
		{"an address that nobody holds is a no", healthy, "lookup 10.45.0.9", exitNo, "no-binding"},
		{"a time must be one", healthy, "lookup 10.45.0.7 --at yesterday", exitUsage, "2026-01-31T12:00:00Z"},
		{"sessions that exist", healthy, "sessions apn internet", exitYes, "10.45.0.8"},
		{"fewer sessions than there are", healthy, "sessions apn internet --limit 1", exitYes, "more than 1"},
		{"fewer sessions than the page has", healthy, "sessions apn onepage --limit 1", exitYes, "more than 1"},
		{"all sessions", healthy, "sessions apn internet --limit 0", exitYes, "10.45.0.8"},
		{"no session", healthy, "sessions apn ims", exitNo, "ADDRESS"},
		{"sessions by something else", healthy, "sessions colour red", exitUsage, "msisdn, imsi"},
		{"nodes", healthy, "nodes", exitYes, "pgw1"},
		{"events of an address", healthy, "trace 10.45.0.7", exitYes, "session-start"},
		{"no events", healthy, "trace 10.45.0.9", exitNo, "EVENT"},
		{"a healthy daemon", healthy, "status", exitYes, "2 of 100 (2%)"},
		{"a daemon with a problem", ill, "status", exitNo, "disk full"},
		{"doctor on a healthy daemon and machine", healthy, "doctor --data-dir /d", exitYes, "healthy"},
		{"doctor on a daemon with a problem", ill, "doctor", exitNo, "disk full"},
		{"doctor without a daemon", "/nowhere/s", "doctor", exitNo, "start simbindd"},
		{"a release that the daemon refuses", healthy, "release 10.45.0.9 --reason x", exitNo, "simbind: release: nothing is bound"},
		{"release without a reason", healthy, "release 10.45.0.8", exitUsage, "--reason"},
		{"a filter that is none", healthy, "watch colour=red", exitNo, "colour"},
		{"no such command", healthy, "frobnicate", exitUsage, "unknown command"},
		{"no such flag", healthy, "status --loud", exitUsage, "--loud"},
		{"an argument too many", healthy, "status now", exitUsage, "simbind status -h"},
		{"an output that is none", healthy, "status -o xml", exitUsage, "table or json"},
		{"no daemon", "/nowhere/s", "status", exitUnreachable, "/nowhere/s"},
		{"completions need no daemon", "/nowhere/s", "completion bash", exitYes, "simbind"},
		{"a shell that is none", "/nowhere/s", "completion command.com", exitUsage, "command.com"},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			s := newSession(append([]string{"--socket", tc.socket}, strings.Fields(tc.args)...)...)
			code := s.run()
			if code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if all := s.out.String() + s.err.String(); !strings.Contains(all, tc.says) {
				t.Errorf("does not say %q:\n%s", tc.says, all)
			}
			if code >= exitUsage && s.err.Len() == 0 {
				t.Error("stderr does not say why")
			}
		})
	}
}

func TestReleaseTellsTheDaemonWhy(t *testing.T) {
	reg := newFakeRegistry()
	socket := serve(t, reg)
	s := newSession("release", "10.45.0.8", "--socket", socket, "--domain", "internet", "--reason", "ticket 4711")
	if code := s.run(); code != exitYes {
		t.Fatalf("exit %d: %s", code, &s.err)
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if want := []string{"10.45.0.8 internet ticket 4711"}; !slices.Equal(reg.released, want) {
		t.Errorf("released %q, want %q", reg.released, want)
	}
}

func TestJSONDecodesIntoTheTypesOfTheClient(t *testing.T) {
	socket := serve(t, newFakeRegistry())
	ctx := context.Background()
	client, err := query.Dial(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, tc := range []struct {
		args string
		into any
		want func() (any, error)
	}{
		{"verify 10.45.0.7 +34600000001", &query.VerifyReply{}, func() (any, error) { return client.Verify(ctx, "10.45.0.7", "+34600000001") }},
		{"lookup 10.45.0.7", &query.BindingReply{}, func() (any, error) { return client.Lookup(ctx, "10.45.0.7") }},
		{"status", &query.StatusReply{}, func() (any, error) { return client.Status(ctx) }},
		{"nodes", &[]query.NodeReply{}, func() (any, error) { return client.Nodes(ctx) }},
		{"trace 10.45.0.7", &[]query.TraceReply{}, func() (any, error) { return client.Trace(ctx, "10.45.0.7", 10) }},
		{"sessions apn onepage", &[]query.BindingReply{}, func() (any, error) {
			list, _, err := client.Sessions(ctx, "apn", "onepage", 10, "")
			return list, err
		}},
		{"doctor", &[]finding{}, nil},
	} {
		t.Run(tc.args, func(t *testing.T) {
			s := newSession(append([]string{"--socket", socket, "-o", "json"}, strings.Fields(tc.args)...)...)
			if code := s.run(); code != exitYes {
				t.Fatalf("exit %d: %s", code, &s.err)
			}
			dec := json.NewDecoder(&s.out)
			dec.DisallowUnknownFields()
			if err := dec.Decode(tc.into); err != nil {
				t.Fatal(err)
			}
			if tc.want == nil {
				return
			}
			want, err := tc.want()
			if err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(tc.into).Elem().Interface(); !reflect.DeepEqual(got, want) {
				t.Errorf("printed %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestEmptyListsAreListsInJSON(t *testing.T) {
	socket := serve(t, newFakeRegistry())
	for _, args := range []string{"sessions apn ims", "trace 10.45.0.9"} {
		s := newSession(append([]string{"--socket", socket, "-o", "json"}, strings.Fields(args)...)...)
		s.run()
		if got := s.out.String(); got != "[]\n" {
			t.Errorf("%s printed %q, want []", args, got)
		}
	}
}

func TestTables(t *testing.T) {
	socket := serve(t, newFakeRegistry())
	for args, want := range map[string]string{
		"lookup 10.45.0.7": `
address  10.45.0.7
state    bound
reason   bound
means    this SIM holds the address now
msisdn   +34600000001
imsi     001010000000001
apn      internet
rat      eutran
domain   internet
node     pgw1
sources  gx,radius
since    2026-03-01T10:30:00Z (1h30m ago)
seen     2026-03-01T11:59:55Z (5s ago)
expires  2026-03-02T12:00:00Z (in 1d00h)
version  7
`,
		"verify 10.45.0.8 +34600000001": `
verdict    ambiguous
reason     conflict
means      nodes or sources disagree about the holder
confirmed  5s ago
version    8
`,
		"nodes": `
NODE  SOURCE  UP   SINCE                 HEARD   SESSIONS  EVENTS  RESTARTS  LAST RESTART  NEWS LOST  OWNER  CLOCK  LINK  ROUND TRIP  ORIGIN STATE  ANSWERS
pgw1  gx      yes  2026-03-01T11:00:00Z  2s ago  2         12      0         -             -          -      -      okay  250µs       77            2001:12 3004:1
`,
	} {
		t.Run(args, func(t *testing.T) {
			s := newSession(append([]string{"--socket", socket}, strings.Fields(args)...)...)
			s.run()
			if got := s.out.String(); got != want[1:] {
				t.Errorf("got\n%swant%s", got, want)
			}
		})
	}
}

func TestWatchFollowsUntilItIsInterrupted(t *testing.T) {
	reg := newFakeRegistry()
	socket := serve(t, reg)
	for _, output := range []string{"table", "json"} {
		t.Run(output, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(context.Background())
			defer interrupt()
			lines, out := net.Pipe()
			s := newSession("watch", "--socket", socket, "-o", output)
			s.stdout = out
			code := make(chan int, 1)
			go func() { code <- run(ctx, s.env) }()

			changes := <-reg.watchers
			for seq := range uint64(2) {
				changes <- binding.Change{Seq: seq + 1, Kind: binding.Moved, At: noon, EventTime: noon, Domain: "internet",
					Addr: must(binding.IPv4(netip.MustParseAddr("10.45.0.7"))), Node: "pgw1", Why: "start",
					Now: binding.Subscriber{MSISDN: 34600000001}, Was: binding.Subscriber{MSISDN: 34600000002}}
			}
			buf := make([]byte, 4096)
			for seq := range uint64(2) {
				lines.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, err := lines.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				checkChange(t, output, string(buf[:n]), seq+1)
			}
			interrupt()
			if got := <-code; got != exitYes {
				t.Errorf("exit %d after an interrupt: %s", got, &s.err)
			}
		})
	}
}

func checkChange(t *testing.T, output, line string, seq uint64) {
	t.Helper()
	if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Fatalf("not one line: %q", line)
	}
	if output == "table" {
		const want = "2026-03-01T12:00:00Z  moved      10.45.0.7             +34600000001  was +34600000002  domain=internet  node=pgw1  why=start\n"
		if line != want {
			t.Errorf("got %q, want %q", line, want)
		}
		return
	}
	var change query.ChangeReply
	if err := json.Unmarshal([]byte(line), &change); err != nil {
		t.Fatal(err)
	}
	if change.Seq != seq || change.Kind != "moved" || change.MSISDN != "+34600000001" || change.WasMSISDN != "+34600000002" {
		t.Errorf("got %+v", change)
	}
}

func TestWatchEndsWithTheDaemon(t *testing.T) {
	reg := newFakeRegistry()
	socket := serve(t, reg)
	s := newSession("watch", "--socket", socket)
	code := make(chan int, 1)
	go func() { code <- s.run() }()
	close(<-reg.watchers) // what the Registry does to a reader that lags behind
	if got := <-code; got == exitYes {
		t.Errorf("exit %d although the watch broke off", got)
	}
	if s.err.Len() == 0 {
		t.Error("does not say why it ended")
	}
}

func TestUnreachableSocketsNameTheNextStep(t *testing.T) {
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		claim, path, says string
		dial              error
	}{
		{claim: "no file", path: filepath.Join(dir, "none"), says: "start simbindd"},
		{claim: "left behind", path: staleSocket(t, dir), says: "simbindd is not running"},
		{claim: "not a socket", path: file, says: "not a socket"},
		{claim: "silent", path: filepath.Join(dir, "hung"), says: "did not answer within", dial: context.DeadlineExceeded},
		{claim: "forbidden", path: filepath.Join(dir, "private"), says: "permission",
			dial: fmt.Errorf("%w: no permission to open %s", query.ErrUnreachable, filepath.Join(dir, "private"))},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			for _, command := range [][]string{{"status"}, {"lookup", "10.45.0.7"}, {"watch"}, {"release", "10.45.0.7", "--reason", "x"}} {
				s := newSession(append(command, "--socket", tc.path)...)
				if tc.dial != nil {
					s.dial = func(context.Context, string) (*query.Client, error) { return nil, tc.dial }
				}
				if code := s.run(); code != exitUnreachable {
					t.Errorf("%s: exit %d, want %d", command[0], code, exitUnreachable)
				}
				if got := s.err.String(); !strings.Contains(got, tc.says) || !strings.Contains(got, tc.path) {
					t.Errorf("%s says %q, want %q and the path", command[0], got, tc.says)
				}
			}
		})
	}
}

// staleSocket is the file of a listener that ended without removing it.
func staleSocket(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "stale")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheSocketIsFoundByItself(t *testing.T) {
	for _, tc := range []struct {
		claim, env string
		exist      []string
		want       string
	}{
		{"the environment decides", "/e/s", []string{systemSocket, localSocket}, "/e/s"},
		{"the installed one goes before that of a checkout", "", []string{systemSocket, localSocket}, systemSocket},
		{"a checkout's is taken if nothing is installed", "", []string{localSocket}, localSocket},
		{"the installed one is missed if there is none", "", nil, systemSocket},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			s := newSession("status")
			s.getenv = func(name string) string { return map[string]string{"SIMBIND_SOCKET": tc.env}[name] }
			s.exists = func(path string) bool { return slices.Contains(tc.exist, path) }
			var dialled string
			s.dial = func(_ context.Context, socket string) (*query.Client, error) {
				dialled = socket
				return nil, query.ErrUnreachable
			}
			s.run()
			if dialled != tc.want {
				t.Errorf("dialled %s, want %s", dialled, tc.want)
			}
		})
	}
}

func TestTheHelpExplainsTheColumns(t *testing.T) {
	path := serve(t, newFakeRegistry())
	for _, command := range []string{"nodes", "trace 10.45.0.7"} {
		table, help := newSession(append(strings.Fields(command), "--socket", path)...), newSession(strings.Fields(command)[0], "--help")
		table.run()
		help.run()
		head, _, _ := strings.Cut(table.out.String(), "\n")
		for _, column := range regexp.MustCompile(`  +`).Split(strings.TrimSpace(head), -1) {
			plain := []string{"EVENT", "SESSION", "ADDRESSES", "DOMAIN"} // what they say
			if !strings.Contains(help.out.String(), column) && !slices.Contains(plain, column) {
				t.Errorf("the help of %s does not explain %s", command, column)
			}
		}
	}
}

func TestStatusSaysEachThingOnce(t *testing.T) {
	reg := newFakeRegistry()
	reg.status.Edges = map[string]string{"feed": "delivering", "nodes": "1 tell no time"}
	s := newSession("status", "--socket", serve(t, reg))
	s.run()
	said := map[string]int{}
	for line := range strings.Lines(s.out.String()) {
		name, _, _ := strings.Cut(line, "  ")
		if said[name]++; said[name] > 1 {
			t.Errorf("%s is said twice:\n%s", name, &s.out)
		}
	}
	if !regexp.MustCompile(`(?m)^nodes +1: 1 tell no time$`).MatchString(s.out.String()) {
		t.Errorf("nodes are not described with their number:\n%s", &s.out)
	}
}

func TestPeersCannotMoveTheCursor(t *testing.T) {
	reg := newFakeRegistry()
	reg.nodes[0].Name = "pgw\x1b[2J\r\nroot\u009b"
	s := newSession("nodes", "--socket", serve(t, reg))
	s.run()
	if got := s.out.String(); strings.ContainsAny(got, "\x1b\r\u009b") || strings.Count(got, "\n") != 2 {
		t.Errorf("printed %q", got)
	}
}

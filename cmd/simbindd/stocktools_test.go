package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tool finds an outside program. Without it the test is skipped, or fails where
// everything is meant to be there.
func tool(t *testing.T, name, from string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("SIMBIND_CI") != "":
		t.Fatalf("%s is missing: it comes with %s", name, from)
	}
	t.Skipf("%s is not installed: it comes with %s", name, from)
	return ""
}

// A bench of stock tools around one daemon: what an operator has at hand.
type stockTools struct {
	t                                   *testing.T
	p                                   *process
	radclient, redis, nats, simbind, in string
}

func newStockTools(t *testing.T) *stockTools {
	s := &stockTools{
		t: t, radclient: tool(t, "radclient", "Debian's freeradius-utils"), redis: tool(t, "redis-cli", "Debian's redis-tools"),
		nats: tool(t, "nats", "github.com/nats-io/natscli/nats"), in: t.TempDir(),
	}
	s.simbind = filepath.Join(s.in, "simbind")
	if out, err := exec.Command("go", "build", "-o", s.simbind, "../simbind").CombinedOutput(); err != nil {
		t.Fatalf("build simbind: %v\n%s", err, out)
	}
	s.p = newHome(t).spawn(t)
	return s
}

// account sends one accounting request by radclient, given as its attribute
// lines, and wants an answer. It tells its delay, zero unless there is another: of
// a NAS that tells no time a change would be in doubt for half a minute.
func (s *stockTools) account(attributes ...string) {
	s.t.Helper()
	cmd := exec.Command(s.radclient, "-r", "3", "-t", "5", s.p.radius(), "acct", testSecret)
	if !slices.ContainsFunc(attributes, func(s string) bool { return strings.HasPrefix(s, "Acct-Delay-Time") }) {
		attributes = append(attributes, "Acct-Delay-Time = 0")
	}
	cmd.Stdin = strings.NewReader(strings.Join(attributes, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("radclient %v: %v\n%s", attributes, err, out)
	}
}

// ask runs one command of redis-cli on the socket.
func (s *stockTools) ask(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(s.redis, append([]string{"-s", s.p.socket()}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *stockTools) wantVerdict(claim, addr, number, want string) {
	s.t.Helper()
	lines := strings.Split(s.ask("VERIFY", addr, number), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0]+" "+lines[1], want) {
		s.t.Errorf("%s: VERIFY %s %s answers %q, want %q", claim, addr, number, lines, want)
	}
}

// listen runs the nats CLI until it saw so many messages.
func (s *stockTools) listen(count int) (lines *bytes.Buffer, wait func()) {
	s.t.Helper()
	s.p.await(s.t, "nats server listens")
	cmd := exec.Command(s.nats, "--server", s.p.log.find("nats server listens", "url"), "sub", "simbind.v1.test.change.*", "--count", fmt.Sprint(count))
	cmd.Env = append(os.Environ(), "HOME="+s.in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill() })
	scanner := bufio.NewScanner(out)
	lines = &bytes.Buffer{}
	for scanner.Scan() { // it says when it has subscribed
		if strings.Contains(scanner.Text(), "Subscribing") {
			break
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for scanner.Scan() {
			lines.WriteString(scanner.Text() + "\n")
		}
	}()
	return lines, func() {
		defer time.AfterFunc(patience, func() { cmd.Process.Kill() }).Stop()
		<-done
		cmd.Wait()
	}
}

const (
	anna = "Calling-Station-Id = 447700900001"
	bert = "Calling-Station-Id = 447700900002"
	nas  = "NAS-Identifier = pgw1"
	apn  = "Called-Station-Id = internet"
)

// TestStockTools is the main job seen from outside: radclient announces
// sessions, redis-cli asks, the nats CLI sees the changes, simbind shows them.
func TestStockTools(t *testing.T) {
	if testing.Short() {
		t.Skip("runs many outside programs")
	}
	s := newStockTools(t)
	changes, wait := s.listen(5) // bound, bound, released, moved, released

	s.account("Acct-Status-Type = Start", "Acct-Session-Id = a1", nas, apn, anna, "Framed-IP-Address = 10.1.0.1",
		"3GPP-IMSI = 001010000000001", "3GPP-IMEISV = 3534900698733190", "3GPP-RAT-Type = EUTRAN", "3GPP-NSAPI = \"5\"",
		"Acct-Delay-Time = 5")
	s.wantVerdict("after a Start", "10.1.0.1", "+447700900001", "match bound")
	s.wantVerdict("another number", "10.1.0.1", "+447700900002", "mismatch other-number")
	s.wantVerdict("nobody's address", "10.1.0.2", "+447700900001", "unknown no-binding")
	if got := s.ask("GET", "10.1.0.1"); got != "+447700900001" {
		t.Errorf("GET answers %q", got)
	}
	s.lookup("10.1.0.1", 0, "+447700900001", "001010000000001", "eutran", "pgw1", "internet")

	s.account("Acct-Status-Type = Interim-Update", "Acct-Session-Id = b7", nas, apn, bert, "Framed-IP-Address = 10.1.0.2",
		"Acct-Session-Time = 60", "Acct-Delay-Time = 5")
	s.wantVerdict("an Interim makes up for a lost Start", "10.1.0.2", "+447700900002", "match bound")

	s.account("Acct-Status-Type = Stop", "Acct-Session-Id = a1", nas, anna)
	s.wantVerdict("after the Stop", "10.1.0.1", "+447700900001", "unknown no-binding")
	s.lookup("10.1.0.1", 1, "no-binding")

	s.account("Acct-Status-Type = Start", "Acct-Session-Id = c2", nas, apn, anna, "Framed-IP-Address = 10.1.0.2")
	s.wantVerdict("the address went to another SIM", "10.1.0.2", "+447700900001", "match bound")
	s.account("Acct-Status-Type = Stop", "Acct-Session-Id = b7", nas, bert)
	s.wantVerdict("a late Stop of the former owner ends nothing", "10.1.0.2", "+447700900001", "match bound")

	s.account("Acct-Status-Type = Accounting-On", nas)
	s.wantVerdict("after the NAS was rebooted", "10.1.0.2", "+447700900001", "unknown") // ended, and soon swept away

	wait()
	for _, kind := range []string{"bound", "released", "moved"} {
		if !strings.Contains(changes.String(), "simbind.v1.test.change."+kind) {
			t.Errorf("no change %q came over NATS:\n%s", kind, changes)
		}
	}
}

// TestStockToolsIPv6 sends the prefixes of a dual-stack session.
func TestStockToolsIPv6(t *testing.T) {
	if testing.Short() {
		t.Skip("runs many outside programs")
	}
	s := newStockTools(t)
	s.p.home.configure(t, strings.Replace(s.p.yaml(), "10.0.0.0/8", `10.0.0.0/8, "2001:db8::/32"`, 1))
	s.p.hangup(t)
	s.account("Acct-Status-Type = Start", "Acct-Session-Id = d1", nas, apn, anna, "Framed-IP-Address = 10.1.0.9",
		"Framed-IPv6-Prefix = 2001:db8:0:17::/64", "Delegated-IPv6-Prefix = 2001:db8:ff00::/56", "3GPP-IMSI = 00101000000009")
	for _, addr := range []string{"10.1.0.9", "2001:db8:0:17:aaaa:bbbb:cccc:dddd", "2001:db8:ff00:ab::1"} {
		s.wantVerdict("every address of the session", addr, "+447700900001", "match bound")
	}
	s.wantVerdict("the next prefix", "2001:db8:0:18::1", "+447700900001", "unknown no-binding")
	s.lookup("2001:db8:0:17::1", 0, "2001:db8:0:17::/64", "00101000000009")
}

// lookup runs the operator's command and wants its exit code and words.
func (s *stockTools) lookup(addr string, code int, words ...string) {
	s.t.Helper()
	cmd := exec.Command(s.simbind, "--socket", s.p.socket(), "lookup", addr)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code {
		s.t.Errorf("simbind lookup %s ends with %v, want %d:\n%s", addr, cmd.ProcessState, code, out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			s.t.Errorf("simbind lookup %s does not show %q:\n%s", addr, w, out)
		}
	}
}

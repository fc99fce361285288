package radius_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/radius"
	"github.com/simbind/simbind/radius/radiustest"
)

// radclient sends requests, each a block of "Attribute = value" lines, and must
// be answered each time.
func radclient(t *testing.T, server, command string, blocks ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, needs(t, "radclient"), "-x", "-r", "3", "-t", "2", server, command, secret)
	cmd.Stdin = strings.NewReader(strings.Join(blocks, "\n\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("radclient: %v\n%s", err, out)
	}
	if n := strings.Count(string(out), "Received Accounting-Response"); n != len(blocks) {
		t.Fatalf("%d answers to %d requests:\n%s", n, len(blocks), out)
	}
	return string(out)
}

const radclientSession = `Acct-Session-Id = "c0000201000004d2"
NAS-Identifier = "pgw1"
NAS-IP-Address = 192.0.2.1
Calling-Station-Id = "491701234567"
Called-Station-Id = "internet"
Framed-IP-Address = 10.45.0.7
Framed-IPv6-Prefix = 2001:db8:1:2::/64
3GPP-IMSI = "001010123456789"
3GPP-IMEISV = "3569380312345601"
3GPP-RAT-Type = EUTRAN
3GPP-NSAPI = "5"
`

// checkSession compares what radclientSession says, and by whom it came.
func checkSession(t *testing.T, ev binding.Event, kind binding.Kind, owner string) {
	t.Helper()
	got := fmt.Sprintln(ev.Kind, ev.Owner, ev.Node, ev.Also, ev.Session, ev.MSISDN, ev.IMSI, ev.IMEI, ev.APN, ev.RAT,
		ev.Addrs, ev.Contexts)
	want := fmt.Sprintln(kind, owner, "pgw1", "192.0.2.1", "c0000201000004d2", "+491701234567", "001010123456789",
		"3569380312345601", "internet", "eutran", "[10.45.0.7 2001:db8:1:2::/64]", 1<<5)
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestRadclientIsUnderstoodAndAnswered(t *testing.T) {
	needs(t, "radclient")
	r := newFakeRegistry()
	listen := []string{"127.0.0.1:0", "127.0.0.1:0"}
	if hasIPv6() {
		listen[1] = "[::1]:0"
	}
	s := start(t, radius.Config{Listen: listen}, r.submit)
	four, six := s.Addrs()[0].String(), s.Addrs()[1].String()
	radclient(t, four, "acct", "Acct-Status-Type = Start\n"+radclientSession)
	radclient(t, six, "acct", "Acct-Status-Type = Interim-Update\nEvent-Timestamp = 1767323040\nAcct-Delay-Time = 0\n"+
		"Acct-Session-Time = 60\n"+radclientSession)
	radclient(t, four, "acct", "Acct-Status-Type = Stop\n3GPP-Session-Stop-Indicator = 255\n"+radclientSession)
	radclient(t, four, "acct", "Acct-Status-Type = Accounting-On\nNAS-Identifier = pgw1\nNAS-IP-Address = 192.0.2.1\n"+
		"Event-Timestamp = 1767323040\nAcct-Delay-Time = 7\nProxy-State = 0x0102")
	out := radclient(t, four, "status", "Message-Authenticator = 0x00")
	if !strings.Contains(out, "Message-Authenticator") {
		t.Errorf("the answer to Status-Server has no Message-Authenticator:\n%s", out)
	}
	radclient(t, four, "acct", "Acct-Status-Type = Stop\nAcct-Session-Id = x\nNAS-Identifier = pgw1\nMessage-Authenticator = 0x00")
	events := r.wait(t, 5)
	checkSession(t, events[0], binding.SessionStart, "four")
	if ev := events[0]; !ev.Time.IsZero() || ev.Delayed || ev.Aged {
		t.Errorf("%+v", ev)
	}
	other := "four"
	if hasIPv6() {
		other = "six"
	}
	checkSession(t, events[1], binding.SessionUpdate, other)
	if ev := events[1]; ev.Time.Unix() != 1767323040 || !ev.Delayed || ev.Delay != 0 || !ev.Aged || ev.Age != time.Minute {
		t.Errorf("%+v", ev)
	}
	checkSession(t, events[2], binding.SessionStop, "four")
	if ev := events[3]; ev.Kind != binding.NodeRestart || ev.Owner != "four" || ev.Node != "pgw1" || ev.Also != "192.0.2.1" ||
		ev.Time.Unix() != 1767323040 || ev.Delay != 7*time.Second || !ev.Delayed {
		t.Errorf("%+v", ev)
	}
	if !events[2].Last || len(events) != 5 {
		t.Errorf("%+v", events[2:])
	}
}

// A free UDP port, as FreeRADIUS cannot tell which one it took.
func freePort(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// startFreeRADIUS runs FreeRADIUS with one accounting listener and returns its
// address. The sections go into its virtual server and beside it.
func startFreeRADIUS(t *testing.T, accounting, beside string) netip.AddrPort {
	t.Helper()
	program := needs(t, "freeradius")
	dir := t.TempDir()
	port := freePort(t)
	config := fmt.Sprintf(`
name = radiusd
logdir = %[1]s
run_dir = %[1]s
security {
	status_server = yes
}
modules {
	always ok {
		rcode = ok
	}
}
client any {
	ipaddr = 127.0.0.0/8
	secret = %[2]s
}
server default {
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %[3]d
	}
%[4]s
}
%[5]s
`, dir, secret, port, accounting, beside)
	if err := os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-f", "-l", "stdout", "-d", dir, "-n", "radiusd")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("FreeRADIUS:\n%s", out.String())
		}
	})
	server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	awaitServer(t, server)
	return server
}

// awaitServer asks for the status until it is told.
func awaitServer(t *testing.T, server netip.AddrPort) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		cmd := exec.CommandContext(ctx, needs(t, "radclient"), "-q", "-r", "1", "-t", "0.2", server.String(), "status", secret)
		cmd.Stdin = strings.NewReader("Message-Authenticator = 0x00\n")
		err := cmd.Run()
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("FreeRADIUS at %v does not answer: %v", server, err)
		}
	}
}

func TestFreeRADIUSMayStandBetweenTheNASAndUs(t *testing.T) {
	needs(t, "radclient")
	r := newFakeRegistry()
	s := start(t, radius.Config{}, r.submit)
	proxy := startFreeRADIUS(t, `
	preacct {
		update control {
			&Proxy-To-Realm := "up"
		}
	}
	accounting {
		ok
	}
`, fmt.Sprintf(`
proxy server {
}
home_server up {
	type = acct
	ipaddr = 127.0.0.1
	port = %d
	secret = %s
	response_window = 10
	status_check = status-server
}
home_server_pool up {
	home_server = up
}
realm up {
	acct_pool = up
	nostrip
}
`, s.Addrs()[0].Port(), secret))
	out := radclient(t, proxy.String(), "acct", "Acct-Status-Type = Start\nProxy-State = 0x6e6173\n"+radclientSession)
	if !strings.Contains(out[strings.Index(out, "Received"):], "Proxy-State = 0x6e6173") {
		t.Errorf("the NAS's Proxy-State did not come back:\n%s", out)
	}
	events := r.wait(t, 1)
	checkSession(t, events[0], binding.SessionStart, "four")
}

func TestFreeRADIUSMayBeTheHomeServer(t *testing.T) {
	home := startFreeRADIUS(t, `
	accounting {
		update reply {
			&Reply-Message := "%{Acct-Session-Id} at home"
		}
		ok
	}
`, "")
	r := newFakeRegistry()
	s := start(t, radius.Config{ProxyTo: &radius.Proxy{Server: home, Secret: []byte(secret)}}, r.submit)
	out := radclient(t, s.Addrs()[0].String(), "acct",
		"Acct-Status-Type = Start\nProxy-State = 0x6e6173\nMessage-Authenticator = 0x00\n"+radclientSession)
	answer := out[strings.Index(out, "Received"):]
	if !strings.Contains(answer, `Reply-Message = "c0000201000004d2 at home"`) || strings.Count(answer, "Proxy-State") != 1 ||
		!strings.Contains(answer, "Proxy-State = 0x6e6173") {
		t.Errorf("answered with\n%s", answer)
	}
	checkSession(t, r.wait(t, 1)[0], binding.SessionStart, "four")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sum, err := radiustest.Load(ctx, radiustest.LoadOptions{
		Server: s.Addrs()[0].String(), Secret: []byte(secret), Requests: 3000, Sockets: 2, Window: 32,
	})
	if err != nil || sum.Answered != 3000 {
		t.Errorf("%+v, %v", sum, err)
	}
	sessions := map[string]bool{}
	for _, ev := range r.wait(t, 3001) {
		sessions[ev.Session] = true
	}
	if len(sessions) != 3001 {
		t.Errorf("%d sessions, want 3001", len(sessions))
	}
	if i := slices.IndexFunc(r.wait(t, 1), func(ev binding.Event) bool { return ev.MSISDN == 0 }); i >= 0 {
		t.Error("an event without a number")
	}
}

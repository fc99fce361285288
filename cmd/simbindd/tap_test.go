package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/simbind/simbind/radius/radiustest"
)

// inNamespace runs a test in a network namespace of its own: it starts the test
// program anew for this one test, in there, and returns false; in there it
// returns true. Without the right to, the test is skipped, or fails where CI
// must have it.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const inside = "SIMBINDD_TEST_NAMESPACE"
	if os.Getenv(inside) == t.Name() {
		ip(t, "link", "set", "lo", "up")
		return true
	}
	if os.Getuid() != 0 {
		if os.Getenv("SIMBIND_CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	tool(t, "ip", "Debian's iproute2")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("in its namespace:\n%s", out)
	}
	return false
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// veth makes a pair of interfaces and returns what sends frames on the second.
func veth(t *testing.T, one, other string) (send func(frame []byte)) {
	t.Helper()
	ip(t, "link", "add", one, "type", "veth", "peer", "name", other)
	ip(t, "link", "set", one, "up")
	ip(t, "link", "set", other, "up")
	i, err := net.InterfaceByName(other)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
	return func(frame []byte) {
		t.Helper()
		if err := unix.Send(fd, frame, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// A gtpPair is an SGW and a PGW that speak GTPv2-C (3GPP TS 29.274) on S5.
type gtpPair struct {
	send    func(frame []byte)
	seq     uint32
	restart byte // of the PGW
}

var sgwAddr, pgwAddr = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// attach makes the session of a subscriber, n below 100.
func (g *gtpPair) attach(n int, addr string) {
	teid := uint32(0x1000 + n)
	g.seq++
	request := slices.Concat(
		element(1, 0, tbcd(fmt.Sprintf("00101%010d", n))), element(76, 0, tbcd(testNumber(n)[1:])), element(71, 0, append([]byte{8}, "internet"...)),
		element(82, 0, []byte{6}), fteid(0, 6, teid, sgwAddr), element(93, 0, element(73, 0, []byte{5})))
	g.message(sgwAddr, pgwAddr, 32, 0, g.seq, request)
	response := slices.Concat(
		element(2, 0, []byte{16, 0}), fteid(1, 7, teid|0x8000, pgwAddr), element(79, 0, append([]byte{1}, netip.MustParseAddr(addr).AsSlice()...)),
		element(3, 0, []byte{g.restart}), element(93, 0, slices.Concat(element(73, 0, []byte{5}), element(2, 0, []byte{16, 0}))))
	g.message(pgwAddr, sgwAddr, 33, teid, g.seq, response)
}

func (g *gtpPair) detach(n int) {
	teid := uint32(0x1000 + n)
	g.seq++
	g.message(sgwAddr, pgwAddr, 36, teid|0x8000, g.seq, element(73, 0, []byte{5}))
	g.message(pgwAddr, sgwAddr, 37, teid, g.seq, element(2, 0, []byte{16, 0}))
}

// echo has the PGW tell its restart counter.
func (g *gtpPair) echo() {
	g.seq++
	payload := slices.Concat([]byte{0x40, 2, 0, 9}, seq24(g.seq), element(3, 0, []byte{g.restart}))
	g.send(udpFrame(pgwAddr, sgwAddr, payload))
}

func (g *gtpPair) message(from, to netip.Addr, kind byte, teid, seq uint32, elements []byte) {
	payload := []byte{0x48, kind}
	payload = binary.BigEndian.AppendUint16(payload, uint16(8+len(elements)))
	payload = binary.BigEndian.AppendUint32(payload, teid)
	g.send(udpFrame(from, to, slices.Concat(payload, seq24(seq), elements)))
}

func seq24(seq uint32) []byte { return []byte{byte(seq >> 16), byte(seq >> 8), byte(seq), 0} }

func element(kind, instance byte, value []byte) []byte {
	return append([]byte{kind, byte(len(value) >> 8), byte(len(value)), instance}, value...)
}

func fteid(instance, kind byte, teid uint32, addr netip.Addr) []byte {
	value := binary.BigEndian.AppendUint32([]byte{0x80 | kind}, teid)
	return element(87, instance, append(value, addr.AsSlice()...))
}

// tbcd packs digits, the first in the low half (3GPP TS 29.002).
func tbcd(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "?" // 0xF
	}
	var b []byte
	for i := 0; i < len(digits); i += 2 {
		b = append(b, digits[i]&15|digits[i+1]<<4)
	}
	return b
}

func udpFrame(from, to netip.Addr, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(payload)))
	b = append(b, 0, 1, 0, 0, 64, 17, 0, 0)
	b = slices.Concat(b, from.AsSlice(), to.AsSlice(), []byte{2123 >> 8, 2123 & 0xFF, 2123 >> 8, 2123 & 0xFF})
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return slices.Concat(b, []byte{0, 0}, payload)
}

// configureTap has the daemon learn from the wire alone.
func (h home) configureTap(t *testing.T) {
	h.configure(t, strings.Replace(h.yaml(), "query:", "tap: {interfaces: [core0]}\nquery:", 1))
}

// newsLost is how often the tap told the registry that news is missing.
func (d *daemon) newsLost(t *testing.T) string {
	t.Helper()
	_, body := d.get(t, "/metrics")
	return regexp.MustCompile(`(?m)^simbindd_tap_news_lost_total .*$`).FindString(body)
}

// tapHasStarted waits until the tap has told that it knows nothing of what was
// before: what is overheard sooner is not trusted.
func (d *daemon) tapHasStarted(t *testing.T) {
	t.Helper()
	eventually(t, "the tap tells of its start", func() bool { return d.newsLost(t) != "simbindd_tap_news_lost_total 0" })
}

func TestTheDaemonLearnsFromTheWire(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	wire := &gtpPair{send: veth(t, "core0", "core1"), restart: 7}
	h := newHome(t)
	h.configureTap(t)
	d := h.start(t)
	says := func(want string, n int, addr string) {
		t.Helper()
		eventually(t, fmt.Sprintf("VERIFY %s of %d: %s, now %s", addr, n, want, d.verdict(t, addr, testNumber(n))), func() bool {
			return d.verdict(t, addr, testNumber(n)) == want
		})
	}
	edge := func() string {
		status, err := d.client(t).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Edges["tap"]
	}
	if got := edge(); got != "tcx on core0" && got != "packet on core0" {
		t.Fatalf("STATUS says %q", got)
	}

	d.tapHasStarted(t)
	wire.attach(1, "10.0.0.1")
	says("match bound", 1, "10.0.0.1")
	wire.attach(2, "10.0.0.2")
	says("match bound", 2, "10.0.0.2")
	wire.attach(3, "10.0.0.1") // its former holder's release was not signalled
	says("match bound", 3, "10.0.0.1")
	says("mismatch other-number", 1, "10.0.0.1")
	wire.detach(3)
	says("unknown no-binding", 3, "10.0.0.1")

	wire.restart++
	wire.echo()
	eventually(t, "the restart ends what was before", func() bool {
		v := d.verdict(t, "10.0.0.2", testNumber(2))
		return v == "unknown ended" || v == "unknown no-binding"
	})
	wire.attach(4, "10.0.0.4")
	says("match bound", 4, "10.0.0.4")

	ip(t, "link", "del", "core0")
	says("stale unconfirmed", 4, "10.0.0.4")
	eventually(t, "STATUS says that nothing is watched", func() bool { return edge() == "off: no interface matches core0" })
	if code, body := d.get(t, "/healthz"); code != 200 || !strings.Contains(body, "tap: no interface matches core0") {
		t.Errorf("/healthz: %d %s", code, body)
	}
	before := d.newsLost(t)
	wire.send = veth(t, "core0", "core1")
	eventually(t, "the interface is watched again", func() bool { return strings.HasSuffix(edge(), " on core0") })
	eventually(t, "the registry knows that news is missing", func() bool { return d.newsLost(t) != before })
	says("stale unconfirmed", 4, "10.0.0.4")
	nodes, err := d.client(t).Nodes(t.Context())
	if err != nil || len(nodes) == 0 || !nodes[0].Observed || nodes[0].Degraded.IsZero() {
		t.Errorf("NODES: %+v, %v", nodes, err)
	}
	wire.attach(5, "10.0.0.5")
	says("match bound", 5, "10.0.0.5")
	if _, body := d.get(t, "/metrics"); !strings.Contains(body, `simbindd_tap_lost_total{reason="ring-full"} 0`) || !strings.Contains(body, "simbindd_tap_up 1") {
		t.Errorf("/metrics has no account of the tap")
	}

	if code := d.stop(t); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	d = h.start(t)
	says("stale unconfirmed", 5, "10.0.0.5") // nobody repeats to an observer
	wire.detach(5)
	says("unknown no-binding", 5, "10.0.0.5") // and its end is still understood
}

func TestATapWithoutAnInterfaceLeavesTheRestAlone(t *testing.T) {
	h := newHome(t)
	h.configure(t, strings.Replace(h.yaml(), "query:", "tap: {interfaces: [no-such-interface]}\nquery:", 1))
	d := h.start(t)
	d.mustAccount(t, 1, radiustest.Start)
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); got != "match bound" {
		t.Errorf("%s", got)
	}
	if _, body := d.get(t, "/healthz"); !strings.Contains(body, "tap: ") {
		t.Errorf("/healthz: %s", body)
	}
}

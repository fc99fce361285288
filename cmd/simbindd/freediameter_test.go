package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/diameter/diametertest"
)

// The addresses in the network of TestFreeDiameter. freeDiameter takes none of
// 127.0.0.0/8 for its own.
const (
	daemonAddr       = "192.0.2.1"
	freeDiameterAddr = "192.0.2.2"
)

const freeDiameterConfig = `
Identity = "relay.test";
Realm = "test";
Port = 3868;
SecPort = 0;
No_SCTP;
No_IPv6;
ListenOn = "%[2]s";
TcTimer = 6;
TwTimer = 6;
AppServThreads = 2;
TLS_Cred = "%[1]s/cert.pem", "%[1]s/key.pem";
TLS_CA = "%[1]s/cert.pem";
TLS_DH_Bits = 1024;
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_dcca.fdx";
LoadExtension = "dict_dcca_3gpp.fdx";
LoadExtension = "acl_wl.fdx" : "%[1]s/acl.conf";
ConnectPeer = "simbind.lab" { No_TLS; ConnectTo = "%[3]s"; };
`

// certify writes a certificate of the Identity, without which freeDiameter does
// not start even if nobody speaks TLS.
func certify(t testing.TB, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A freeDiameter is one run of it.
type freeDiameter struct {
	cmd *exec.Cmd
	log *logbook
}

// startFreeDiameter runs it as a relay agent that connects to the daemon.
func startFreeDiameter(t *testing.T, program string) *freeDiameter {
	t.Helper()
	dir := t.TempDir()
	certify(t, dir, "relay.test")
	return runFreeDiameter(t, program, dir, map[string]string{
		"fd.conf": fmt.Sprintf(freeDiameterConfig, dir, freeDiameterAddr, daemonAddr), "acl.conf": "ALLOW_IPSEC *.simulated\n",
	})
}

// runFreeDiameter runs it in a folder with these files, of which fd.conf is its
// configuration.
func runFreeDiameter(t *testing.T, program, dir string, files map[string]string) *freeDiameter {
	t.Helper()
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &freeDiameter{cmd: exec.Command(program, "-c", filepath.Join(dir, "fd.conf")), log: &logbook{}}
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("freeDiameter says:\n%s", f.log)
		}
		f.stop()
	})
	return f
}

// stop asks it to end and waits.
func (f *freeDiameter) stop() {
	if f.cmd.ProcessState != nil {
		return
	}
	f.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { f.cmd.Process.Kill() })
	defer timer.Stop()
	f.cmd.Wait()
}

func (f *freeDiameter) says(words string) bool { return strings.Contains(f.log.String(), words) }

// metric reads one sample by its name with labels, zero if there is none.
func (d *daemon) metric(t *testing.T, sample string) float64 {
	t.Helper()
	_, body := d.get(t, "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(sample) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// watchdogTime is how long freeDiameter and the daemon watch each other, at one
// watchdog each six seconds.
const watchdogTime = 40 * time.Second

// Another implementation connects, relays, watches, and is left in order, both
// ways.
func TestFreeDiameter(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	t.Parallel()
	program := tool(t, "freeDiameterd", "Debian's freediameterd")
	if !inNamespace(t) {
		return
	}
	for _, a := range []string{daemonAddr, freeDiameterAddr} {
		ip(t, "addr", "add", a+"/32", "dev", "lo")
	}
	h := newHome(t)
	h.configure(t, h.gxYAML(net.JoinHostPort(daemonAddr, "3868")))
	p := h.spawn(t)
	f := startFreeDiameter(t, program)
	p.await(t, "peer connected")
	connected := time.Now()
	if got := p.log.find("peer connected", "host"); got != "relay.test" {
		t.Fatalf("%s connected", got)
	}

	relayed(t, p, crowdtest.Plan{Subscribers: 300, Rate: 300})
	for _, n := range []int{0, 299} {
		if got := p.verdict(t, crowdtest.Addr(simulatedPool, uint64(n)+1).String(), fmt.Sprintf("+%d", 491700000001+n)); got != "match bound" {
			t.Errorf("subscriber %d: %s", n, got)
		}
	}
	relayed(t, p, crowdtest.Plan{Subscribers: 300, Rate: 300, Hold: 100 * time.Millisecond, FirstMSISDN: 492700000001, FirstIMSI: 1010000010001})

	<-time.After(time.Until(connected.Add(watchdogTime)))
	if p.log.count("peer connected") != 1 || p.log.count("peer lost") != 0 {
		t.Errorf("the connection did not last")
	}
	asked := p.metric(t, `simbindd_diameter_requests_total{kind="device-watchdog",peer="relay.test"}`)
	told := p.metric(t, `simbindd_diameter_answers_received_total{kind="device-watchdog",peer="relay.test"}`)
	if asked+told < 4 {
		t.Errorf("within %v freeDiameter asked %v watchdogs and answered %v", watchdogTime, asked, told)
	}
	t.Logf("freeDiameter asked %v watchdogs and answered %v", asked, told)

	f.stop()
	p.await(t, "peer disconnected")
	if cause := p.log.find("the peer disconnects", "cause"); cause != "0" {
		t.Errorf("freeDiameter left with cause %q, want REBOOTING", cause)
	}
	f = startFreeDiameter(t, program)
	p.awaitMore(t, "peer connected", 1)
	if state := p.signal(t, syscall.SIGTERM); state.ExitCode() != exitOK {
		t.Errorf("the daemon ended with %v", state)
	}
	eventually(t, "freeDiameter hears why we leave", func() bool { return f.says("'simbind.lab' sent a DPR with cause: REBOOTING") })
}

var simulatedPool = netip.MustParsePrefix("10.8.0.0/16")

// relayed lets PGWs behind freeDiameter send sessions through it.
func relayed(t *testing.T, p *process, plan crowdtest.Plan) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	plan.Pool = simulatedPool
	sum, err := diametertest.Simulate(ctx, diametertest.Options{
		Server: net.JoinHostPort(freeDiameterAddr, "3868"), To: diametertest.Node{Realm: "lab"}, Connections: 2, Plan: plan,
	}, nil)
	if err != nil || sum.Answered == 0 || sum.Answered != sum.Sent || sum.Refused() != 0 || sum.Wrong != 0 || sum.Lost != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if p.log.count("peer connected") != 1 {
		t.Errorf("a PGW connected past freeDiameter")
	}
}

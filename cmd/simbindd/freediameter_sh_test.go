package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
	"github.com/simbind/simbind/directory"
)

// hssAddr is where the HSS is in the network of TestFreeDiameterRelaysSh.
const hssAddr = "192.0.2.3"

// freeDiameterToHSS is freeDiameter as an agent between the Sh client and an
// HSS. It has no dictionary of Sh: what it forwards it does not need to know.
const freeDiameterToHSS = `
Identity = "dra.test";
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
LoadExtension = "acl_wl.fdx" : "%[1]s/acl.conf";
ConnectPeer = "hss.home" { No_TLS; ConnectTo = "%[3]s"; };
`

// The number of a SIM comes from an HSS through an agent that somebody else
// wrote, and a change on the same way.
func TestFreeDiameterRelaysSh(t *testing.T) {
	if testing.Short() {
		t.Skip("runs freeDiameter")
	}
	t.Parallel()
	program := tool(t, "freeDiameterd", "Debian's freediameterd")
	if !inNamespace(t) {
		return
	}
	for _, a := range []string{daemonAddr, freeDiameterAddr, hssAddr} {
		ip(t, "addr", "add", a+"/32", "dev", "lo")
	}
	hss, err := shtest.Listen(net.JoinHostPort(hssAddr, "3868"), shtest.Options{Node: diametertest.Node{Host: "hss.home", Realm: "home"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hss.Close)
	const imsiDigits, number = "001010000000001", "491700000001"
	hss.Set(imsiDigits, number)
	dir := t.TempDir()
	certify(t, dir, "dra.test")
	runFreeDiameter(t, program, dir, map[string]string{
		"fd.conf": fmt.Sprintf(freeDiameterToHSS, dir, freeDiameterAddr, hssAddr), "acl.conf": "ALLOW_IPSEC simbind.lab\n",
	})
	changes := make(chan sh.Change, 1)
	client := startShClient(t, changes)

	imsi, want := parseIdentities(t, imsiDigits, number)
	eventually(t, "the agent delivers", func() bool {
		got, err := client.Resolve(t.Context(), imsi)
		if err == nil && got != want {
			t.Fatalf("the number is %v", got)
		}
		return err == nil
	})
	other, _ := parseIdentities(t, "001010000000002", number)
	if _, err := client.Resolve(t.Context(), other); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("of a SIM that the HSS does not know: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if result, err := hss.Push(ctx, imsiDigits, "491700000002"); err != nil || result != diametertest.Success {
		t.Fatalf("%d, %v", result, err)
	}
	if got := <-changes; got.IMSI != imsi || got.MSISDN != want+1 {
		t.Errorf("told %v, %v", got.IMSI, got.MSISDN)
	}
}

// startShClient asks through freeDiameter until the end of the test.
func startShClient(t *testing.T, changes chan<- sh.Change) *sh.Client {
	t.Helper()
	client := sh.New(sh.Config{
		OriginHost: "simbind.lab", OriginRealm: "lab", DestinationRealm: "home", Reconnect: 100 * time.Millisecond, Timeout: patience,
		Servers:   []diameter.Upstream{{Address: net.JoinHostPort(freeDiameterAddr, "3868"), Host: "dra.test"}},
		Subscribe: sh.MSISDN, Changed: func(c sh.Change) { changes <- c },
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := client.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return client
}

func parseIdentities(t *testing.T, imsiDigits, number string) (binding.IMSI, binding.MSISDN) {
	t.Helper()
	imsi, err := binding.ParseIMSI(imsiDigits)
	if err != nil {
		t.Fatal(err)
	}
	msisdn, err := binding.ParseMSISDN(number)
	if err != nil {
		t.Fatal(err)
	}
	return imsi, msisdn
}

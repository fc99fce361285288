package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// reload replaces the configuration and waits for the outcome.
func (d *daemon) reload(t *testing.T, text, outcome string) {
	t.Helper()
	before := d.log.count(outcome)
	d.configure(t, text)
	d.hup <- os.Signal(syscall.SIGHUP)
	d.awaitMore(t, outcome, before)
}

const (
	reloaded = "the configuration was reloaded"
	refused  = "the configuration was not reloaded; the old one stays in force"
)

// brief is how long the tests wait for an answer that must not come.
const brief = 300 * time.Millisecond

func TestReloadTakesANewSecret(t *testing.T) {
	d := newHome(t).start(t)
	d.mustAccount(t, 1, radiustest.Start)
	d.reload(t, strings.Replace(d.yaml(), testSecret, "another-secret", 1), reloaded)
	if d.account(t, 2, radiustest.Start, testSecret, brief) {
		t.Error("the old secret is still good")
	}
	if !d.account(t, 2, radiustest.Start, "another-secret", patience) {
		t.Error("the new secret is not good")
	}
	if got := d.verdict(t, testAddr(1).String(), testNumber(1)); got != "match bound" {
		t.Errorf("a binding of before: %s", got)
	}
}

func TestReloadTakesNewPools(t *testing.T) {
	d := newHome(t).start(t)
	d.mustAccount(t, 1, radiustest.Start)
	d.reload(t, strings.Replace(d.yaml(), "10.0.0.0/8", "192.0.2.0/24", 1), reloaded)
	d.mustAccount(t, 2, radiustest.Start)
	if got := d.verdict(t, testAddr(2).String(), testNumber(2)); got != "unknown out-of-pool" {
		t.Errorf("an address outside of the new pools: %s", got)
	}
	d.reload(t, strings.Replace(d.yaml(), "domains: [{name: internet, apns: [internet], pools: [10.0.0.0/8]}]", "", 1), reloaded)
	eventually(t, "without domains any address is good", func() bool {
		d.mustAccount(t, 2, radiustest.Interim)
		return d.verdict(t, testAddr(2).String(), testNumber(2)) == "match bound"
	})
}

func TestReloadTakesNewRoles(t *testing.T) {
	d := newHome(t).start(t)
	client := d.client(t)
	if _, err := client.Lookup(t.Context(), testAddr(1).String()); err != nil {
		t.Fatalf("with the default roles: %v", err)
	}
	d.reload(t, strings.Replace(d.yaml(), "socket: "+d.socket(), "socket: "+d.socket()+", roles: {read: {uids: [4294967294]}}", 1), reloaded)
	_, err := client.Lookup(t.Context(), testAddr(1).String())
	var refusal *query.ReplyError
	if !errors.As(err, &refusal) || refusal.Code != "NOPERM" {
		t.Errorf("who is not named any more: %v, want NOPERM", err)
	}
}

func TestReloadTakesTheLevel(t *testing.T) {
	d := newHome(t).start(t)
	d.configure(t, strings.Replace(d.yaml(), "level: info", "level: error", 1))
	d.hup <- os.Signal(syscall.SIGHUP)
	d.reload(t, "nonsense", refused)
	if d.log.count(reloaded) != 0 {
		t.Error("info is still logged")
	}
}

func TestReloadRefusesABadFileAsAWhole(t *testing.T) {
	d := newHome(t).start(t)
	text := strings.Replace(d.yaml(), testSecret, "another-secret", 1)
	d.reload(t, strings.Replace(text, "site: test", "site: te.st\nfoo: 1", 1), refused)
	if got := d.log.find(refused, "err"); !strings.Contains(got, d.file+":3: unknown key \"foo\"") {
		t.Errorf("the error is %q", got)
	}
	d.mustAccount(t, 1, radiustest.Start) // with the old secret
}

func TestReloadTellsWhoseSessionsAreLeft(t *testing.T) {
	const left = "sessions have an owner that is not in the configuration: give it that group again, or they count until their lease"
	d := newHome(t).start(t)
	for n := range 3 {
		d.mustAccount(t, n+1, radiustest.Start)
	}
	renamed := strings.Replace(d.yaml(), "{name: nas,", "{name: nas, group: pair,", 1)
	d.reload(t, renamed, reloaded)
	if owner, sessions := d.log.find(left, "owner"), d.log.find(left, "sessions"); owner != "nas" || sessions != "3" {
		t.Errorf("the log tells of %s sessions of %q, want 3 of nas", sessions, owner)
	}
	status, err := d.client(t).Status(t.Context())
	if err != nil || !strings.Contains(status.Edges["nodes"], "3 sessions of owners that the configuration does not have") {
		t.Errorf("the status says of nodes %q, %v", status.Edges["nodes"], err)
	}
	before := d.log.count(left)
	d.reload(t, strings.Replace(renamed, "group: pair", "group: nas", 1), reloaded)
	if d.log.count(left) != before {
		t.Error("they are still left under their former name")
	}
	status, err = d.client(t).Status(t.Context())
	if err != nil || strings.Contains(status.Edges["nodes"], "owners") {
		t.Errorf("then the status says of nodes %q, %v", status.Edges["nodes"], err)
	}
}

func TestReloadNamesWhatWaitsForARestart(t *testing.T) {
	d := newHome(t).start(t)
	d.reload(t, strings.Replace(d.yaml(), "capacity: 200000", "capacity: 300000", 1), reloaded)
	if got := d.log.find("some keys have changed that take effect only at the next start", "keys"); got != "capacity" {
		t.Errorf("the keys are %q", got)
	}
}

func TestReloadTakesNewGxPeers(t *testing.T) {
	d := newGxHome(t).start(t)
	gx := d.pcef(t, "pgw1.lab")
	gx.report(diametertest.Initial, 0, 1, 1)
	text := strings.Replace(d.gxYAML("127.0.0.1:0"), `host: "*"`, "host: pgw2.lab", 1)
	d.reload(t, strings.Replace(text, "watchdog: 6s", "watchdog: 7s", 1), reloaded)
	d.await(t, "the peer is not admitted any more")
	if got := d.log.find("some keys have changed that take effect only at the next start", "keys"); got != "diameter.watchdog" {
		t.Errorf("the keys are %q", got)
	}
	d.pcef(t, "pgw2.lab").report(diametertest.Initial, 0, 2, 2)
	if got := d.verdict(t, testAddr(2).String(), testNumber(2)); got != "match bound" {
		t.Errorf("a binding of the new peer: %s", got)
	}
}

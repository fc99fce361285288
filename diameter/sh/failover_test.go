package sh_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
)

// named is an HSS of that name, which answers as answer says.
func named(t testing.TB, host string, answer func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message) *shtest.HSS {
	hss := startHSS(t, shtest.Options{Node: diametertest.Node{Host: host, Realm: "test"}, Answer: answer})
	hss.Set(theIMSI.String(), number)
	return hss
}

func resolve(t testing.TB, c *sh.Client) {
	t.Helper()
	if got, err := c.Resolve(t.Context(), theIMSI); err != nil || got != mustMSISDN(number) {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestTheOtherServerIsAskedWhenThePreferredIsAway(t *testing.T) {
	first, second := named(t, "first.test", nil), named(t, "second.test", nil)
	cfg := testConfig(serverOf(first, "first.test", 0), serverOf(second, "second.test", 1))
	cfg.Watchdog = 100 * time.Millisecond // three of them, and it is preferred again
	client := start(t, cfg)
	for range 5 {
		resolve(t, client)
	}
	if n, m := len(first.Requests()), len(second.Requests()); n != 5 || m != 0 {
		t.Fatalf("%d and %d requests, want 5 and 0", n, m)
	}
	first.Close()
	awaitOpen(t, client, 1)
	resolve(t, client)
	if n := len(second.Requests()); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	again, err := shtest.Listen(first.Addr(), shtest.Options{Node: diametertest.Node{Host: "first.test", Realm: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	again.Set(theIMSI.String(), number)
	eventually(t, "the preferred server is asked again", func() bool {
		resolve(t, client)
		return len(again.Requests()) > 0
	})
}

func TestARequestThatAServerLeftUnansweredIsAskedElsewhere(t *testing.T) {
	first := named(t, "first.test", func(_ *shtest.HSS, p *diametertest.Peer, _ shtest.Request) *diam.Message {
		go p.Close()
		return nil
	})
	second := named(t, "second.test", nil)
	client := start(t, testConfig(serverOf(first, "first.test", 0), serverOf(second, "second.test", 1)))
	resolve(t, client)
	one, other := first.Requests()[0], second.Requests()[0]
	switch {
	case one.Again || !other.Again:
		t.Error("the T bit is not set in the second request alone")
	case one.Header.EndToEndID != other.Header.EndToEndID:
		t.Error("the second request has another End-to-End Identifier")
	}
	if n := metricOf(t, client, "moved_total", ""); n != 1 {
		t.Errorf("%v counted as moved", n)
	}
}

func TestARequestThatAnAgentCannotDeliverIsAskedElsewhere(t *testing.T) {
	for _, code := range []uint32{diametertest.UnableToDeliver, diametertest.TooBusy} {
		first := named(t, "first.test", func(h *shtest.HSS, _ *diametertest.Peer, r shtest.Request) *diam.Message { return h.Fail(r, 0, code) })
		second := named(t, "second.test", nil)
		client := start(t, testConfig(serverOf(first, "first.test", 0), serverOf(second, "second.test", 1)))
		resolve(t, client)
		second.Close()
		awaitOpen(t, client, 1)
		if _, err := client.Resolve(t.Context(), theIMSI); err == nil {
			t.Fatal("a number from nowhere")
		}
		if n := metricOf(t, client, "requests_total", "refused"); n != 1 {
			t.Errorf("%v counted as refused", n)
		}
	}
}

func TestWithTheConnectionTheRequestEnds(t *testing.T) {
	hss := named(t, "hss.test", func(_ *shtest.HSS, p *diametertest.Peer, _ shtest.Request) *diam.Message {
		go p.Close()
		return nil
	})
	client := start(t, testConfig(serverOf(hss, "hss.test", 0)))
	if _, err := client.Resolve(t.Context(), theIMSI); !errors.Is(err, diameter.ErrUnreachable) {
		t.Fatal(err)
	}
}

// A server that is connected but dead is noticed by the watchdog (RFC 3539).
func TestAServerThatDoesNotAnswerTheWatchdogIsLeft(t *testing.T) {
	var silent atomic.Bool
	dead, err := diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{
		Node:   diametertest.Node{Host: "first.test", Realm: "test", Applications: []uint32{shtest.Sh}},
		Handle: func(*diametertest.Peer, diametertest.Message) *diam.Message { silent.Store(true); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Close)
	second := named(t, "second.test", nil)
	cfg := testConfig(diameter.Upstream{Address: dead.Addr(), Host: "first.test"}, serverOf(second, "second.test", 1))
	cfg.Watchdog = 100 * time.Millisecond
	client := start(t, cfg)
	resolve(t, client)
	if !silent.Load() || len(second.Requests()) != 1 {
		t.Fatalf("asked the dead one: %v, requests of the other: %d", silent.Load(), len(second.Requests()))
	}
}

func TestTheEndIsToldToServers(t *testing.T) {
	hss := named(t, "hss.test", nil)
	client := sh.New(testConfig(serverOf(hss, "hss.test", 0)), discard())
	ctx, stop := contextWithStop(t)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	peer, err := hss.Await(t.Context(), "simbind.test")
	if err != nil {
		t.Fatal(err)
	}
	awaitOpen(t, client, 1)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	<-peer.Done()
	if cause, left := peer.Left(); !left || cause != diametertest.Rebooting {
		t.Fatalf("%v, %v", cause, left)
	}
}

package sh_test

import (
	"context"
	"sync"
	"testing"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
)

func contextWithStop(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return ctx, stop
}

// changes keeps what was told.
type changes struct {
	mu   sync.Mutex
	list []sh.Change
}

func (c *changes) told(one sh.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, one)
}

func (c *changes) take() []sh.Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func TestAChangeIsToldByTheHSS(t *testing.T) {
	hss := startHSS(t, shtest.Options{})
	hss.Set(theIMSI.String(), number)
	var told changes
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.Subscribe, cfg.Changed = sh.MSISDN, told.told
	client := start(t, cfg)
	resolve(t, client)
	requests := hss.Requests()
	if len(requests) != 2 || requests[0].Command != shtest.Subscribe || requests[1].Command != shtest.UserData {
		t.Fatalf("the subscription does not come first: %v", requests)
	}
	if requests[0].DataReference != sh.MSISDN || requests[0].IMSI() != theIMSI.String() {
		t.Fatalf("%+v", requests[0])
	}
	const next = "491700000002"
	if result, err := hss.Push(t.Context(), theIMSI.String(), next); err != nil || result != diametertest.Success {
		t.Fatalf("%d, %v", result, err)
	}
	if got := told.take(); len(got) != 1 || got[0] != (sh.Change{IMSI: theIMSI, MSISDN: mustMSISDN(next)}) {
		t.Fatal(got)
	}
	if n := metricOf(t, client, "notifications_total", "taken"); n != 1 {
		t.Errorf("%v counted as taken", n)
	}
}

func TestWhatANotificationMakesVoid(t *testing.T) {
	const identity = "sip:001010000000001@ims.mnc001.mcc001.3gppnetwork.org"
	const noSubscription = 5107
	void := []sh.Change{{IMSI: theIMSI}}
	known := []sh.Change{{IMSI: theIMSI, MSISDN: mustMSISDN(number)}}
	for _, c := range []struct {
		claim              string
		subscribe          uint32
		identity, document string
		want               []sh.Change
		result             uint32
	}{
		{"a number is told", sh.MSISDN, identity, shtest.Document(number), known, diametertest.Success},
		{"the IMSI itself is an identity", sh.MSISDN, theIMSI.String(), shtest.Document(number), known, diametertest.Success},
		{"without a number it is void", sh.MSISDN, identity, shtest.Document(), void, diametertest.Success},
		{"with two numbers it is void", sh.MSISDN, identity, shtest.Document(number, "491700000002"), void, diametertest.Success},
		{"of all identities none is of this SIM for sure", sh.IMSPublicIdentity, identity, shtest.Document(number), void, diametertest.Success},
		{"what cannot be read makes void", sh.MSISDN, identity, "<Sh-Data>", void, diametertest.InvalidAVPValue},
		{"about another IMSI it is void", sh.MSISDN, identity, "<Sh-Data><Extension><IMSI>001010000000009</IMSI></Extension></Sh-Data>", void, diametertest.InvalidAVPValue},
		{"somebody of another realm is nobody", sh.MSISDN, "sip:001010000000001@example.com", shtest.Document(number), nil, shtest.UserUnknown},
		{"a number is nobody", sh.MSISDN, "tel:+" + number, shtest.Document(number), nil, shtest.UserUnknown},
		{"nothing was asked for", 0, identity, shtest.Document(number), nil, noSubscription},
	} {
		t.Run(c.claim, func(t *testing.T) {
			hss := startHSS(t, shtest.Options{})
			var told changes
			cfg := testConfig(serverOf(hss, "hss.test", 0))
			cfg.Subscribe, cfg.Changed = c.subscribe, told.told
			start(t, cfg)
			peer, err := hss.Await(t.Context(), "simbind.test")
			if err != nil {
				t.Fatal(err)
			}
			result, err := hss.PushData(t.Context(), peer, c.identity, c.document)
			if err != nil || result != c.result {
				t.Fatalf("%d, %v, want %d", result, err, c.result)
			}
			got := told.take()
			if len(got) != len(c.want) || len(got) > 0 && got[0] != c.want[0] {
				t.Fatalf("%v, want %v", got, c.want)
			}
		})
	}
}

// The HSS reads the old number, tells of the new one, and then answers.
func TestAnAnswerFromBeforeAChangeIsNotTaken(t *testing.T) {
	const next = "491700000002"
	asked := 0
	hss := startHSS(t, shtest.Options{Answer: func(h *shtest.HSS, p *diametertest.Peer, r shtest.Request) *diam.Message {
		if r.Command != shtest.UserData {
			return h.Answer(p, r)
		}
		if asked++; asked > 1 {
			return h.Data(r, shtest.Document(next))
		}
		p.Start(h.Notification(p.Remote, r.PublicIdentity, shtest.Document(next)), func(diametertest.Message, error) {})
		return h.Data(r, shtest.Document(number))
	}})
	var told changes
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.Subscribe, cfg.Changed = sh.MSISDN, told.told
	client := start(t, cfg)
	if got, err := client.Resolve(t.Context(), theIMSI); err != nil || got != mustMSISDN(next) {
		t.Fatalf("%v, %v", got, err)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestWithoutASubscriptionTheNumberIsKnownAllTheSame(t *testing.T) {
	hss := startHSS(t, shtest.Options{Answer: func(h *shtest.HSS, p *diametertest.Peer, r shtest.Request) *diam.Message {
		if r.Command == shtest.Subscribe {
			return h.Fail(r, diametertest.Vendor3GPP, shtest.OperationNotAllowed)
		}
		return h.Answer(p, r)
	}})
	hss.Set(theIMSI.String(), number)
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.Subscribe, cfg.Changed = sh.IMSPublicIdentity, func(sh.Change) {}
	client := start(t, cfg)
	resolve(t, client)
	if n := metricOf(t, client, "subscriptions_total", "refused"); n != 1 {
		t.Errorf("%v counted as refused", n)
	}
}

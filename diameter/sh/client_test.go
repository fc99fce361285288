package sh_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/diameter/sh"
	"github.com/simbind/simbind/diameter/sh/shtest"
	"github.com/simbind/simbind/directory"
)

func TestTheNumberOfASIMIsAskedOfAnHSS(t *testing.T) {
	const realm = "ims.mnc001.mcc001.3gppnetwork.org"
	for _, c := range []struct {
		claim                string
		form                 sh.Form
		userName, identities string
	}{
		{"as the temporary public identity", sh.FormPublic, "001010000000001@" + realm, "sip:001010000000001@" + realm},
		{"as the private identity alone", sh.FormPrivate, "001010000000001@" + realm, ""},
		{"as the IMSI itself", sh.FormIMSI, "001010000000001", ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			hss := startHSS(t, shtest.Options{})
			hss.Set(theIMSI.String(), number)
			cfg := testConfig(serverOf(hss, "hss.test", 0))
			cfg.Identity = c.form
			got, err := start(t, cfg).Resolve(t.Context(), theIMSI)
			if err != nil || got != mustMSISDN(number) {
				t.Fatalf("%v, %v", got, err)
			}
			request := hss.Requests()[0]
			if request.Command != shtest.UserData || request.DataReference != 17 || request.UserName != c.userName || request.PublicIdentity != c.identities {
				t.Fatalf("%+v", request)
			}
		})
	}
}

func TestAnMNCOfThreeDigitsIsNamedAsItIs(t *testing.T) {
	hss := startHSS(t, shtest.Options{})
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.MNCDigits = 3
	start(t, cfg).Resolve(t.Context(), mustIMSI("310410000000001"))
	if got, want := hss.Requests()[0].UserName, "310410000000001@ims.mnc410.mcc310.3gppnetwork.org"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestWhatAnHSSAnswers(t *testing.T) {
	data := func(document string) func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message {
		return func(h *shtest.HSS, _ *diametertest.Peer, r shtest.Request) *diam.Message { return h.Data(r, document) }
	}
	fail := func(vendor, code uint32) func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message {
		return func(h *shtest.HSS, _ *diametertest.Peer, r shtest.Request) *diam.Message {
			return h.Fail(r, vendor, code)
		}
	}
	const vendor = diametertest.Vendor3GPP
	for _, c := range []struct {
		claim   string
		answer  func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message
		want    string // the number
		unknown bool   // or ErrUnknown, else another error
		counted string
	}{
		{"a number with plus is the same", data(shtest.Document("+" + number)), number, false, "number"},
		{"the same number twice is one", data(shtest.Document(number, "+"+number)), number, false, "number"},
		{"two numbers are none", data(shtest.Document(number, "491700000002")), "", true, "several-numbers"},
		{"three numbers of which two are the same are none", data(shtest.Document(number, "491700000002", number)), "", true, "several-numbers"},
		{"no number is none", data(shtest.Document()), "", true, "no-number"},
		{"no data is no number", data(""), "", true, "no-number"},
		{"a number of letters is malformed", data(shtest.Document("4917O0000001")), "", false, "malformed"},
		{"a national number is malformed", data(shtest.Document("0170000001")), "", false, "malformed"},
		{"user unknown is known for sure", fail(vendor, shtest.UserUnknown), "", true, "unknown-user"},
		{"Result-Code 5001 is not user unknown", fail(0, 5001), "", false, "refused"},
		{"5001 of another vendor is not user unknown", fail(4711, 5001), "", false, "refused"},
		{"user data not available may be there later", fail(vendor, shtest.UserDataUnavailable), "", false, "refused"},
		{"operation not allowed says nothing of the user", fail(vendor, shtest.OperationNotAllowed), "", false, "refused"},
		{"another IMSI in the data is malformed", data(`<Sh-Data><PublicIdentifiers><MSISDN>` + number +
			`</MSISDN></PublicIdentifiers><Extension><Extension><IMSI>001010000000002</IMSI></Extension></Extension></Sh-Data>`), "", false, "malformed"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			hss := startHSS(t, shtest.Options{Answer: c.answer})
			client := start(t, testConfig(serverOf(hss, "hss.test", 0)))
			got, err := client.Resolve(t.Context(), theIMSI)
			var want binding.MSISDN
			if c.want != "" {
				want = mustMSISDN(c.want)
			}
			if got != want || (err == nil) != (c.want != "") || errors.Is(err, directory.ErrUnknown) != c.unknown {
				t.Fatalf("%v, %v", got, err)
			}
			if n := metricOf(t, client, "requests_total", c.counted); n != 1 {
				t.Errorf("%v counted as %s", n, c.counted)
			}
		})
	}
}

func TestAnAnswerThatFitsNoRequestIsDropped(t *testing.T) {
	hss := startHSS(t, shtest.Options{Answer: func(h *shtest.HSS, p *diametertest.Peer, r shtest.Request) *diam.Message {
		wrong := func(change func(*diam.Message)) {
			m := h.Data(r, shtest.Document("491799999999"))
			change(m)
			p.Send(m)
		}
		wrong(func(m *diam.Message) { m.Header.HopByHopID++ })
		wrong(func(m *diam.Message) { m.Header.EndToEndID++ })
		wrong(func(m *diam.Message) { m.Header.CommandCode = 307 })
		wrong(func(m *diam.Message) { m.Header.ApplicationID = diametertest.Gx })
		wrong(func(m *diam.Message) { m.AVP = m.AVP[1:] }) // no Session-Id
		wrong(func(m *diam.Message) { m.AVP[0].Data = h.Data(r, "").AVP[2].Data })
		return h.Data(r, shtest.Document(number))
	}})
	client := start(t, testConfig(serverOf(hss, "hss.test", 0)))
	got, err := client.Resolve(t.Context(), theIMSI)
	if err != nil || got != mustMSISDN(number) {
		t.Fatalf("%v, %v", got, err)
	}
	if n := metricOf(t, client, "unexpected_answers_total", ""); n != 6 {
		t.Fatalf("%v answers counted as unexpected, want 6", n)
	}
}

func TestAnAnswerThatIsLateIsAnError(t *testing.T) {
	hss := startHSS(t, shtest.Options{Answer: func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message { return nil }})
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.Timeout, cfg.InFlight = 50*time.Millisecond, 1
	client := start(t, cfg)
	if _, err := client.Resolve(t.Context(), theIMSI); !errors.Is(err, diameter.ErrNoAnswer) || errors.Is(err, directory.ErrUnknown) {
		t.Fatal(err)
	}
	// Its place is free again.
	if _, err := client.Resolve(t.Context(), theIMSI); !errors.Is(err, diameter.ErrNoAnswer) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Resolve(ctx, theIMSI); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestRequestsThatWaitAreBounded(t *testing.T) {
	asked := make(chan struct{}, 1)
	hss := startHSS(t, shtest.Options{Answer: func(*shtest.HSS, *diametertest.Peer, shtest.Request) *diam.Message {
		asked <- struct{}{}
		return nil
	}})
	cfg := testConfig(serverOf(hss, "hss.test", 0))
	cfg.InFlight = 1
	client := start(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Resolve(ctx, theIMSI)
		ended <- err
	}()
	<-asked
	if _, err := client.Resolve(t.Context(), mustIMSI("001010000000002")); !errors.Is(err, binding.ErrBusy) {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestWithoutAServerItIsUnreachable(t *testing.T) {
	client := sh.New(testConfig(diameter.Upstream{Address: "127.0.0.1:1", Host: "hss.test"}), discard())
	if _, err := client.Resolve(t.Context(), theIMSI); !errors.Is(err, diameter.ErrUnreachable) {
		t.Fatal(err)
	}
	if _, err := client.Resolve(t.Context(), 0); !errors.Is(err, directory.ErrUnknown) {
		t.Fatal(err)
	}
}

package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/simbind/simbind/numverify/consumer"
)

// start begins a flow: on this phone, or on a desktop with a phone beside it.
func (a *App) start(w http.ResponseWriter, r *http.Request) {
	number, share := strings.Join(strings.Fields(r.PostFormValue("number")), ""), r.PostFormValue("want") == "share"
	if share {
		number = ""
	} else if !e164.MatchString(number) {
		a.fail(w, http.StatusBadRequest, errors.New("a number is written with + and country code, like +44 7700 900001"))
		return
	}
	desktop := r.PostFormValue("on") == "desktop"
	f, err := a.flows.begin(number, browserOf(r), desktop)
	if err != nil {
		a.fail(w, http.StatusServiceUnavailable, err)
		return
	}
	a.setCookie(w, browserCookie, f.id)
	if desktop {
		http.Redirect(w, r, "/desktop", http.StatusSeeOther)
		return
	}
	a.setCookie(w, phoneCookie, f.id)
	a.sendToOperator(w, r, f)
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

func (a *App) sendToOperator(w http.ResponseWriter, r *http.Request, f *flow) {
	scope := consumer.ScopeVerify
	if f.number == "" {
		scope = consumer.ScopeShare
	}
	attempt, err := a.cfg.Operator.Start(r.Context(), scope)
	if err != nil {
		a.log.Warn("the operator cannot be reached", "err", err)
		o := outcome{Title: "Not verified", Text: "Your operator cannot be reached. Try again later."}
		a.flows.finish(f, o)
		a.show(w, http.StatusBadGateway, "result.html", map[string]any{"Outcome": o})
		return
	}
	a.flows.send(f, attempt)
	http.Redirect(w, r, attempt.URL, http.StatusSeeOther)
}

// phone is the page of the link in the QR code: who asks, from where, and the
// code to compare. Nothing happens until the person goes on.
func (a *App) phone(w http.ResponseWriter, r *http.Request) {
	f, err := a.flows.open(r.PathValue("link"))
	if err != nil {
		a.fail(w, http.StatusGone, err)
		return
	}
	a.show(w, http.StatusOK, "phone.html", map[string]any{"Code": f.code, "Browser": f.browser, "Link": r.URL.Path, "Share": f.number == ""})
}

// goOn uses the link up and sends the phone to the operator.
func (a *App) goOn(w http.ResponseWriter, r *http.Request) {
	f, phone, err := a.flows.take(r.PathValue("link"))
	if err != nil {
		a.fail(w, http.StatusGone, err)
		return
	}
	a.setCookie(w, phoneCookie, phone)
	a.sendToOperator(w, r, f)
}

// callback is where the operator sends the browser back to.
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	back := r.URL.Query()
	f, attempt, err := a.flows.back(back.Get("state"), a.cookie(r, phoneCookie))
	if err != nil {
		a.fail(w, http.StatusBadRequest, err)
		return
	}
	grant, err := a.cfg.Operator.Finish(r.Context(), attempt, back)
	var o outcome
	if err == nil {
		o, err = a.ask(r.Context(), f, grant)
	}
	if err != nil {
		a.log.Info("not verified", "err", err)
		o = outcome{Title: "Not verified", Text: reason(err)}
	}
	a.flows.finish(f, o)
	a.show(w, http.StatusOK, "result.html", map[string]any{"Outcome": o, "Elsewhere": f.link != ""})
}

func (a *App) ask(ctx context.Context, f *flow, g consumer.Grant) (outcome, error) {
	if f.number == "" {
		number, err := a.cfg.Operator.PhoneNumber(ctx, g)
		if err != nil {
			return outcome{}, err
		}
		return outcome{OK: true, Title: "Your number is " + number, Text: "Your operator named it. No text message was sent.", Number: number}, nil
	}
	yes, err := a.cfg.Operator.Verify(ctx, g, f.number)
	switch {
	case err != nil:
		return outcome{}, err
	case yes:
		return outcome{OK: true, Verified: true, Title: "Verified", Text: f.number + " is the number of this phone. No text message was sent."}, nil
	default:
		return outcome{Title: "Another number", Text: f.number + " is not the number of this phone."}, nil
	}
}

// reason is a refusal in words for the person who holds the phone.
func reason(err error) string {
	var refused *consumer.AuthError
	var api *consumer.APIError
	switch {
	case errors.As(err, &refused) && refused.Code == "access_denied":
		return "Your operator does not recognise this connection. Turn Wi-Fi and VPN off, use mobile data, and try again."
	case errors.As(err, &refused) && refused.Code == "consent_required":
		return "Your operator needs your consent first. Give it in your operator's own app or shop."
	case errors.As(err, &refused) && refused.Code == "temporarily_unavailable":
		return "Your operator cannot say at this moment. Try again in a minute."
	case errors.As(err, &api):
		return fmt.Sprintf("Your operator refused (%s).", api.Code)
	default:
		return "Your operator did not answer as expected."
	}
}

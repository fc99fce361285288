package sampleapp

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// desktop shows the QR code of the flow that this browser began, or its result.
func (a *App) desktop(w http.ResponseWriter, r *http.Request) {
	f, ok := a.flows.of(a.cookie(r, browserCookie))
	switch {
	case !ok || f.link == "":
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	case f.phase == done:
		a.show(w, http.StatusOK, "result.html", map[string]any{"Outcome": f.outcome})
		return
	case f.phase == expired:
		a.fail(w, http.StatusGone, errGone)
		return
	}
	link := a.cfg.Base + "/p/" + f.link
	code, err := qrSVG(link, "QR code: scan it with your phone")
	if err != nil {
		a.fail(w, http.StatusInternalServerError, err)
		return
	}
	a.show(w, http.StatusOK, "desktop.html", map[string]any{
		"QR": code, "Link": link, "Code": f.code, "Phase": string(f.phase), "Left": int(f.expires.Sub(a.cfg.Now()).Seconds()),
	})
}

// beat keeps proxies from closing a silent stream.
const beat = 15 * time.Second

// events tells the desktop's page how far the phone has come, until the flow's
// end.
func (a *App) events(w http.ResponseWriter, r *http.Request) {
	f, ok := a.flows.of(a.cookie(r, browserCookie))
	if !ok {
		http.Error(w, "no verification was started in this browser", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	alive := time.NewTicker(beat)
	defer alive.Stop()
	end := time.NewTimer(f.expires.Sub(a.cfg.Now()))
	defer end.Stop()
	for {
		fmt.Fprintf(w, "event: phase\ndata: %s\n\n", f.phase)
		if out.Flush() != nil || f.phase == done || f.phase == expired {
			return
		}
		select {
		case <-f.changed:
		case <-end.C:
		case <-alive.C:
		case <-r.Context().Done():
			return
		}
		if f, ok = a.flows.of(f.id); !ok {
			return
		}
	}
}

// browserOf tells the person on the phone which browser asks. Address and
// User-Agent are what that browser says; the page shows them as such.
func browserOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	agent := r.UserAgent()
	name, system := "A browser", ""
	for _, b := range []string{"Edg", "OPR", "Firefox", "Chrome", "Safari"} {
		if strings.Contains(agent, b+"/") {
			name = strings.NewReplacer("Edg", "Edge", "OPR", "Opera").Replace(b)
			break
		}
	}
	for _, s := range []string{"Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux"} {
		if strings.Contains(agent, s) {
			system = " on " + strings.NewReplacer("Macintosh", "macOS", "CrOS", "ChromeOS").Replace(s)
			break
		}
	}
	return name + system + " at " + host
}

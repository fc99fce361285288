package numverify_test

import (
	"context"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bytes"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/simbind/simbind/numverify"
	"github.com/simbind/simbind/numverify/consumer"
	"github.com/simbind/simbind/numverify/sampleapp"
)

const phoneAgent = "Mozilla/5.0 (Linux; Android 15; Phone) AppleWebKit/537.36 Chrome/156.0.0.0 Mobile Safari/537.36"

// needChromium skips, or fails where nothing may be missing.
func needChromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err == nil {
		return path
	}
	if os.Getenv("SIMBIND_CI") != "" {
		t.Fatal("chromium is not installed (Debian: chromium)")
	}
	t.Skip("chromium is not installed (Debian: chromium)")
	return ""
}

// A tab is one browser with a profile of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context
	name string
}

func openTab(t *testing.T, chromium, name string, flags ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t, ctx, name}
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as this context
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// patience bounds what a page may take on a busy machine.
const patience = time.Minute

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	see(b, chromedp.Steps(actions...))
}

// see runs an action for its value.
func see[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
	return v
}

// heading waits for the page's heading to be this.
func (b *tab) heading(want string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(`//h1[contains(., "` + want + `")]`))
}

// picture keeps a screenshot as an artefact of the test.
func (b *tab) picture(name string) []byte {
	b.t.Helper()
	shot := see(b, chromedp.FullScreenshot(100))
	file := filepath.Join(b.t.ArtifactDir(), b.name+"-"+name+".png")
	if err := os.WriteFile(file, shot, 0o644); err != nil {
		b.t.Fatal(err)
	}
	return shot
}

// balancerFor stands before the service: it takes phones for the device at one
// address, and everything else for a stranger.
func balancerFor(t *testing.T) (handler *httputil.ReverseProxy, base string) {
	proxy := &httputil.ReverseProxy{}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return proxy, server.URL
}

func newSite(t *testing.T) (w *world, base string) {
	t.Helper()
	proxy, issuer := balancerFor(t)
	app := httptest.NewUnstartedServer(nil)
	base = "http://" + app.Listener.Addr().String()
	w = newWorld(t, func(c *numverify.Config) { c.Issuer = issuer })
	w.write("clients.json", map[string]any{"clients": []any{clientJSON(t, "app", w.key, map[string]any{"redirect_uris": []string{base + "/callback"}})}})
	w.service.Reload()
	back, err := url.Parse(w.address())
	if err != nil {
		t.Fatal(err)
	}
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		r.SetURL(back)
		from := stranger
		if strings.Contains(r.In.UserAgent(), "Mobile") {
			from = phone
		}
		r.Out.Header.Set("Forwarded", `for="`+from+`:40000"`)
	}
	handler, err := sampleapp.New(sampleapp.Config{
		Name: "Example Bank", Base: base, Issuer: issuer,
		Operator: consumer.New(consumer.Config{
			Issuer: issuer, ClientID: "app", RedirectURL: base + "/callback", Key: w.key, Purpose: purpose,
			HTTP: &http.Client{Timeout: 30 * time.Second},
		}),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	app.Config.Handler = handler
	app.Start()
	t.Cleanup(app.CloseClientConnections) // of event streams
	t.Cleanup(app.Close)
	return w, base
}

// TestABrowserClicksThroughTheSampleApp drives the app in real browsers: on the
// phone itself, and on a desktop whose QR code is read off the screen by a
// decoder of others and opened on the phone, which has no JavaScript.
func TestABrowserClicksThroughTheSampleApp(t *testing.T) {
	chromium := needChromium(t)
	_, base := newSite(t)
	mobile := openTab(t, chromium, "phone", chromedp.UserAgent(phoneAgent), chromedp.WindowSize(412, 915))
	mobile.run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
	verifyOn := func(b *tab, number, button string) {
		b.run(chromedp.Navigate(base+"/"), chromedp.SendKeys("#number", number), chromedp.Click(`//button[contains(., "`+button+`")]`))
	}
	verifyOn(mobile, "+44 7700 900001", "Verify on this phone")
	mobile.heading("Verified")
	mobile.picture("verified")
	verifyOn(mobile, "+44 7700 900002", "Verify on this phone")
	mobile.heading("Another number")
	mobile.run(chromedp.Navigate(base+"/"), chromedp.Click(`//button[contains(., "Use this phone")]`))
	mobile.heading("Your number is " + number)

	desktop := openTab(t, chromium, "desktop", chromedp.WindowSize(1280, 1000))
	verifyOn(desktop, number, "Verify on this phone")
	desktop.heading("Not verified") // its own connection proves nothing
	verifyOn(desktop, number, "I am at a computer")
	desktop.heading("Scan this")
	link := readScreen(t, desktop.picture("qr"))
	code := see(desktop, chromedp.Text("#code"))
	mobile.run(chromedp.Navigate(link))
	shown := see(mobile, chromedp.Text(".code"))
	mobile.picture("question")
	if code == "" || code != strings.TrimSpace(shown) {
		t.Errorf("the desktop shows %q, the phone %q", code, shown)
	}
	desktop.run(chromedp.WaitVisible(`//p[@id="phase" and @data-phase="opened"]`))
	mobile.run(chromedp.Click("button"))
	mobile.heading("Verified")
	mobile.picture("result")
	desktop.heading("Verified")
	desktop.picture("result")
}

// readScreen is the text of the QR code on a screenshot.
func readScreen(t *testing.T, shot []byte) string {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Fatalf("no QR code on the screen: %v", err)
	}
	return result.GetText()
}

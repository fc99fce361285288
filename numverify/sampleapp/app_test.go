package sampleapp

import (
	"bufio"
	"context"
	"image"
	"image/color"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/simbind/simbind/numverify/consumer"
	"github.com/simbind/simbind/numverify/consumer/operatortest"
)

const number = "+447700900001"

// A world is the app, its operator and a clock.
type world struct {
	t        *testing.T
	base     string
	operator *operatortest.Operator
	ahead    *atomic.Int64 // of the clock
}

func newWorld(t *testing.T) *world {
	key := operatortest.NewKey(t, "app")
	w := &world{t: t, operator: operatortest.Start(t, number, key), ahead: new(atomic.Int64)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.base = "http://" + ln.Addr().String()
	app, err := New(Config{
		Name: "Example Bank", Base: w.base, Issuer: w.operator.URL,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Operator: consumer.New(consumer.Config{
			Issuer: w.operator.URL, ClientID: "bank", RedirectURL: w.base + "/callback", Key: key, Purpose: "dpv:FraudPreventionAndDetection",
		}),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return w
}

// A browser keeps cookies and follows redirects.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

func (b *browser) page(r *http.Response, err error) (int, string) {
	b.w.t.Helper()
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func (b *browser) get(path string) (int, string) {
	b.w.t.Helper()
	return b.page(b.http.Get(b.w.base + path))
}

func (b *browser) post(path string, form url.Values) (int, string) {
	b.w.t.Helper()
	return b.page(b.http.PostForm(b.w.base+path, form))
}

var linkInPage = regexp.MustCompile(`http://[^<]*/p/([A-Z2-7]+)`)

// onDesktop begins a flow and returns the path of its link and its code.
func (b *browser) onDesktop(form url.Values) (link, code string) {
	b.w.t.Helper()
	form.Set("on", "desktop")
	status, page := b.post("/start", form)
	found := linkInPage.FindStringSubmatch(page)
	shown := regexp.MustCompile(`<strong id="code">(\d{4})`).FindStringSubmatch(page)
	if status != 200 || found == nil || shown == nil {
		b.w.t.Fatalf("%d, no link and code in %s", status, page)
	}
	return "/p/" + found[1], shown[1]
}

func want(t *testing.T, what string, status int, page string, wantStatus int, texts ...string) {
	t.Helper()
	if status != wantStatus {
		t.Errorf("%s: status %d, want %d", what, status, wantStatus)
	}
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("%s: no %q in %s", what, text, page)
		}
	}
}

func TestOnThePhoneItself(t *testing.T) {
	w := newWorld(t)
	status, page := w.browser().post("/start", url.Values{"number": {"+44 7700 900001"}, "on": {"phone"}})
	want(t, "its number", status, page, 200, "Verified")
	status, page = w.browser().post("/start", url.Values{"number": {"+447700900002"}, "on": {"phone"}})
	want(t, "another number", status, page, 200, "Another number")
	status, page = w.browser().post("/start", url.Values{"want": {"share"}, "on": {"phone"}})
	want(t, "asked for its number", status, page, 200, "Your number is &#43;447700900001")
	status, page = w.browser().post("/start", url.Values{"number": {"07700900001"}, "on": {"phone"}})
	want(t, "a number without country code", status, page, 400, "country code")
}

func TestRefusalsTellThePersonWhatToDo(t *testing.T) {
	w := newWorld(t)
	for code, text := range map[string]string{
		"access_denied": "use mobile data", "consent_required": "consent", "temporarily_unavailable": "in a minute",
	} {
		w.operator.Refuse(code)
		status, page := w.browser().post("/start", url.Values{"number": {number}, "on": {"phone"}})
		want(t, code, status, page, 200, "Not verified", text)
	}
}

func TestADesktopIsCompletedByAPhone(t *testing.T) {
	w := newWorld(t)
	desktop, phone := w.browser(), w.browser()
	link, code := desktop.onDesktop(url.Values{"number": {number}})
	phases := desktop.follow()
	phases.want("waiting")
	status, page := phone.get(link)
	want(t, "the phone's page", status, page, 200, "Example Bank", code, `method="post"`)
	if strings.Contains(page, "<script") {
		t.Error("the phone's page has a script")
	}
	phases.want("opened")
	status, page = phone.post(link, nil)
	want(t, "the phone's result", status, page, 200, "Verified", "back to your computer")
	phases.want("verifying")
	phases.want("done")
	status, page = desktop.get("/desktop")
	want(t, "the desktop's result", status, page, 200, "Verified")
}

func TestALinkIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	link, _ := w.browser().onDesktop(url.Values{"number": {number}})
	if status, _ := w.browser().get(link); status != 200 { // a preview uses nothing up
		t.Fatal(status)
	}
	if status, page := w.browser().post(link, nil); status != 200 || !strings.Contains(page, "Verified") {
		t.Fatal(status, page)
	}
	status, page := w.browser().post(link, nil)
	want(t, "a second phone that goes on", status, page, 410, "used or is too old")
	status, page = w.browser().get(link)
	want(t, "a second phone that looks", status, page, 410, "used or is too old")
}

func TestALinkIsGoodForTwoMinutes(t *testing.T) {
	w := newWorld(t)
	desktop := w.browser()
	link, _ := desktop.onDesktop(url.Values{"number": {number}})
	w.ahead.Store(int64(flowLife))
	for _, ask := range []func() (int, string){
		func() (int, string) { return w.browser().get(link) },
		func() (int, string) { return w.browser().post(link, nil) },
		func() (int, string) { return desktop.get("/desktop") },
	} {
		status, page := ask()
		want(t, "an old link", status, page, 410, "too old")
	}
}

func TestOnlyTheBrowserThatWasSentMayComeBack(t *testing.T) {
	w := newWorld(t)
	phone := w.browser()
	link, _ := w.browser().onDesktop(url.Values{"number": {number}})
	var callback string
	phone.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			callback = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	phone.post(link, nil)
	if callback == "" {
		t.Fatal("the operator sent nobody back")
	}
	for range 2 {
		status, page := w.browser().get(callback)
		want(t, "another browser comes back", status, page, 400, "did not start")
	}
	status, page := phone.get(callback)
	want(t, "the phone comes back", status, page, 200, "Verified")
	status, page = phone.get(callback)
	want(t, "the phone comes back again", status, page, 400, "did not start")
}

func TestADesktopSeesNobodyElsesFlow(t *testing.T) {
	w := newWorld(t)
	w.browser().onDesktop(url.Values{"number": {number}})
	stranger := w.browser()
	if status, _ := stranger.get("/desktop/events"); status != 404 {
		t.Errorf("a stranger may follow: %d", status)
	}
	if _, page := stranger.get("/desktop"); linkInPage.MatchString(page) {
		t.Error("a stranger sees a link")
	}
}

func TestOtherSitesCannotPost(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequest(http.MethodPost, w.base+"/start", strings.NewReader("want=share&on=phone"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	status, _ := w.browser().page(http.DefaultClient.Do(r))
	if status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", status)
	}
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	desktop := w.browser()
	link, _ := desktop.onDesktop(url.Values{"number": {number}})
	external := regexp.MustCompile(`(src|href|action)="(?:[a-z]+:)?//`)
	for _, path := range []string{"/", "/desktop", link} {
		if _, page := desktop.get(path); external.MatchString(page) {
			t.Errorf("%s: %s", path, external.FindString(page))
		}
	}
	r, err := desktop.http.Get(w.base + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}

// TestQRCodeIsReadByAnotherImplementation draws the SVG's path and has a
// decoder of others read it.
func TestQRCodeIsReadByAnotherImplementation(t *testing.T) {
	const text = "https://app.example/p/ABCDEFGHIJKLMNOPQRSTUVWX23"
	svg, err := qrSVG(text, `a "label"`)
	if err != nil {
		t.Fatal(err)
	}
	if got := readQR(t, string(svg)); got != text {
		t.Errorf("read %q", got)
	}
	if !strings.Contains(string(svg), `aria-label="a &#34;label&#34;"`) {
		t.Error("the label is not escaped")
	}
}

func readQR(t *testing.T, svg string) string {
	t.Helper()
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, 80*scale, 80*scale))
	for i := range img.Pix {
		img.Pix[i] = 0xFF
	}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`).FindAllStringSubmatch(svg, -1) {
		x, y := atoi(t, m[1]), atoi(t, m[2])
		for dx := range scale {
			for dy := range scale {
				img.SetGray(x*scale+dx, y*scale+dy, color.Gray{})
			}
		}
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result.GetText()
}

func atoi(t *testing.T, s string) (n int) {
	for _, d := range s {
		n = 10*n + int(d-'0')
	}
	return n
}

// A followed stream of events.
type phases struct {
	t    *testing.T
	list chan string
}

func (b *browser) follow() *phases {
	b.w.t.Helper()
	r, err := b.http.Get(b.w.base + "/desktop/events")
	if err != nil {
		b.w.t.Fatal(err)
	}
	p := &phases{b.w.t, make(chan string, 10)}
	go func() {
		defer r.Body.Close()
		defer close(p.list)
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				p.list <- data
			}
		}
	}()
	return p
}

// want skips phases that were passed in between.
func (p *phases) want(phase string) {
	p.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case got, ok := <-p.list:
			if got == phase {
				return
			}
			if !ok || got == string(done) {
				if phase == string(verifying) {
					p.list = make(chan string, 1)
					p.list <- got
					return // it was too quick to be seen
				}
				p.t.Fatalf("the events ended with %q before %q", got, phase)
			}
		case <-deadline:
			p.t.Fatalf("no %q", phase)
		}
	}
}

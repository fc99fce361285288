package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/binding/worldtest"
	"github.com/simbind/simbind/cmd/simbindd/config"
	"github.com/simbind/simbind/diameter/diametertest"
)

// A sharedClock is a clock in a file that a test sets and a daemon reads, also
// one of another process.
type sharedClock struct{ unixMilli *atomic.Int64 }

func openClock(path string) (sharedClock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return sharedClock{}, err
	}
	defer f.Close()
	if err := f.Truncate(8); err != nil {
		return sharedClock{}, err
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return sharedClock{}, err
	}
	return sharedClock{(*atomic.Int64)(unsafe.Pointer(&page[0]))}, nil
}

func (c sharedClock) now() time.Time    { return time.UnixMilli(c.unixMilli.Load()) }
func (c sharedClock) set(now time.Time) { c.unixMilli.Store(now.UnixMilli()) }

// close takes the clock's page back, when no daemon reads it any more.
func (c sharedClock) close() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(c.unixMilli)), 8))
}

// withClock runs the daemon of a configuration by another clock.
func withClock(ctx context.Context, file string, c sharedClock, log *logbook) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	cfg.Registry.Now, cfg.Registry.Learn, cfg.Registry.Sweep = c.now, true, sweepOften
	cfg.RADIUS.Now, cfg.Diameter.Now = c.now, c.now
	out := os.Stderr
	logs := newLogs(out, cfg.Log)
	if log != nil {
		logs = newLogs(log, cfg.Log)
	}
	return run(ctx, life{file: file, cfg: cfg, logs: logs, notify: func(string) {}})
}

// asClocked in the environment makes the test binary the daemon of the
// configuration that it names, by the clock beside it.
const asClocked = "SIMBINDD_TEST_CLOCKED"

func clockedMain(file string) {
	go func() {
		io.Copy(io.Discard, os.Stdin) // whoever started it is gone
		os.Exit(exitFailed)
	}()
	c, err := openClock(filepath.Join(filepath.Dir(file), "clock"))
	if err == nil {
		err = withClock(context.Background(), file, c, nil)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(exitFailed)
}

// A wired subject hears words as RADIUS and Gx messages from the addresses of
// their speakers, and is asked over its Unix socket. It is a whole daemon by
// the world's clock, in this process or in one of its own.
type wired struct {
	t     testing.TB
	setup worldtest.Setup
	manner
	home    home
	clock   sharedClock
	d       *daemon
	cmd     *exec.Cmd // of a process of its own
	stdin   io.Closer // it ends with it
	client  *query.Client
	refused uint64 // sessions, so far
	swept   time.Time

	owners map[string]int // number of each owner of a speaker
	nas    map[speakerWay]*nasLine
	pgw    map[speakerWay]*pgwLine
	keeper *pgwLine           // nil unless it was needed
	pcrf   *diametertest.PCRF // of a relay
}

// A speakerWay is a node as one source and owner know it, and a way to us.
type speakerWay struct {
	owner, node string
	way         int
}

// A manner is how a wired subject runs.
type manner struct {
	process bool // in a process of its own, which SIGKILL ends
	relay   bool // Gx goes on to a PCRF
	radsec  bool // the client "nas-0" has a certificate and speaks RadSec
}

// newWired makes subjects.
func newWired(t testing.TB, m manner) worldtest.Factory {
	return func(s worldtest.Setup) worldtest.Subject {
		w := &wired{
			t: t, setup: s, manner: m, owners: map[string]int{},
			nas: map[speakerWay]*nasLine{}, pgw: map[speakerWay]*pgwLine{},
		}
		shm := "/dev/shm" // where syncing costs nothing
		if info, err := os.Stat(shm); err != nil || !info.IsDir() {
			shm = ""
		}
		dir, err := os.MkdirTemp(shm, "sb")
		w.must(err)
		w.home = home{dir: dir, file: filepath.Join(dir, "simbindd.yaml")}
		for _, v := range s.Speakers {
			key := v.Source.String() + " " + v.Owner
			if _, known := w.owners[key]; !known {
				w.owners[key] = len(w.owners)
			}
		}
		if m.relay {
			w.pcrf, err = diametertest.ListenPCRF("127.0.0.1:0", diametertest.PCRFOptions{})
			w.must(err)
		}
		w.must(os.WriteFile(w.home.file, []byte(w.yaml()), 0o600))
		w.clock, err = openClock(filepath.Join(dir, "clock"))
		w.must(err)
		w.clock.set(s.Start)
		w.launch()
		return w
	}
}

func (w *wired) must(err error) {
	w.t.Helper()
	if err != nil {
		if w.d != nil {
			w.t.Logf("the daemon's log:\n%s", w.d.log)
			w.d.quit()
		}
		if w.stdin != nil {
			w.stdin.Close()
		}
		os.RemoveAll(w.home.dir)
		w.t.Fatal(err)
	}
}

// address is where a way of an owner comes from.
func (w *wired) address(source binding.Source, owner string, way int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, byte(10 + w.owners[source.String()+" "+owner]), byte(1 + way)})
}

// keeper is a client without sessions.
var keeper = netip.AddrFrom4([4]byte{127, 0, 9, 9})

func secretOf(from netip.Addr) []byte { return []byte("secret of " + from.String()) }

// radsecClient is the client that speaks RadSec, by name and certificate.
const radsecClient = "nas-0"

// yaml is the configuration that the setup asks for.
func (w *wired) yaml() string {
	var b strings.Builder
	capacity := min(w.setup.Capacity, sweptRoom)
	fmt.Fprintf(&b, "site: test\ndata_dir: %s/data\ncapacity: %d\naddresses: %d\nlease: %v\n",
		w.home.dir, capacity, 2*capacity, w.setup.Lease)
	fmt.Fprintf(&b, "query: {socket: %s, priority: normal}\nnats: {url: \"nats://127.0.0.1:1\"}\n", w.home.socket())
	b.WriteString("log: {level: info, format: json}\nprivacy: {publish_msisdn: clear}\ndomains:\n")
	for _, d := range w.setup.Domains {
		var pools []string
		for _, p := range d.Pools {
			pools = append(pools, fmt.Sprintf("%q", p))
		}
		fmt.Fprintf(&b, "- {name: %s, apns: [%s], pools: [%s]}\n", d.Name, strings.Join(d.APNs, ", "), strings.Join(pools, ", "))
	}
	b.WriteString("radius:\n  listen: [\"127.0.0.1:0\"]\n  clients:\n")
	client := func(name, group string, from netip.Addr) {
		certificate := ""
		if name == radsecClient && w.radsec {
			certificate = radsecClient
		}
		fmt.Fprintf(&b, "  - {name: %q, group: %q, prefix: %v/32, secret: %q, certificate: %q}\n",
			name, group, from, secretOf(from), certificate)
	}
	client("keeper", "", keeper)
	var peers strings.Builder
	clients := map[string]bool{}
	for _, v := range w.setup.Speakers {
		for way := range v.Ways {
			from := w.address(v.Source, v.Owner, way)
			if v.Source == binding.SourceGx {
				host, group := gxHost(v, way)
				fmt.Fprintf(&peers, "  - {host: %q, group: %q, addresses: [\"%v/32\"]}\n", host, group, from)
				continue
			}
			name, group := v.Owner, ""
			if v.Ways > 1 {
				name, group = fmt.Sprintf("%s-%d", v.Owner, way), v.Owner
			}
			if !clients[name] {
				client(name, group, from)
			}
			clients[name] = true
		}
	}
	if w.radsec {
		certify(w.t, w.home.dir, radsecClient)
		fmt.Fprintf(&b, "  radsec: {listen: [\"127.0.0.1:0\"], cert_file: %[1]s/cert.pem, key_file: %[1]s/key.pem, ca_file: %[1]s/cert.pem}\n",
			w.home.dir)
	}
	b.WriteString("diameter:\n  listen: [\"127.0.0.1:0\"]\n  origin_host: simbind.lab\n  origin_realm: lab\n")
	fmt.Fprintf(&peers, "  - {host: keeper, addresses: [\"%v/32\"]}\n", keeper)
	b.WriteString("  peers:\n" + peers.String())
	if w.relay {
		fmt.Fprintf(&b, "  mode: relay\n  upstreams: [{address: %q, host: pcrf.test}]\n", w.pcrf.Addr())
	}
	return b.String()
}

// gxHost is who connects for a speaker, and of what group: the node itself, or
// an agent that stands in front of it alone.
func gxHost(v worldtest.Speaker, way int) (host, group string) {
	if !v.Agent {
		return v.Node, ""
	}
	return fmt.Sprintf("%s-%d.%s", v.Owner, way, v.Node), v.Owner
}

// launch starts the daemon on the data that there is and waits until it is
// ready.
func (w *wired) launch() {
	ctx, cancel := context.WithCancel(context.Background())
	d := &daemon{home: w.home, log: &logbook{}, quit: cancel, done: make(chan struct{})}
	w.d = d
	ended := make(chan error, 1)
	if w.process {
		w.cmd = exec.Command(os.Args[0])
		w.cmd.Env = append(os.Environ(), asClocked+"="+w.home.file)
		w.cmd.Stderr = d.log
		var err error
		w.stdin, err = w.cmd.StdinPipe()
		w.must(err)
		w.must(w.cmd.Start())
	} else {
		go func() {
			defer close(d.done)
			ended <- withClock(ctx, w.home.file, w.clock, d.log)
		}()
	}
	ready := func() bool { return d.log.count("ready") > 0 && (!w.relay || d.log.count("peer connected") > 0) }
	for deadline := time.Now().Add(patience); !ready(); {
		select {
		case err := <-ended:
			w.must(errors.Join(err, errors.New("the daemon ended")))
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			w.must(fmt.Errorf("not ready within %v", patience))
		}
	}
	dial, done := context.WithTimeout(context.Background(), patience)
	defer done()
	client, err := query.Dial(dial, d.socket())
	w.must(err)
	w.client, w.refused = client, 0
}

// Hear is not used: words are heard.
func (w *wired) Hear(binding.Event) { w.t.Fatal("an event in place of a word") }

// HearWord sends a word as the message that it would be, and waits for the
// answer.
func (w *wired) HearWord(word *worldtest.Word, now time.Time) {
	w.Advance(now)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	switch {
	case word.Source == binding.SourceRADIUS:
		err = w.account(ctx, word)
	case word.Kind == binding.NodeDown:
		w.hangUp(word)
	case word.Kind == binding.NodeUp:
		w.hangUp(word)
		if _, err = w.line(ctx, word); err == nil && word.State != 0 {
			w.touch() // behind it in the Registry's queue
		}
	default:
		err = w.report(ctx, word)
	}
	if err != nil {
		w.must(fmt.Errorf("%v of %s/%s: %w", word.Kind, word.Owner, word.Node, err))
	}
}

func (w *wired) account(ctx context.Context, word *worldtest.Word) error {
	key := speakerWay{word.Owner, word.Node, word.Way}
	if word.Also != "" {
		key.node = min(word.Node, word.Also)
	}
	from := w.address(word.Source, word.Owner, word.Way)
	l := w.nas[key]
	switch {
	case l != nil:
	case w.radsec && word.Owner+"-0" == radsecClient && word.Way == 0:
		l = dialRadSec(w.t, w.home.dir, w.d.log.findOf("radius", "listening for RadSec", "address"))
	default:
		l = dialNAS(w.t, from, w.d.radius(), secretOf(from))
	}
	w.nas[key] = l
	wire, err := accounting(word, l.secret)
	if err != nil {
		return err
	}
	return l.exchange(ctx, wire, w.refusedOne)
}

// refusedOne reports whether a session was refused for want of room since it was
// last asked.
func (w *wired) refusedOne() bool {
	status, err := w.client.Status(context.Background())
	w.must(err)
	n := status.Counters["refused_capacity"] + status.Counters["refused_node"]
	if n == w.refused {
		return false
	}
	w.refused = n
	return true
}

func pgwOf(word *worldtest.Word) speakerWay { return speakerWay{word.Owner, word.Node, 0} }

// hangUp closes the connection of a node without a word.
func (w *wired) hangUp(word *worldtest.Word) {
	if l := w.pgw[pgwOf(word)]; l != nil {
		l.peer.Close()
		delete(w.pgw, pgwOf(word))
	}
}

// line is the connection of a word's link, which is made if need be.
func (w *wired) line(ctx context.Context, word *worldtest.Word) (*pgwLine, error) {
	if l := w.pgw[pgwOf(word)]; l != nil && l.link == word.Link {
		return l, nil
	}
	w.hangUp(word)
	host := word.Node
	for _, v := range w.setup.Speakers {
		if v.Source == word.Source && v.Owner == word.Owner && v.Node == word.Node && v.Agent {
			host, _ = gxHost(v, word.Way)
		}
	}
	l, err := dialGx(ctx, w.address(word.Source, word.Owner, word.Way), w.d.gx(), host, word.Link, word.State)
	if err == nil {
		w.pgw[pgwOf(word)] = l
	}
	return l, err
}

// report sends a request of credit control. What a connection showed when it
// was opened, every second request leaves out.
func (w *wired) report(ctx context.Context, word *worldtest.Word) error {
	l, err := w.line(ctx, word)
	if err != nil {
		return err
	}
	state := word.OriginState
	if state == l.state && word.Octets%2 == 0 {
		state = 0
	}
	for {
		m := forgery(word)
		if word.Kind != binding.NodeRestart {
			m = creditControl(word, state)
		}
		answer, err := l.peer.Exchange(ctx, m)
		if err != nil {
			return err
		}
		switch result := answer.Result(); {
		case result == diametertest.TooBusy:
		case result == diametertest.Success && w.relay:
			return w.learned(ctx)
		case result == diametertest.Success, result == diametertest.UnableToComply && w.refusedOne():
			return nil
		default:
			return fmt.Errorf("answered %d", result)
		}
	}
}

// learned waits until what a relay learned is in the Registry: it hands over all
// of it with a termination, here of a session that nobody knows.
func (w *wired) learned(ctx context.Context) error {
	if w.keeper == nil {
		var err error
		if w.keeper, err = dialGx(ctx, keeper, w.d.gx(), "keeper", 0, 0); err != nil {
			return err
		}
	}
	end := &worldtest.Word{Kind: binding.SessionStop, Session: "none", Node: "keeper", Order: 1}
	if _, err := w.keeper.peer.Exchange(ctx, creditControl(end, 0)); err != nil {
		return err
	}
	w.touch()
	return nil
}

// Advance lets the clock run, and the daemon sweep for as long as it would have
// in a minute or more.
func (w *wired) Advance(now time.Time) {
	passed := now.Sub(w.swept)
	w.clock.set(now)
	if passed >= time.Minute {
		<-time.After(3 * sweepOften)
		w.swept = now
	}
}

// sweepOften and the room that is swept each time have the daemon sweep all of
// it in a millisecond.
const (
	sweepOften = time.Millisecond
	sweptRoom  = 600
)

// Verify asks over the socket.
func (w *wired) Verify(q binding.Query, n binding.Number) binding.Answer {
	got, err := w.client.Verify(context.Background(), q.Addr.String(), n.MSISDN.String(), narrowed(q)...)
	w.must(err)
	reason, err := binding.ParseReason(got.Reason)
	w.must(err)
	a := binding.Answer{Reason: reason, Version: got.Version}
	for a.Verdict.String() != got.Verdict {
		a.Verdict++
	}
	return a
}

func narrowed(q binding.Query) (list []query.Option) {
	if q.Port != 0 {
		list = append(list, query.Port(q.Port))
	}
	if q.Domain != "" {
		list = append(list, query.Domain(q.Domain))
	}
	return list
}

// Release is told over the socket.
func (w *wired) Release(q binding.Query) {
	err := w.client.Release(context.Background(), q.Addr.String(), "test", narrowed(q)...)
	if reply := (*query.ReplyError)(nil); !errors.As(err, &reply) { // nothing is there
		w.must(err)
	}
}

// Kill ends the daemon without notice and starts it on what it left on the
// disk. In this process the disk is copied and the rest forgotten.
func (w *wired) Kill(gap time.Duration) {
	w.touch()
	left := filepath.Join(w.home.dir, "left")
	if !w.process {
		w.must(os.CopyFS(left, os.DirFS(w.data())))
	}
	w.end()
	if !w.process {
		w.must(os.RemoveAll(w.data()))
		w.must(os.Rename(left, w.data()))
	}
	w.clock.set(w.clock.now().Add(gap))
	w.launch()
}

func (w *wired) data() string { return filepath.Join(w.home.dir, "data") }

// touch lets the journal note that we were there, which the daemon sees to each
// second of its own time: it hears of a NAS of no concern.
func (w *wired) touch() {
	l := dialNAS(w.t, keeper, w.d.radius(), secretOf(keeper))
	defer l.conn.Close()
	wire, err := accounting(&worldtest.Word{Kind: binding.NodeRestart, Node: "keeper", Octets: uint64(w.clock.unixMilli.Load())}, l.secret)
	w.must(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.must(l.exchange(ctx, wire, func() bool { return false }))
}

// end lets the daemon end: a process by SIGKILL.
func (w *wired) end() {
	if w.process {
		w.must(w.cmd.Process.Kill())
		w.cmd.Wait() // its error is the state
		if ws, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() {
			w.must(fmt.Errorf("it ended with %v before it was killed", w.cmd.ProcessState))
		}
	}
	w.client.Close()
	for _, l := range w.nas {
		l.conn.Close()
	}
	for _, l := range w.pgw {
		l.peer.Close()
	}
	if w.keeper != nil {
		w.keeper.peer.Close()
	}
	w.keeper = nil
	clear(w.nas)
	clear(w.pgw)
	w.d.quit()
	if !w.process {
		<-w.d.done
	}
}

// Close ends the daemon for good.
func (w *wired) Close() error {
	w.end()
	if w.pcrf != nil {
		w.pcrf.Close()
	}
	return errors.Join(w.clock.close(), os.RemoveAll(w.home.dir))
}

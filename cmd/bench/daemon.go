package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding/query"
)

// A daemon is one run of simbindd, as an operator would run it: RADIUS, Gx,
// journal, embedded NATS, query socket, metrics.
type daemon struct {
	*process
	home
}

// A home is where a daemon lives and listens.
type home struct {
	dir, socket, radius, gx, metrics, nats string
	priority                               string // query.priority
	upstream                               string // of a relay; empty: requests are terminated

	// Of several sites: the address of another's NATS server, further keys, that
	// it answers others, that it has none of the addresses.
	joins, keys   string
	serves, empty bool
}

func (h home) data() string { return filepath.Join(h.dir, "data") }

// startLimit bounds how long a daemon may take to be ready.
const startLimit = 3 * time.Minute

// simbindd is the daemon's program, which is built once.
func (s *stage) simbindd(ctx context.Context) (string, error) {
	if s.binary != "" {
		return s.binary, nil
	}
	binary := filepath.Join(s.dir, "simbindd")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/simbind/simbind/cmd/simbindd")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build simbindd: %w: %s", err, out)
	}
	s.binary = binary
	return binary, nil
}

// newHome makes a directory for a daemon.
func (s *stage) newHome() (home, error) {
	dir, err := os.MkdirTemp(s.dir, "d")
	if err != nil {
		return home{}, err
	}
	return home{dir: dir, socket: filepath.Join(dir, "s"), priority: "normal"}, nil
}

// start runs the daemon in its home and does not wait until it is ready.
func (s *stage) start(ctx context.Context, h home, capacity int) (*daemon, error) {
	binary, err := s.simbindd(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.listeners(); err != nil {
		return nil, err
	}
	file := filepath.Join(h.dir, "simbindd.yaml")
	if err := os.WriteFile(file, []byte(h.yaml(capacity)), 0o600); err != nil {
		return nil, err
	}
	p, err := launch(h.dir, binary, "--config", file)
	if err != nil {
		return nil, err
	}
	return &daemon{p, h}, nil
}

// startReady runs the daemon in a home of its own and waits until it is ready.
func (s *stage) startReady(ctx context.Context, capacity int) (*daemon, error) {
	h, err := s.newHome()
	if err != nil {
		return nil, err
	}
	return s.startReadyIn(ctx, h, capacity)
}

func (s *stage) startReadyIn(ctx context.Context, h home, capacity int) (*daemon, error) {
	d, err := s.start(ctx, h, capacity)
	if err != nil {
		return nil, err
	}
	if err := d.await(ctx, startLimit, d.isReady); err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// listeners finds free ports.
func (h *home) listeners() error {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer udp.Close()
	h.radius = udp.LocalAddr().String()
	for _, addr := range []*string{&h.gx, &h.metrics, &h.nats} {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer tcp.Close()
		*addr = tcp.Addr().String()
	}
	return nil
}

// yaml is the configuration: defaults, but for a trust_gap that a slow machine
// does not exceed while it loads millions of sessions.
func (h home) yaml(capacity int) string {
	name, pools := "bench", fmt.Sprintf("%s, %s", residents().pool, guests().pool)
	publish := fmt.Sprintf("nats:\n  embedded: {listen: %q}\n", h.nats)
	if h.serves {
		publish += "  service: true\nprivacy: {publish_msisdn: clear}\n"
	}
	if h.joins != "" {
		name, publish = "other", fmt.Sprintf("nats: {url: %q}\n", "nats://"+h.joins)
	}
	if h.empty {
		pools = "192.0.2.0/24"
	}
	return fmt.Sprintf(`site: %s
data_dir: %q
capacity: %d
trust_gap: 10m
domains:
  - {name: internet, apns: [%s], pools: [%s]}
radius:
  listen: [%q]
  clients:
    - {name: bench, prefix: 127.0.0.0/8, secret: %s}
diameter:
  listen: [%q]
  origin_host: simbind.bench
  origin_realm: bench
  peers: [{host: "*", addresses: [127.0.0.0/8]}]
%squery:
  socket: %q
  priority: %s
%s%smetrics:
  listen: %q
log: {level: warn}
`, name, h.data(), capacity, apn, pools, h.radius, secret, h.gx, h.relaying(), h.socket, h.priority, publish, h.keys, h.metrics)
}

// relaying are the keys of a relay agent.
func (h home) relaying() string {
	if h.upstream == "" {
		return ""
	}
	return fmt.Sprintf("  mode: relay\n  upstreams: [{address: %q, host: %s}]\n", h.upstream, stockNode.Host)
}

// isReady asks /readyz: the journal is loaded and the edges listen.
func (d *daemon) isReady(ctx context.Context) error {
	res, err := d.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz: %s", res.Status)
	}
	return nil
}

func (d *daemon) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.metrics+path, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// metric reads one metric without labels.
func (d *daemon) metric(ctx context.Context, name string) (float64, error) {
	res, err := d.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

func (d *daemon) status(ctx context.Context) (query.StatusReply, error) {
	c, err := query.Dial(ctx, d.socket)
	if err != nil {
		return query.StatusReply{}, err
	}
	defer c.Close()
	return c.Status(ctx)
}

// publishLimit bounds how long the daemon may take to publish what it has
// decided.
const publishLimit = 2 * time.Minute

// published waits until every change is in the stream, and returns how many
// changes there are.
func (d *daemon) published(ctx context.Context) (uint64, error) {
	status, err := d.status(ctx)
	if err != nil {
		return 0, err
	}
	err = d.await(ctx, publishLimit, func(ctx context.Context) error {
		seq, err := d.metric(ctx, "simbindd_feed_delivered_seq")
		if err == nil && uint64(seq) < status.JournalSeq {
			err = fmt.Errorf("%.0f of %d changes are published", seq, status.JournalSeq)
		}
		return err
	})
	return status.JournalSeq, err
}

// streamed counts the changes in the stream with a client of NATS.
func (d *daemon) streamed(ctx context.Context) (uint64, error) {
	nc, err := nats.Connect("nats://" + d.nats)
	if err != nil {
		return 0, fmt.Errorf("nats: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, fmt.Errorf("nats: %w", err)
	}
	stream, err := js.Stream(ctx, "SIMBIND")
	if err != nil {
		return 0, fmt.Errorf("nats: %w", err)
	}
	return stream.CachedInfo().State.Msgs, nil
}

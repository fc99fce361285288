package demo

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// A site is where the demo's daemon lives. Its listeners are on the loopback
// interface.
type site struct {
	dir     string
	radius  string // host:port
	gx      string // host:port
	nats    string // host:port
	metrics string // host:port
}

// secret is shared by the simulated NAS and the daemon.
const secret = "demo-secret-of-this-run"

// newSite makes a scratch directory with a configuration.
func newSite() (*site, error) {
	dir, err := os.MkdirTemp("", "simbind-demo-")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir}
	if err := s.fill(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *site) fill() (err error) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer udp.Close()
	s.radius = udp.LocalAddr().String()
	for _, addr := range []*string{&s.gx, &s.nats, &s.metrics} {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer tcp.Close()
		*addr = tcp.Addr().String()
	}
	if err := os.WriteFile(s.secretFile(), []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.config(), []byte(s.yaml()), 0o600)
}

func (s *site) config() string     { return filepath.Join(s.dir, "simbindd.yaml") }
func (s *site) log() string        { return filepath.Join(s.dir, "simbindd.log") }
func (s *site) socket() string     { return filepath.Join(s.dir, "simbind.sock") }
func (s *site) secretFile() string { return filepath.Join(s.dir, "radius-secret") }

func (s *site) yaml() string {
	return fmt.Sprintf(`# The demo's daemon. deploy/simbindd.yaml documents every key.
site: demo
data_dir: %q
capacity: 10000
domains:
  - {name: internet, apns: [internet], pools: [10.45.0.0/16]}
radius:
  listen: [%q]
  clients:
    - {name: demo-pgw, prefix: 127.0.0.0/8, secret_file: %q}
diameter:
  listen: [%q]
  origin_host: simbind.demo
  origin_realm: demo
  peers: [{host: "*", addresses: [127.0.0.0/8]}]
query:
  socket: %q
  priority: normal
nats:
  embedded: {listen: %q}
  stream: {max_bytes: 16MiB}
  service: true
privacy:
  publish_msisdn: clear
metrics:
  listen: %q
`, filepath.Join(s.dir, "data"), s.radius, s.secretFile(), s.gx, s.socket(), s.nats, s.metrics)
}

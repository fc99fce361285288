package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A bus is the operator's NATS cluster: three nats-server processes.
type bus struct {
	nodes []*busNode
}

// A busNode is one of them, across restarts.
type busNode struct {
	program, file           string
	client, route, leafnode int // ports
	cmd                     *exec.Cmd
	log                     *logbook
}

// newBus builds nats-server at the version that go.mod names, starts three of
// them and waits until they have a leader.
func newBus(t *testing.T) *bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	b := &bus{}
	ports := freePorts(t, 9)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	for i := range 3 {
		n := &busNode{program: program, file: filepath.Join(dir, fmt.Sprintf("n%d.conf", i)), client: ports[i], route: ports[3+i], leafnode: ports[6+i], log: &logbook{}}
		text := fmt.Sprintf(`
server_name: n%d
listen: "127.0.0.1:%d"
jetstream: {store_dir: %q, domain: hub}
cluster: {name: hub, listen: "127.0.0.1:%d", routes: [%s], no_advertise: true}
leafnodes: {listen: "127.0.0.1:%d", no_advertise: true}
`, i, n.client, filepath.Join(dir, fmt.Sprintf("n%d", i)), n.route, strings.Join(routes, ", "), n.leafnode)
		if err := os.WriteFile(n.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b.nodes = append(b.nodes, n)
		n.start(t)
	}
	t.Cleanup(func() {
		for _, n := range b.nodes {
			n.kill()
		}
		if t.Failed() {
			for i, n := range b.nodes {
				t.Logf("n%d:\n%s", i, tail(n.log.String(), 4000))
			}
		}
	})
	b.awaitStreams(t)
	return b
}

// freePorts finds ports on which nobody listens.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (n *busNode) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command(n.program, "-c", n.file)
	n.cmd.Stderr = n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (n *busNode) kill() {
	if n.cmd.ProcessState == nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

// urls are those of all servers.
func (b *bus) urls() string {
	var list []string
	for _, n := range b.nodes {
		list = append(list, fmt.Sprintf("nats://127.0.0.1:%d", n.client))
	}
	return strings.Join(list, ",")
}

func (b *bus) dial(t *testing.T) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(b.urls(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// awaitStreams waits until the cluster can make a stream of three copies.
func (b *bus) awaitStreams(t *testing.T) {
	t.Helper()
	js, err := jetstream.New(b.dial(t))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster answers", func() bool {
		_, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "probe", Subjects: []string{"probe"}, Replicas: 3})
		return err == nil
	})
	if err := js.DeleteStream(t.Context(), "probe"); err != nil {
		t.Fatal(err)
	}
}

// source makes the cluster's stream, as docs/scale-out.md says: from one site that
// is a leaf node and from others that publish to the cluster.
func (b *bus) source(t *testing.T, leaf string, direct ...string) {
	t.Helper()
	js, err := jetstream.New(b.dial(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := jetstream.StreamConfig{
		Name: "SIMBIND", Replicas: 3, AllowDirect: true, AllowBatchPublish: true,
		Sources: []*jetstream.StreamSource{{Name: "SIMBIND", External: &jetstream.ExternalStream{APIPrefix: "$JS." + leaf + ".API"}}},
	}
	for _, site := range direct {
		cfg.Subjects = append(cfg.Subjects, "simbind.v1."+site+".change.>")
	}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func tail(s string, n int) string { return s[max(len(s)-n, 0):] }

// A link is a TCP connection's way that can be cut.
type link struct {
	ln     net.Listener
	target string
	down   atomic.Bool
	mu     sync.Mutex
	conns  map[net.Conn]bool
}

// newLink listens and forwards to the target.
func newLink(t *testing.T, target string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{ln: ln, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { ln.Close(); l.cut() })
	go l.serve()
	return l
}

func (l *link) serve() {
	for {
		in, err := l.ln.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil || l.down.Load() {
			in.Close()
			if err == nil {
				out.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			l.mu.Lock()
			l.conns[pair[0]] = true
			l.mu.Unlock()
			go func() {
				io.Copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
				l.mu.Lock()
				delete(l.conns, pair[0])
				l.mu.Unlock()
			}()
		}
	}
}

// cut ends all connections and refuses new ones until mend.
func (l *link) cut() {
	l.down.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

func (l *link) mend() { l.down.Store(false) }

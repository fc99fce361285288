package feed

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// newCluster starts three servers that know each other.
func newCluster(t testing.TB) []*operator {
	var routes []*url.URL
	var listeners []net.Listener
	for range 3 { // find free ports for the routes
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
	}
	var nodes []*operator
	for i, l := range listeners {
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		nodes = append(nodes, newOperator(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i+1)
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}
			o.Routes = routes
		}))
	}
	until(t, "the cluster has a leader", func() bool {
		for _, n := range nodes {
			if n.srv.JetStreamIsLeader() {
				return true
			}
		}
		return false
	})
	return nodes
}

func TestAClusterThatLosesItsLeaderLosesAndRepeatsNothing(t *testing.T) {
	nodes := newCluster(t)
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.url())
	}
	cfg := clusterConfig(strings.Join(urls, ","))
	cfg.Stream.Replicas = 3
	outbox := newFakeOutbox()
	f := New(cfg, outbox, nil, testLog(t))
	f.timeout = time.Second
	r := run(t, f)
	outbox.fill(1, 500)
	r.awaitDelivered(500)
	js := jetStream(t, client(t, cfg.URL))

	stop := make(chan struct{})
	last := uint64(500)
	var filler sync.WaitGroup
	filler.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				outbox.fill(last+1, last+5)
				last += 5
			}
		}
	})
	for range 2 {
		leader := nodes[leaderOf(t, js)]
		leader.stop()
		delivered := r.State().Delivered
		until(t, "the others go on", func() bool { return r.State().Delivered > delivered+10 })
		leader.start()
	}
	close(stop)
	filler.Wait()
	r.awaitDelivered(last)
	wantChanges(t, readAll(t, client(t, cfg.URL)), "abc", 1, last)
}

// leaderOf returns which node leads the stream.
func leaderOf(t *testing.T, js jetstream.JetStream) (node int) {
	t.Helper()
	until(t, "the stream has a leader", func() bool {
		stream, err := js.Stream(t.Context(), DefaultStream)
		if err != nil || stream.CachedInfo().Cluster == nil || stream.CachedInfo().Cluster.Leader == "" {
			return false
		}
		_, err = fmt.Sscanf(stream.CachedInfo().Cluster.Leader, "n%d", &node)
		return err == nil
	})
	return node - 1
}

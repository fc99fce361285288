package feed

import (
	"fmt"
	"net"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// newHub is an operator's server that takes leaf nodes, on a port that stays.
func newHub(t *testing.T) (op *operator, leafURL string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	op = newOperator(t, func(o *server.Options) {
		o.JetStreamDomain = "hub"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
	})
	return op, fmt.Sprintf("nats://127.0.0.1:%d", port)
}

// sourced makes the hub's stream, as docs/scale-out.md says.
func sourced(t *testing.T, op *operator, sites ...string) jetstream.JetStream {
	t.Helper()
	js := jetStream(t, client(t, op.url()))
	cfg := jetstream.StreamConfig{Name: DefaultStream, Subjects: []string{siteSubjects("centre")}, AllowDirect: true}
	for _, site := range sites {
		cfg.Sources = append(cfg.Sources, &jetstream.StreamSource{Name: DefaultStream, External: &jetstream.ExternalStream{APIPrefix: "$JS." + site + ".API"}})
	}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return js
}

// TestALeafIsFollowedThroughTheHub: changes, heartbeats and the service cross the
// link; one that is cut for a while loses nothing, and nobody at the hub can make
// changes of the site.
func TestALeafIsFollowedThroughTheHub(t *testing.T) {
	if testing.Short() {
		t.Skip("servers take a minute to source a stream that comes and goes")
	}
	op, leaf := newHub(t)
	js := sourced(t, op, "west")
	centre := newStation(t, "centre", op.url(), All)
	west := &station{t: t, name: "west", dir: t.TempDir(), change: func(c *Config) {
		c.Embedded = Embedded{StoreDir: t.TempDir(), Leaf: Leaf{URLs: []string{leaf}}}
	}}
	west.start()
	t.Cleanup(func() { west.stop() })
	west.says(binding.SessionStart, "1", "10.3.0.1", 1)
	centre.awaits("10.3.0.1", 1, "match/bound") // its snapshot crossed
	west.says(binding.SessionStart, "2", "10.3.0.2", 2)
	centre.awaits("10.3.0.2", 2, "match/bound") // its stream did

	op.stop()
	for n := 3; n < 300; n++ {
		west.says(binding.SessionStart, fmt.Sprint(n), fmt.Sprintf("10.3.%d.%d", n/200, n%200+1), n)
	}
	west.says(binding.SessionStop, "1", "", 1)
	until(t, "the edge stores them", func() bool { return west.feed.State().Delivered == 300 })
	op.start()
	centre.awaits("10.3.1.100", 299, "match/bound")
	centre.awaits("10.3.0.1", 1, "unknown/no-binding")

	stream, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the hub has it all, each once", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 300
	})
	// Nobody at the hub can make changes of the site.
	if err := client(t, op.url()).Publish(changeSubject("west", binding.Bound), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	west.says(binding.SessionStop, "2", "", 2)
	centre.awaits("10.3.0.2", 2, "unknown/no-binding")
	until(t, "the hub has one more", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 301
	})
}

// TestTheClustersFilesAreGood starts the servers of deploy/nats-cluster as far as
// one host can: with the addresses of this one.
func TestTheClustersFilesAreGood(t *testing.T) {
	for n := 1; n <= 3; n++ {
		file := fmt.Sprintf("../../deploy/nats-cluster/n%d.conf", n)
		opts, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if opts.ServerName != fmt.Sprintf("n%d", n) || len(opts.Routes) != 3 || opts.JetStreamDomain != "hub" || opts.LeafNode.Port != 7422 {
			t.Errorf("%s: %+v", file, opts)
		}
	}
}

package feed

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestServerProcess is not a test: it is the server that startProcess starts.
func TestServerProcess(t *testing.T) {
	dir, listen := os.Getenv("FEED_TEST_STORE"), os.Getenv("FEED_TEST_LISTEN")
	if dir == "" {
		t.Skip("only a server for another test")
	}
	host, port, err := listenPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.NewServer(&server.Options{Host: host, Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(testDeadline) {
		t.Fatal("not ready")
	}
	fmt.Println("listening on", srv.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // ends with the test that started us
}

// startProcess runs a server as a process of its own and returns where it
// listens.
func startProcess(t testing.TB, dir, listen string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "FEED_TEST_STORE="+dir, "FEED_TEST_LISTEN="+listen)
	_, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, addr, ok := strings.Cut(lines.Text(), "listening on "); ok {
			return addr, kill
		}
	}
	t.Fatal("the server process ended")
	return "", nil
}

func TestAServerThatIsKilledLosesAndRepeatsNothing(t *testing.T) {
	dir := t.TempDir()
	addr, kill := startProcess(t, dir, "127.0.0.1:0")
	outbox := newFakeOutbox()
	f := start(t, clusterConfig("nats://"+addr), outbox, nil)
	last := uint64(0)
	stop := make(chan struct{})
	var filler sync.WaitGroup
	filler.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				outbox.fill(last+1, last+20)
				last += 20
			}
		}
	})
	for range 4 {
		delivered := f.State().Delivered
		until(t, "some changes are delivered", func() bool { return f.State().Delivered > delivered+100 })
		kill()
		_, kill = startProcess(t, dir, addr)
	}
	close(stop)
	filler.Wait()
	f.awaitDelivered(last)
	wantChanges(t, readAll(t, client(t, "nats://"+addr)), "abc", 1, last)
}

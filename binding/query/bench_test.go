package query

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDispatch is the work of one VERIFY besides the system calls.
func BenchmarkDispatch(b *testing.B) {
	s, c, args := offline(b, newFake(1_000_000))
	request := []byte("*3\r\n$6\r\nVERIFY\r\n$10\r\n10.45.0.70\r\n$13\r\n+491700000070\r\n")
	b.ReportAllocs()
	for b.Loop() {
		args, _, complete, err := nextRequest(request, args)
		if err != nil || !complete {
			b.Fatal(err)
		}
		c.out.b = c.out.b[:0]
		s.dispatch(c, args)
	}
}

// BenchmarkAgainstRedis has redis-benchmark ask this server VERIFY and
// redis-server GET, in turns, over the same kind of socket, and reports the
// median of the requests per second, their ratio, and the servers' CPU time a
// request. One iteration is enough:
//
//	go test ./binding/query -run '^$' -bench AgainstRedis -benchtime 1x
func BenchmarkAgainstRedis(b *testing.B) {
	redis, pid := startRedis(b)
	_, ours := start(b, newFake(1_000_000), func(s *Server) { s.cfg.Priority = os.Getenv("QUERY_PRIORITY") })
	for _, load := range []struct{ clients, pipeline, requests int }{{1, 1, 15_000}, {50, 1, 50_000}, {50, 16, 300_000}, {1, 16, 100_000}} {
		b.Run(fmt.Sprintf("c%d/P%d", load.clients, load.pipeline), func(b *testing.B) {
			var their, our, theirCPU, ourCPU []float64
			for b.Loop() {
				for range 5 {
					flags := []string{"-c", strconv.Itoa(load.clients), "-P", strconv.Itoa(load.pipeline), "-n", strconv.Itoa(load.requests), "-q"}
					before := cpuOf(b, pid)
					their = append(their, redisBenchmark(b, redis, flags, "GET", "10.45.0.70"))
					theirCPU = append(theirCPU, float64((cpuOf(b, pid)-before).Nanoseconds())/float64(load.requests))
					before = ownCPU(b)
					our = append(our, redisBenchmark(b, ours, flags, "VERIFY", "10.45.0.70", "+491700000070"))
					ourCPU = append(ourCPU, float64((ownCPU(b)-before).Nanoseconds())/float64(load.requests))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(their), "redis-GET/s")
			b.ReportMetric(median(our), "VERIFY/s")
			b.ReportMetric(median(our)/median(their), "ratio")
			b.ReportMetric(median(theirCPU), "redis-cpu-ns")
			b.ReportMetric(median(ourCPU), "cpu-ns")
		})
	}
}

func startRedis(t testing.TB) (socket string, pid int) {
	path := tool(t, "redis-server")
	socket = filepath.Join(shortDir(t), "r")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	waitFor(t, func() bool {
		out, err := exec.Command(tool(t, "redis-cli"), "-s", socket, "SET", "10.45.0.70", "+491700000070").Output()
		return err == nil && strings.TrimSpace(string(out)) == "OK"
	})
	return socket, cmd.Process.Pid
}

func redisBenchmark(t testing.TB, socket string, flags []string, command ...string) float64 {
	t.Helper()
	out, err := exec.Command(tool(t, "redis-benchmark"), append(append([]string{"-s", socket}, flags...), command...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`([\d.]+) requests per second`).FindAllSubmatch(out, -1)
	if m == nil {
		t.Fatalf("redis-benchmark said %s", out)
	}
	rate, err := strconv.ParseFloat(string(m[len(m)-1][1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

// cpuOf is the CPU time of a process so far.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)
}

func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

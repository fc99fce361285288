package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/simbind/simbind/binding/query"
)

// find returns the finding of one check.
func find(t *testing.T, findings []finding, check string) finding {
	t.Helper()
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding about %s in %+v", check, findings)
	return finding{}
}

func TestDoctorLooksAtTheMachine(t *testing.T) {
	denied := errors.New("denied")
	file := func(h *host, path, text string) {
		files := fstest.MapFS{}
		for name, f := range h.root.(fstest.MapFS) {
			files[name] = f
		}
		files[path] = &fstest.MapFile{Data: []byte(text)}
		h.root = files
	}
	clock := func(synchronised bool, off time.Duration, err error) func() (bool, time.Duration, error) {
		return func() (bool, time.Duration, error) { return synchronised, off, err }
	}
	disk := func(free uint64, err error) func(string) (uint64, uint64, error) {
		return func(string) (uint64, uint64, error) { return free, 1 << 40, err }
	}
	for _, tc := range []struct {
		claim, check string
		spoil        func(*host)
		want         level
	}{
		{"a synchronised clock is fine", "clock", func(*host) {}, levelOK},
		{"a free-running clock", "clock", func(h *host) { h.clock = clock(false, 0, nil) }, levelWarn},
		{"a clock that may be far off", "clock", func(h *host) { h.clock = clock(true, 3*time.Second, nil) }, levelWarn},
		{"a clock that cannot be asked", "clock", func(h *host) { h.clock = clock(false, 0, denied) }, levelWarn},
		{"a large receive buffer is fine", "udp-buffer", func(*host) {}, levelOK},
		{"the stock receive buffer", "udp-buffer", func(h *host) { file(h, "proc/sys/net/core/rmem_max", "212992\n") }, levelWarn},
		{"the stock receive buffer for a daemon that may exceed it", "udp-buffer", func(h *host) {
			file(h, "proc/sys/net/core/rmem_max", "212992\n")
			file(h, "proc/42/status", "Name:\tsimbindd\nCapEff:\t0000000000001000\n")
		}, levelOK},
		{"a capability that is another", "udp-buffer", func(h *host) {
			file(h, "proc/sys/net/core/rmem_max", "212992\n")
			file(h, "proc/42/status", "CapEff:\t0000000000002000\n")
		}, levelWarn},
		{"a buffer that is no number", "udp-buffer", func(h *host) { file(h, "proc/sys/net/core/rmem_max", "many\n") }, levelWarn},
		{"enough open files", "open-files", func(*host) {}, levelOK},
		{"unlimited open files", "open-files", func(h *host) { file(h, "proc/42/limits", "Max open files unlimited unlimited files\n") }, levelOK},
		{"few open files", "open-files", func(h *host) { file(h, "proc/42/limits", "Max open files 1024 4096 files\n") }, levelWarn},
		{"limits in another form", "open-files", func(h *host) { file(h, "proc/42/limits", "Max open files\n") }, levelWarn},
		{"no daemon: our own limit", "open-files", func(h *host) { h.pid = func(string) (int, error) { return 0, denied } }, levelWarn},
		{"huge pages on demand are fine", "huge-pages", func(*host) {}, levelOK},
		{"no huge pages", "huge-pages", func(h *host) {
			file(h, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
		}, levelWarn},
		{"a kernel without huge pages", "huge-pages", func(h *host) { h.root = fstest.MapFS{} }, levelWarn},
		{"a closed socket is fine", "permission", func(*host) {}, levelOK},
		{"an open socket", "permission", func(h *host) { h.mode = func(string) (fs.FileMode, error) { return 0o666, nil } }, levelWarn},
		{"room on the disk", "disk", func(*host) {}, levelOK},
		{"little room", "disk", func(h *host) { h.disk = disk(2<<30, nil) }, levelWarn},
		{"no room", "disk", func(h *host) { h.disk = disk(1<<20, nil) }, levelFail},
		{"no such data_dir", "disk", func(h *host) { h.disk = disk(0, fs.ErrNotExist) }, levelFail},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			h := healthyHost()
			tc.spoil(&h)
			f := find(t, h.check("/s", "/d"), tc.check)
			if f.Level != tc.want {
				t.Errorf("%+v, want level %s", f, tc.want)
			}
			if (f.Level == levelOK) != (f.Do == "") {
				t.Errorf("%+v: what is not ok says what to do, and nothing else does", f)
			}
		})
	}
}

func TestDoctorLooksAtTheDaemon(t *testing.T) {
	well := query.StatusReply{Site: "lab", Healthy: true, SessionsCap: 100, AddressCap: 100, QueueCap: 100, JournalSeq: 500_000, Commits: 1,
		Counters: map[string]uint64{"feed_delivered": 500_000}}
	for _, tc := range []struct {
		claim string
		spoil func(*query.StatusReply)
		want  string // "check level" of the only finding that is not ok, "" for none
	}{
		{"all is well", func(*query.StatusReply) {}, ""},
		{"warming", func(s *query.StatusReply) { s.Warming = true }, "health warn"},
		{"a problem", func(s *query.StatusReply) { s.Healthy, s.Problems = false, []string{"x"} }, "health fail"},
		{"unhealthy without a word", func(s *query.StatusReply) { s.Healthy = false }, "health fail"},
		{"nearly full", func(s *query.StatusReply) { s.Sessions = 80 }, "sessions warn"},
		{"full", func(s *query.StatusReply) { s.Sessions = 100 }, "sessions fail"},
		{"addresses run out", func(s *query.StatusReply) { s.Addresses = 95 }, "addresses fail"},
		{"events queue up", func(s *query.StatusReply) { s.Queue = 85 }, "queue warn"},
		{"a slow disk", func(s *query.StatusReply) { s.CommitMicros = 60_000 }, "journal warn"},
		{"NATS is away", func(s *query.StatusReply) { s.Counters = map[string]uint64{"feed_delivered": 1} }, "feed warn"},
		{"a feed ahead of its status", func(s *query.StatusReply) { s.JournalSeq = 1 }, ""},
		{"no word about the feed", func(s *query.StatusReply) { s.Counters = nil }, "feed warn"},
		{"addresses outside the pools", func(s *query.StatusReply) {
			s.Counters = map[string]uint64{"feed_delivered": s.JournalSeq, "refused_pool": 3, "refused_busy": 0}
		}, "refused warn"},
		{"sessions that were forgotten before their time", func(s *query.StatusReply) {
			s.Counters = map[string]uint64{"feed_delivered": s.JournalSeq, "forgotten_early": 2}
		}, "forgotten warn"},
		{"states that went back", func(s *query.StatusReply) {
			s.Counters = map[string]uint64{"feed_delivered": s.JournalSeq, "origin_state_contradicted": 1}
		}, "restarts warn"},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			s := well
			tc.spoil(&s)
			got := ""
			for _, f := range checkStatus(s) {
				if f.Level != levelOK {
					got += fmt.Sprint(f.Check, " ", f.Level)
				}
			}
			if got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

func TestDoctorTellsWhatIsWrongWithTheFeed(t *testing.T) {
	for words, want := range map[string]level{
		"":                   levelOK, // of a daemon of before
		"delivering":         levelOK,
		"nats: no responder": levelWarn,
	} {
		s := query.StatusReply{Edges: map[string]string{"feed": words}, Counters: map[string]uint64{"feed_delivered": 1}}
		if f := checkFeed(s); f.Level != want || want == levelWarn && !strings.Contains(f.Says, words) {
			t.Errorf("%q: %+v", words, f)
		}
	}
}

func TestDoctorTellsWhichSourceOfNumbersDoesNotAnswer(t *testing.T) {
	for words, want := range map[string]level{"answering": levelOK, "sh: no server is connected": levelWarn} {
		if f := checkDirectory(query.StatusReply{Edges: map[string]string{"directory": words}}); len(f) != 1 || f[0].Level != want {
			t.Errorf("%q: %+v", words, f)
		}
	}
	if f := checkDirectory(query.StatusReply{}); f != nil {
		t.Errorf("a daemon without a directory: %+v", f)
	}
}

func TestDoctorLooksAtThePairAndTheSites(t *testing.T) {
	for words, want := range map[string]level{
		"active":                        levelOK,
		"standby, differs at 0 places":  levelOK,
		"standby, no other member is …": levelWarn,
	} {
		if f := checkPair(query.StatusReply{Edges: map[string]string{"pair": words}}); len(f) != 1 || f[0].Level != want {
			t.Errorf("%q: %+v", words, f)
		}
	}
	if f := checkPair(query.StatusReply{}); f != nil {
		t.Errorf("a daemon that is alone: %+v", f)
	}
	sites := []query.SiteReply{{Name: "a", Followed: true, State: "current"}, {Name: "b"}}
	if f := checkSites(sites); len(f) != 1 || f[0].Level != levelOK {
		t.Errorf("all current: %+v", f)
	}
	sites[0].State = "lost"
	if f := checkSites(sites); f[0].Level != levelWarn || !strings.Contains(f[0].Says, "a (lost)") {
		t.Errorf("one lost: %+v", f)
	}
	if f := checkSites(sites[1:]); f != nil {
		t.Errorf("none followed: %+v", f)
	}
}

func TestDoctorNamesTheLostNodes(t *testing.T) {
	f := checkNodes([]query.NodeReply{{Name: "pgw1", Source: "gx", Up: true}, {Name: "pgw2", Source: "radius", Since: noon}})
	if f.Level != levelWarn || f.Says != "1 of 2 not heard: pgw2 (radius, since 2026-03-01T12:00:00Z)" {
		t.Errorf("%+v", f)
	}
	if f := checkNodes(nil); f.Level != levelWarn {
		t.Errorf("without any node: %+v", f)
	}
}

func TestDoctorNamesTheNodesWhoseClockIsNotKnown(t *testing.T) {
	known := query.NodeReply{Name: "nas1", Source: "radius", OffsetKnown: true, Events: 100}
	for _, tt := range []struct {
		claim string
		node  query.NodeReply
		level level
		says  string
	}{
		{"a known clock", query.NodeReply{Name: "nas2", Source: "radius", OffsetKnown: true, Events: 100}, levelOK, "every node"},
		{"a clock that is ahead, and known to be", query.NodeReply{Name: "nas2", Source: "radius", OffsetKnown: true, OffsetMS: 3_600_000, Events: 100}, levelOK, "every node"},
		{"a node that has hardly spoken", query.NodeReply{Name: "nas2", Source: "radius", Events: 15}, levelOK, "every node"},
		{"a connection that keeps order needs no clock", query.NodeReply{Name: "pgw1", Source: "gx", Events: 100}, levelOK, "every node"},
		{"a node that tells no time", query.NodeReply{Name: "nas2", Source: "radius", Timeless: true, Events: 1}, levelWarn, "1 of 2 nodes tell no time: nas2"},
		{"a clock that was set, or is not told", query.NodeReply{Name: "nas2", Source: "radius", Events: 16}, levelWarn, "the clock of 1 of 2 nodes is not known: nas2"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			f := checkClocks([]query.NodeReply{known, tt.node})
			if f.Level != tt.level || !strings.HasPrefix(f.Says, tt.says) || (f.Do == "") != (tt.level == levelOK) {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestDoctorNamesWhoseSessionsAreLeft(t *testing.T) {
	left := checkOwners([]query.NodeReply{
		{Name: "nas1", Source: "radius", Owner: "pair", Sessions: 2, Orphaned: true}, {Name: "nas2", Source: "radius", Owner: "pair", Sessions: 1, Orphaned: true},
		{Name: "pgw1", Source: "gx", Owner: "dra", Sessions: 5},
	})
	if left.Level != levelWarn || !strings.Contains(left.Says, "3 sessions") || !strings.Contains(left.Says, "3 of pair (radius)") {
		t.Errorf("%+v", left)
	}
	if f := checkOwners([]query.NodeReply{{Name: "pgw1", Source: "gx", Owner: "dra", Sessions: 5}}); f.Level != levelOK {
		t.Errorf("%+v", f)
	}
}

func TestDoctorNamesTheNamesOfSeveralOwners(t *testing.T) {
	f := checkNames([]query.NodeReply{
		{Name: "nas1", Source: "radius", Owner: "b", Shared: true}, {Name: "nas2", Source: "radius", Owner: "a"},
		{Name: "nas1", Source: "radius", Owner: "a", Shared: true}, {Name: "pgw1", Source: "gx", Owner: "dra1", Shared: true}, {Name: "pgw1", Source: "gx", Shared: true},
	})
	const want = "nas1 (radius) by a and b; pgw1 (gx) by dra1 and itself: each is a node of its own"
	if f.Level != levelWarn || !strings.HasPrefix(f.Says, want) || !strings.Contains(f.Do, "one group") {
		t.Errorf("%+v", f)
	}
	if f := checkNames([]query.NodeReply{{Name: "nas1", Source: "radius", Owner: "a"}, {Name: "nas1", Source: "gx"}}); f.Level != levelOK {
		t.Errorf("of two sources: %+v", f)
	}
}

func TestNodesShowTheirClocks(t *testing.T) {
	for _, tt := range []struct {
		want string
		node query.NodeReply
	}{
		{"1.5s ahead", query.NodeReply{OffsetKnown: true, OffsetMS: 1500}},
		{"2s behind", query.NodeReply{OffsetKnown: true, OffsetMS: -2000}},
		{"tells no time", query.NodeReply{Timeless: true}},
		{"", query.NodeReply{OffsetMS: 7}},
	} {
		if got := clock(&tt.node); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.node, got, tt.want)
		}
	}
}

func TestThisHostCanBeRead(t *testing.T) {
	h := thisHost()
	if _, _, err := h.clock(); err != nil {
		t.Errorf("clock: %v", err)
	}
	if free, size, err := h.disk(t.TempDir()); err != nil || size == 0 || free > size {
		t.Errorf("disk: %d of %d, %v", free, size, err)
	}
	if _, err := fs.ReadFile(h.root, "proc/self/limits"); err != nil {
		t.Errorf("limits: %v", err)
	}
	socket := serve(t, newFakeRegistry())
	if pid, err := h.pid(socket); err != nil || pid == 0 {
		t.Errorf("pid of the server: %d, %v", pid, err)
	}
}

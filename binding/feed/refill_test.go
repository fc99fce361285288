package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// A pagedSite answers for the snapshot of site north: one row per page, each
// page in the name of an instance. The last instance stands for all later pages.
type pagedSite struct {
	rows      int
	instances []string
	asked     []int // pages, by the number of their row
}

func (p *pagedSite) answer(t *testing.T, nc *nats.Conn) {
	t.Helper()
	_, err := nc.Subscribe(serviceSubject("north", "snapshot"), func(msg *nats.Msg) {
		var req snapshotRequest
		if err := json.Unmarshal(msg.Data, &req); err != nil {
			t.Error(err)
		}
		instance := p.instances[min(len(p.asked), len(p.instances)-1)]
		p.asked = append(p.asked, int(req.Cursor))
		page := snapshotReply{Site: "north", Incarnation: "abc", Seq: 9, Instance: instance, Cursor: req.Cursor + 1}
		if page.Cursor == uint64(p.rows) {
			page.Cursor = 0
		}
		page.Sessions = []bindingReply{{
			State: "bound", Reason: "bound", Domain: "internet", Addr: fmt.Sprintf("10.1.0.%d", req.Cursor+1), IMSI: person(int(req.Cursor)).IMSI.String(),
		}}
		body, err := json.Marshal(page)
		if err := errors.Join(err, msg.Respond(body)); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
}

// snapshotReaders are who reads the pages of a snapshot; each returns how many
// rows it took for the whole.
var snapshotReaders = map[string]func(t *testing.T, source *siteStream) (rows int, err error){
	"a replica": func(t *testing.T, source *siteStream) (int, error) {
		told := 0
		cfg := clusterConfig("")
		cfg.Follow.Submit = func(ev binding.Event) error {
			if ev.Kind == binding.SessionStart {
				told++
			}
			return nil
		}
		marks, err := openBookmarks(filepath.Join(t.TempDir(), "follow.json"))
		if err != nil {
			t.Fatal(err)
		}
		err = newFollower("north", source, marks, New(cfg, newFakeOutbox(), nil, testDiscard)).snapshot(t.Context())
		return told, err
	},
	"a member that stands by": func(t *testing.T, source *siteStream) (int, error) {
		cfg := clusterConfig("")
		cfg.Site = "north"
		s := &standby{p: &publisher{cfg: cfg}, source: source}
		shadow := &shadow{unlike: map[spot]*unlike{}, told: func(binding.Place) binding.Change { return binding.Change{} }, now: time.Now}
		seen := &spots{}
		err := s.readPages(t.Context(), shadow, nil, seen)
		return len(seen.hashes), err
	},
}

func TestASnapshotOfTwoProcessesIsNotTakenForWhole(t *testing.T) {
	for reader, read := range snapshotReaders {
		for _, c := range []struct {
			name      string
			instances []string
			whole     bool
		}{
			{"one process", []string{"one"}, true},
			{"an older one, which has no name", []string{""}, true},
			{"another one from the second page on", []string{"one", "two"}, false},
			{"another one for the last page", []string{"one", "one", "two"}, false},
			{"another one in between", []string{"one", "two", "one"}, false},
			{"a newer one after an older one", []string{"", "two"}, false},
		} {
			t.Run(reader+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				op := newOperator(t, nil)
				nc := client(t, op.url())
				streamOf(t, op, true, true)
				site := &pagedSite{rows: 3, instances: c.instances}
				site.answer(t, nc)
				rows, err := read(t, &siteStream{nc: nc, js: jetStream(t, nc), stream: DefaultStream, timeout: answerTimeout})
				if c.whole && (err != nil || rows != 3) {
					t.Errorf("%d rows, %v", rows, err)
				}
				if !c.whole && !errors.Is(err, errOtherInstance) {
					t.Errorf("%d rows were taken for the whole (%v)", rows, err)
				}
			})
		}
	}
}

func TestASnapshotThatFailsLeavesNobodyBehind(t *testing.T) {
	op := newOperator(t, nil)
	nc := client(t, op.url())
	streamOf(t, op, true, true)
	(&pagedSite{rows: 9, instances: []string{"one"}}).answer(t, nc)
	l := newListener(t)
	failed := errors.New("no room")
	l.offer = func(ev binding.Event) error {
		if ev.Kind == binding.SessionStart {
			return failed
		}
		return nil
	}
	l.source = &siteStream{nc: nc, js: jetStream(t, nc), stream: DefaultStream, timeout: answerTimeout}
	if err := l.snapshot(t.Context()); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	until(t, "nobody asks for pages", func() bool {
		stacks := make([]byte, 1<<20)
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "(*siteStream).pages")
	})
}

func TestEachProcessHasAnInstance(t *testing.T) {
	t.Parallel()
	op := newOperator(t, nil)
	both := newCouple(t, op.url())
	nc := client(t, op.url())
	source := &siteStream{nc: nc, js: jetStream(t, nc), stream: DefaultStream, timeout: answerTimeout}
	var seen []string
	answers := func(who string) {
		t.Helper()
		until(t, who+" answers", func() bool {
			page, err := source.page(t.Context(), "north", 0)
			if err != nil || page.Instance == "" || slices.Contains(seen, page.Instance) {
				return false
			}
			seen = append(seen, page.Instance)
			return true
		})
	}
	answers("a")
	both.each["a"].stop()
	answers("b")
	both.each["b"].stop()
	both.each["b"].start()
	answers("b, started again,")
}

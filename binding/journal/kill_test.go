package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/simbind/simbind/binding"
)

const childDir = "SIMBIND_JOURNAL_CHILD"

// numbered makes the session of one number, in a version that its row tells.
func numbered(n, version uint64) binding.SessionRow {
	r := sampleSession(n, nil)
	r.Key = binding.SessionKey{}
	binary.BigEndian.PutUint64(r.Key[:], n)
	r.Holds[0].Version = version
	return r
}

// numbers is how many sessions the child keeps overwriting.
const numbers = 500

// TestKillChild is not a test: it is the process that TestKill kills. Commit n
// writes version n of session n mod numbers, and 1 to 5 changes.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("runs as the child of TestKill")
	}
	j, err := Open(dir, testOptions(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory(j.Meta().Seq)
	go childFeed(j)
	n := uint64(j.Meta().Alive.UnixMilli())
	if j.Meta().Alive.IsZero() {
		n = 0
	}
	for {
		n++
		seq := j.Meta().Seq
		b := &binding.Batch{
			Sessions: []binding.SessionRow{numbered(n%numbers, n)},
			Changes:  h.changes(seq, 1+int(n%5)),
			Alive:    int64(n),
		}
		if err := j.Commit(b); err != nil {
			t.Fatal(err)
		}
		// One write per line: what the parent reads was acknowledged.
		fmt.Printf("commit %d %d\n", n, j.Meta().Seq)
		if n%7 == 0 {
			n++
			if err := j.Touch(int64(n)); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("touch %d %d\n", n, j.Meta().Seq)
		}
	}
}

func childFeed(j *Journal) {
	for range j.OutboxNotify() {
		first, last := j.OutboxRange()
		if last-first > 50 {
			_ = j.TrimOutbox(last - 20)
		}
	}
}

// TestKill kills a committing process at random moments and demands that
// everything that it said to be committed is there.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(3, 4))
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	var total int
	acked := map[uint64]uint64{} // session to version
	for round := range rounds {
		said := runAndKill(t, dir, 1+rnd.IntN(400), acked)
		checkKilled(t, dir, said, acked)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		total += said.lines
	}
	t.Logf("%d acknowledgements over %d kills", total, rounds)
}

// said is the last that a killed process told.
type said struct {
	lines      int
	alive, seq uint64
}

// runAndKill starts a child and kills it when it has written some lines.
func runAndKill(t *testing.T, dir string, lines int, acked map[uint64]uint64) said {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var last said
	for scan := bufio.NewScanner(out); scan.Scan(); {
		var what string
		if _, err := fmt.Sscanf(scan.Text(), "%s %d %d", &what, &last.alive, &last.seq); err != nil {
			t.Errorf("child says %q", scan.Text())
			break
		}
		if what == "commit" {
			acked[last.alive%numbers] = last.alive
		}
		if last.lines++; last.lines == lines {
			if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
				t.Errorf("while the child has the journal: %v", err)
			}
			_ = cmd.Process.Kill() // and read on what it wrote before
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	return last
}

// versions is a Loader that keeps each session's version.
type versions struct {
	counting
	of map[uint64]uint64
}

func (v *versions) Session(r *binding.SessionRow) error {
	v.of[binary.BigEndian.Uint64(r.Key[:])] = r.Holds[0].Version
	return nil
}

func checkKilled(t *testing.T, dir string, last said, acked map[uint64]uint64) {
	t.Helper()
	j, err := Open(dir, testOptions(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	v := &versions{of: map[uint64]uint64{}}
	if err := j.Load(v); err != nil {
		t.Fatal(err)
	}
	for n, version := range acked {
		if v.of[n] < version {
			t.Errorf("session %d has version %d, %d was acknowledged", n, v.of[n], version)
		}
		acked[n] = v.of[n]
	}
	m := j.Meta()
	if m.Seq < last.seq || uint64(m.Alive.UnixMilli()) < last.alive {
		t.Errorf("%+v, but %+v was acknowledged", m, last)
	}
	first, end := j.OutboxRange()
	list, err := j.ReadOutbox(0, 1<<20)
	if err != nil || len(list) == 0 || list[0].Seq != first || list[len(list)-1].Seq != end || end != m.Seq {
		t.Errorf("outbox %d to %d with %d changes, last is %d: %v", first, end, len(list), m.Seq, err)
	}
	for i := range list {
		if list[i].Seq != first+uint64(i) {
			t.Fatalf("change %d where %d is next", list[i].Seq, first+uint64(i))
		}
	}
}

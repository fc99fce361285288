package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/journal"
)

// runJournal measures synced commits of session rows with a change each, beside
// appending as many bytes to a file and syncing it.
func runJournal(ctx context.Context, s *stage) ([]result, error) {
	var list []result
	for _, size := range []int{100, 500} {
		r, err := compareCommits(ctx, s, size)
		if err != nil {
			return list, err
		}
		list = append(list, r)
	}
	return list, nil
}

const (
	journalRounds = 3
	journalRound  = time.Second
	rowBytes      = 200 // of a row and its change, about
	journalRows   = 1_000_000
)

func compareCommits(ctx context.Context, s *stage, size int) (result, error) {
	dir, err := os.MkdirTemp(s.dir, "j")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{})
	if err != nil {
		return result{}, err
	}
	defer j.Close()
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return result{}, err
	}
	defer file.Close()
	c := &committer{journal: j, batches: sampleBatches(size)}
	var ours, theirs []float64
	for range min(s.rounds, journalRounds) {
		for _, one := range []struct {
			rates *[]float64
			step  func() error
		}{
			{&theirs, func() error { return appendSynced(file, size*rowBytes) }},
			{&ours, c.commit},
		} {
			rate, err := repeatFor(ctx, s.span(journalRound), one.step)
			if err != nil {
				return result{}, err
			}
			*one.rates = append(*one.rates, rate*float64(size))
		}
	}
	return versus(fmt.Sprintf("journal rows/s, %d a synced commit, a change each", size), "/s", ours, "append + fdatasync", theirs, nil), nil
}

// repeatFor returns how often a second step was done.
func repeatFor(ctx context.Context, span time.Duration, step func() error) (float64, error) {
	began, n := time.Now(), 0
	for time.Since(began) < span && ctx.Err() == nil {
		if err := step(); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(began).Seconds(), ctx.Err()
}

func appendSynced(file *os.File, size int) error {
	if _, err := file.Write(make([]byte, size)); err != nil {
		return err
	}
	return syscall.Fdatasync(int(file.Fd()))
}

// A committer commits one sample after the other, and forgets what the feed
// would have published.
type committer struct {
	journal *journal.Journal
	batches []binding.Batch
	count   int
	seq     uint64
}

const trimEvery = 64 // commits

func (c *committer) commit() error {
	b := &c.batches[c.count%len(c.batches)]
	c.count++
	for i := range b.Changes {
		c.seq++
		b.Changes[i].Seq = c.seq
	}
	b.Alive = time.Now().UnixMilli()
	if err := c.journal.Commit(b); err != nil {
		return err
	}
	if c.count%trimEvery == 0 {
		return c.journal.TrimOutbox(c.seq)
	}
	return nil
}

// sampleBatches are of residents at random, so that rows are overwritten in no
// order.
func sampleBatches(size int) []binding.Batch {
	list := make([]binding.Batch, trimEvery)
	pick, now := rand.New(rand.NewPCG(5, 6)), time.Now()
	for i := range list {
		for range size {
			n := pick.Uint64N(journalRows)
			list[i].Sessions = append(list[i].Sessions, residentRow(n, now))
			list[i].Changes = append(list[i].Changes, boundChange(n, now))
		}
	}
	return list
}

// boundChange is what is published of the Start of resident n.
func boundChange(n uint64, now time.Time) binding.Change {
	at := now.UTC().Truncate(time.Millisecond)
	row := residentRow(n, now)
	return binding.Change{
		Kind: binding.Bound, At: at, EventTime: at, Domain: "internet", Addr: row.Holds[0].Addr, Now: residents().identity(n),
		APN: apn, RAT: row.RAT, Node: nas, Sources: binding.SourceSet(0).Add(binding.SourceRADIUS), Why: "start",
	}
}

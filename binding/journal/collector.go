package journal

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

// commitBounds are the upper bounds of the histogram of commit times, in
// seconds.
var commitBounds = [...]float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, 1, 5}

// counts are what Commit counts.
type counts struct {
	failed, rows, changes, reopens atomic.Uint64

	// The histogram of commit times: by bucket, not cumulated, the last one
	// without a bound.
	took  [len(commitBounds) + 1]atomic.Uint64
	nanos atomic.Uint64
}

func (c *counts) commit(b *binding.Batch, took time.Duration, err error) {
	if err != nil {
		c.failed.Add(1)
		return
	}
	i := 0
	for i < len(commitBounds) && took.Seconds() > commitBounds[i] {
		i++
	}
	c.took[i].Add(1)
	c.nanos.Add(uint64(took))
	c.rows.Add(uint64(len(b.Sessions) + len(b.Forgotten) + len(b.Nodes) + len(b.APNs) + len(b.Domains) + len(b.Subscribers) + len(b.Blocks) + len(b.Memos)))
	c.changes.Add(uint64(len(b.Changes)))
}

// histogram is the commit times as Prometheus wants them.
func (c *counts) histogram() (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(commitBounds))
	for i := range c.took {
		count += c.took[i].Load()
		if i < len(commitBounds) {
			buckets[commitBounds[i]] = count
		}
	}
	return count, time.Duration(c.nanos.Load()).Seconds(), buckets
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("simbindd_journal_"+name, help, nil, nil)
}

// A collector reads the journal's counters when it is asked.
type collector struct {
	j       *Journal
	commits *prometheus.Desc
}

// Collector offers the journal's metrics. Collecting does not wait for the
// disk; what only the open store knows is left out while it is down.
func (j *Journal) Collector() prometheus.Collector {
	return collector{j, desc("commit_seconds", "Time of successful commits, sync included.")}
}

// Describe sends nothing: an unchecked collector.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	j := c.j
	count, sum, buckets := j.counts.histogram()
	ch <- prometheus.MustNewConstHistogram(c.commits, count, sum, buckets)

	counter := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.CounterValue, v)
	}
	counter("commit_errors_total", "Commits that returned an error.", float64(j.counts.failed.Load()))
	counter("rows_total", "Committed rows of state.", float64(j.counts.rows.Load()))
	counter("changes_total", "Committed changes.", float64(j.counts.changes.Load()))
	counter("reopens_total", "Times the store was opened again after a failed write.", float64(j.counts.reopens.Load()))
	counter("disk_slow_total", "Operations of the disk that took longer than 5 s.", float64(j.ev.slow.Load()))
	counter("write_stalls_total", "Times commits had to wait for flushes or compactions.", float64(j.ev.stalls.Load()))
	counter("write_stall_seconds_total", "Time that commits waited for flushes or compactions.", j.ev.stalled().Seconds())
	counter("background_errors_total", "Failed flushes, compactions and the like.", float64(j.ev.background.Load()))
	counter("compaction_errors_total", "Compactions that could not write.", float64(j.ev.compactions.Load()))
	counter("corruptions_total", "Stored data that could not be read back.", float64(j.ev.corruptions.Load()))

	gauge := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.GaugeValue, v)
	}
	first, last := j.OutboxRange()
	gauge("outbox_changes", "Changes that the feed has not delivered yet.", float64(last+1-first))
	var m *pebble.Metrics
	up := 0.0
	if j.life.TryRLock() { // not while the store is being opened again
		if s := j.store; s != nil && s.failed() == nil {
			m = s.db.Metrics()
			if !j.failing.Load() {
				up = 1
			}
		}
		j.life.RUnlock()
	}
	gauge("up", "Whether commits succeed.", up)
	if m != nil {
		storeMetrics(m, counter, gauge)
	}
}

// storeMetrics tells what Pebble knows.
func storeMetrics(m *pebble.Metrics, counter, gauge func(name, help string, v float64)) {
	gauge("disk_bytes", "Space that the store takes on disk.", float64(m.DiskSpaceUsage()))
	gauge("wal_bytes", "Log that a restart would have to replay.", float64(m.WAL.Size))
	gauge("memtable_bytes", "Memory of memtables.", float64(m.MemTable.Size))
	gauge("level0_tables", "Tables waiting for a first compaction.", float64(m.Levels[0].TablesCount))
	gauge("compaction_debt_bytes", "Estimated bytes that compactions have yet to write.", float64(m.Compact.EstimatedDebt))
	counter("flushes_total", "Memtables written to tables since the store was opened.", float64(m.Flush.Count))
	counter("compactions_total", "Compactions since the store was opened.", float64(m.Compact.Count))
}

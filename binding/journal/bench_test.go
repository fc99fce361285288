package journal

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

// sampleSession is a row as it is in production: one IPv4 address, all
// identities. n chooses the subscriber.
func sampleSession(n uint64, holds []binding.HoldRow) binding.SessionRow {
	const now = 1_790_000_000_000
	var row binding.SessionRow
	binary.BigEndian.PutUint64(row.Key[:], n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(row.Key[8:], n)
	row.Node, row.Restarts, row.APN, row.RAT = 12, 2, 2, 6
	row.Seen = now + int64(n%86_400_000)
	// What an accounting start and one interim of a settled clock leave.
	at := func(ms int64) uint64 {
		return clock.Bound{Our: row.Seen + ms, Node: row.Seen + ms + 90, Epoch: 1}.Pack()
	}
	row.BegunFrom, row.BegunBy, row.HeldAt, row.Last = at(-61_200), at(-60_000), at(-1_200), at(0)
	row.Age = 61
	row.Lease = 86_400
	row.MSISDN = binding.MSISDN(4_917_000_000_000 + n)
	row.IMSI = binding.IMSI(0x2620_1000_0000_000F + n<<4)
	row.IMEI = binding.IMEI(0x3569_3803_5643_809F)
	addr := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	row.Holds = append(holds[:0], binding.HoldRow{
		Domain: 1, Addr: binding.Address{Prefix: netip.PrefixFrom(addr, 32)}, Since: row.Seen - 60_000, Version: 1_000_000 + n,
		HeldBy: row.BegunBy, HeldAt: row.HeldAt,
	})
	return row
}

func sampleChange(seq, n uint64) binding.Change {
	row := sampleSession(n, nil)
	at := time.UnixMilli(row.Seen).UTC()
	return binding.Change{
		Seq: seq, Kind: binding.Bound, At: at, EventTime: at.Add(-123 * time.Millisecond),
		Domain: "internet", Addr: row.Holds[0].Addr,
		Now: binding.Subscriber{MSISDN: row.MSISDN, IMSI: row.IMSI, IMEI: row.IMEI},
		APN: "internet", RAT: 6, State: binding.StateBound, Node: "pgw1.epc.mnc001.mcc262.3gppnetwork.org",
		Sources: binding.SourceSet(0).Add(binding.SourceGx), Why: "start",
	}
}

// fillSample makes a batch of size sessions out of population, and a change for
// each.
func fillSample(b *binding.Batch, seq uint64, size int, population uint64, rnd *rand.Rand) {
	b.Sessions, b.Changes = b.Sessions[:0], b.Changes[:0]
	for i := range size {
		n := rnd.Uint64N(population)
		b.Sessions = append(b.Sessions, sampleSession(n, nil))
		b.Changes = append(b.Changes, sampleChange(seq+uint64(i)+1, n))
	}
	b.Alive++
}

// reportRows reports a rate, and the processor time of the whole process per
// row, which tells more on a machine that is shared.
func reportRows(b *testing.B, rows int, cpuBefore time.Duration) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpuTime(b)-cpuBefore)/float64(rows), "cpu-ns/row")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCommit measures synced commits of rows with a change each, on the
// disk of TMPDIR, without a feed.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{100, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			j := open(b, b.TempDir())
			rnd := rand.New(rand.NewPCG(1, 2))
			batches := make([]binding.Batch, 64)
			for i := range batches {
				fillSample(&batches[i], 0, size, 10_000_000, rnd)
			}
			var seq uint64
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime(b)
			for i := range b.N {
				batch := &batches[i%len(batches)]
				for i := range batch.Changes {
					seq++
					batch.Changes[i].Seq = seq
				}
				if err := j.Commit(batch); err != nil {
					b.Fatal(err)
				}
			}
			reportRows(b, b.N*size, cpu)
		})
	}
}

// BenchmarkLoad measures the replay of a million sessions after a restart.
func BenchmarkLoad(b *testing.B) {
	const rows = 1_000_000
	dir := b.TempDir()
	j := open(b, dir)
	var batch binding.Batch
	for n := uint64(0); n < rows; n++ {
		batch.Sessions = append(batch.Sessions, sampleSession(n, nil))
		if len(batch.Sessions) == 10_000 {
			if err := j.Commit(&batch); err != nil {
				b.Fatal(err)
			}
			batch.Sessions = batch.Sessions[:0]
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime(b)
	for range b.N {
		j := open(b, dir)
		c := counting{}
		if err := j.Load(&c); err != nil || c.sessions != rows {
			b.Fatal(c.sessions, err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
	reportRows(b, b.N*rows, cpu)
}

// counting is a Loader that counts sessions.
type counting struct{ sessions int }

func (c *counting) Node(*binding.NodeRow) error             { return nil }
func (c *counting) APN(*binding.NameRow) error              { return nil }
func (c *counting) Domain(*binding.NameRow) error           { return nil }
func (c *counting) Subscriber(*binding.SubscriberRow) error { return nil }
func (c *counting) Block(*binding.BlockRow) error           { return nil }
func (c *counting) Forgotten(*binding.ForgottenRow) error   { return nil }
func (c *counting) Memo(*binding.MemoRow) error             { return nil }
func (c *counting) Session(*binding.SessionRow) error       { c.sessions++; return nil }

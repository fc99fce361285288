package table

import (
	"fmt"
	"sync/atomic"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/index"
)

// Sizes are the capacities of a Memory.
type Sizes struct {
	Sessions  int // that are known, living or remembered
	Addresses int // that are claimed
}

// Limits that the record layout sets.
const (
	MaxCapacity = 1<<27 - 2
	MaxNodes    = 1<<16 - 1
	MaxAPNs     = 1<<16 - 1
	MaxLease    = 1<<20 - 1 // seconds
	// MaxHolds bounds the addresses of one session, MaxClaims the sessions that
	// claim one address.
	MaxHolds  = 64
	MaxClaims = 16
)

// A Memory is the words of one mapping, and the names that go with them.
// Exactly one goroutine writes it; any goroutine may read it.
//
// Readers start from the address table, whose records are published
// atomically. A session, claim or subscriber is recycled only after every
// address record that led to it was withdrawn, so a reader that finds its
// address record still valid (index.Table.Valid) has read the truth of one
// moment.
type Memory struct {
	mapping *index.Memory

	Addrs     *index.Table
	Sessions  *index.Slab // layout: Session
	Claims    *index.Slab // layout: Claim
	Subs      *index.Slab // layout: Subscriber
	BySession *index.Hash // by the first word of the key
	ByNumber  *index.Hash // subscribers by MSISDN, or IMSI where that is all
	ByIMSI    *index.Hash // subscribers by the IMSI that they were last seen with
	BySIM     *index.Hash // sessions by their own IMSI, see SetSIM

	wides *index.Slab // the low half of keys beyond /64
	nodes []uint64    // layout: node words
	words []uint64    // layout: single words

	// Replaced as a whole, so that readers need no lock.
	Domains   atomic.Pointer[Domains]
	NodeNames atomic.Pointer[NodeNames]
	APNNames  atomic.Pointer[[]string]
	// Warming says that the journal is still being loaded.
	Warming atomic.Bool
}

const (
	sessionWords    = 14
	claimWords      = 5
	wideWords       = 2
	subscriberWords = 5
	wideShare       = 4 // one address in so many may be longer than /64
)

// Single words.
const (
	wordTrust    = 0                         // per source: bindings seen before (unix ms) are unconfirmed
	wordIngest   = int(binding.Sources)      // unix ms since when news is being refused, 0 if it is not
	wordObserved = wordIngest + 1            // what was overheard before (unix ms) is unconfirmed
	wordLoss     = wordObserved + 1          // unix ms of the last loss of what is overheard, 0 if there was none
	wordUnswept  = wordLoss + 1              // see Unswept
	wordRefusals = wordUnswept + 1           // refusals for lack of room, see Refuse
	singleWords  = wordRefusals + refusalLen // at least
	refusalLen   = 4096
)

func layout(s Sizes) (total int, sizes [11]int) {
	claims := claimCapacity(s)
	sizes = [11]int{
		index.TableWords(s.Addresses),
		index.SlabWords(s.Sessions, sessionWords),
		index.SlabWords(claims, claimWords),
		index.SlabWords(wideCapacity(s), wideWords),
		index.SlabWords(s.Sessions+1, subscriberWords),
		index.HashWords(s.Sessions),
		index.HashWords(s.Sessions + 1),
		index.HashWords(s.Sessions + 1),
		nodeWords * (MaxNodes + 1),
		singleWords,
		index.HashWords(s.Sessions),
	}
	for _, n := range sizes {
		total += index.Aligned(n)
	}
	return total, sizes
}

func claimCapacity(s Sizes) int { return min(s.Addresses+s.Addresses/4+16, MaxCapacity) }
func wideCapacity(s Sizes) int  { return s.Addresses/wideShare + 16 }

// Words is how many words a Memory takes.
func Words(s Sizes) int {
	total, _ := layout(s)
	return total
}

// New lays a Memory out in words, which must be zero and Words long.
func New(s Sizes, words []uint64) *Memory {
	_, sizes := layout(s)
	carve := index.NewCarver(words)
	var part [len(sizes)][]uint64
	for i, n := range sizes {
		part[i] = carve.Take(n)
	}
	m := &Memory{
		Addrs:    index.NewTable(part[0], s.Addresses),
		Sessions: index.NewSlab(part[1], s.Sessions, sessionWords),
		Claims:   index.NewSlab(part[2], claimCapacity(s), claimWords),
		wides:    index.NewSlab(part[3], wideCapacity(s), wideWords),
		Subs:     index.NewSlab(part[4], s.Sessions+1, subscriberWords),
		nodes:    part[8],
		words:    part[9],
	}
	m.BySession = index.NewHash(part[5], s.Sessions, func(id uint32) uint64 { return m.Sessions.Load(id, 0) })
	m.ByNumber = index.NewHash(part[6], s.Sessions+1, func(id uint32) uint64 { return NumberHash(m.Subscriber(id).Subscriber) })
	m.ByIMSI = index.NewHash(part[7], s.Sessions+1, func(id uint32) uint64 { return Mix(m.Subs.Load(id, 1)) })
	m.BySIM = index.NewHash(part[10], s.Sessions, func(id uint32) uint64 { return Mix(m.Sessions.Load(id, 7)) })
	m.NodeNames.Store(&NodeNames{{}})
	m.APNNames.Store(&[]string{""})
	return m
}

// Map lays a Memory out in a mapping outside the Go heap.
func Map(s Sizes) (*Memory, error) {
	mapping, err := index.Map(Words(s))
	if err != nil {
		return nil, fmt.Errorf("reserve memory for %d sessions: %w", s.Sessions, err)
	}
	m := New(s, mapping.Words())
	m.mapping = mapping
	return m, nil
}

// Mix spreads a word over 64 bits (the finalizer of SplitMix64).
func Mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (m *Memory) load(w int) int64      { return int64(atomic.LoadUint64(&m.words[w])) }
func (m *Memory) store(w int, ms int64) { atomic.StoreUint64(&m.words[w], uint64(ms)) }

// Trust is the moment (unix ms, our clock) before which what a source said is
// unconfirmed (rule T12). SetTrust is the writer's.
func (m *Memory) Trust(s binding.Source) int64           { return m.load(wordTrust + int(s)) }
func (m *Memory) SetTrust(s binding.Source, floor int64) { m.store(wordTrust+int(s), floor) }

// RefusedSince is since when (unix ms) news is being refused, zero if it is
// taken in. SetRefusedSince is for who commits.
func (m *Memory) RefusedSince() int64      { return m.load(wordIngest) }
func (m *Memory) SetRefusedSince(ms int64) { m.store(wordIngest, ms) }

// Overheard says of what is only overheard, and so is repeated by nobody, since
// when it is to be trusted, and when some of it was lost last (unix ms, zero if
// never).
func (m *Memory) Overheard() (trust, loss int64) { return m.load(wordObserved), m.load(wordLoss) }
func (m *Memory) SetOverheard(trust, loss int64) {
	m.store(wordObserved, trust)
	m.store(wordLoss, loss)
}

// Unswept is the latest restart of a node (unix ms, our clock) of which the sweep
// has not been through the sessions yet, zero if there is none. SetUnswept is the
// writer's.
func (m *Memory) Unswept() int64      { return m.load(wordUnswept) }
func (m *Memory) SetUnswept(ms int64) { m.store(wordUnswept, ms) }

// Refuse notes that an address found no room at a moment (unix ms), so that
// whoever asks for it is told; at zero it takes that back. Refusals are few; an
// old one is overwritten.
func (m *Memory) Refuse(k index.Key, now int64) {
	h := Mix(k.Hi ^ Mix(k.Lo^uint64(k.Meta)))
	m.store(wordRefusals+int(h%refusalLen), now/1000<<32|int64(h>>32))
}

// refused reports that an address found no room within the last seconds.
func (m *Memory) refused(k index.Key, now, within int64) bool {
	h := Mix(k.Hi ^ Mix(k.Lo^uint64(k.Meta)))
	w := uint64(m.load(wordRefusals + int(h%refusalLen)))
	return w != 0 && w&0xFFFFFFFF == h>>32 && now/1000-int64(w>>32) <= within
}

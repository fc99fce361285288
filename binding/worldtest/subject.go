package worldtest

import (
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
)

// A Subject is what is tested: something that hears what gateways say and
// answers questions.
type Subject interface {
	// Hear takes one event whose Arrived is the present moment of our clock;
	// moments never go back. What was heard is durable at once.
	Hear(ev binding.Event)
	// Advance moves our clock without news, so that sweeps run.
	Advance(now time.Time)
	// Verify answers whether n is the number of the SIM behind q now.
	Verify(q binding.Query, n binding.Number) binding.Answer
	// Kill ends the daemon without notice and starts it on what was durable, gap
	// later.
	Kill(gap time.Duration)
	// Release is an operator's word that nobody holds an address.
	Release(q binding.Query)
}

// A Listener is a Subject that takes words in place of events, to make messages
// of a protocol of them, of a [Profile.Wired]. NodeDown and NodeUp are then the
// loss of a connection and its return, and each Link is a connection of its own.
type Listener interface {
	Subject
	// HearWord takes one word instead of Hear.
	HearWord(w *Word, now time.Time)
}

// A Factory makes a fresh Subject for one history. A Subject that is an
// io.Closer is closed at the history's end.
type Factory func(Setup) Subject

// A Setup is what a subject must be configured with.
type Setup struct {
	Start    time.Time // our clock when the history begins
	Domains  []Domain
	Capacity int
	Lease    time.Duration
	// MaxDelay, BlindDelay and Flight bound how late anything is heard: of nodes
	// that tell some time, of those that tell none, and on an ordered transport
	// unless it says that it was repeated.
	MaxDelay, BlindDelay, Flight time.Duration
	// Speakers are all who will speak, the dishonest included.
	Speakers []Speaker
}

// A Domain is an address domain with its APNs and pools.
type Domain struct {
	Name  string
	APNs  []string
	Pools []netip.Prefix
}

// A Speaker is one node as one source knows it.
type Speaker struct {
	Source      binding.Source
	Owner, Node string
	Also        string // its second name, if it has one
	Observed    bool
	// Ways is by how many ways it comes that stand for each other: clients or
	// peers of one group. Of Gx they are Agents, or it is its own peer.
	Ways  int
	Agent bool
}

// The bounds of lateness that every world keeps, and where its time begins.
const (
	maxDelay   = 5 * minute
	blindDelay = 30 * second
	flight     = 300 * millisecond
	onTime     = 100 * millisecond // heard sooner than this is on time
	lease      = 24 * hour
)

// A tick is a moment in milliseconds since the start of a history, by our
// clock, which is also the true time; or a span of that unit.
type tick int64

const (
	millisecond tick = 1
	second           = 1000 * millisecond
	minute           = 60 * second
	hour             = 60 * minute

	never   tick = -1 << 60
	forever tick = 1 << 60
)

// genesis is tick zero.
var genesis = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

func (t tick) time() time.Time         { return genesis.Add(t.duration()) }
func (t tick) duration() time.Duration { return time.Duration(t) * time.Millisecond }

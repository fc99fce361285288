package binding

import (
	"fmt"
	"time"
)

// A State is the condition of a binding.
type State uint8

// The states. StateBound is the only one that a verdict can rest on.
const (
	StateReleased State = iota
	StateBound
	StateAmbiguous
	StateStale
	StateUnknown
)

var stateNames = [...]string{"released", "bound", "ambiguous", "stale", "unknown"}

func (s State) String() string { return stateNames[s] }

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return int(s) < len(stateNames) }

// ParseState is the inverse of String.
func ParseState(s string) (State, error) {
	for i, name := range stateNames {
		if name == s {
			return State(i), nil
		}
	}
	return 0, fmt.Errorf("unknown state %q", s)
}

// A Binding is what is known about one address, for people (LOOKUP, SESSIONS).
// Numbers are in clear: only roles that may read get it.
type Binding struct {
	Subscriber
	Addr    Address
	Domain  string
	APN     string
	RAT     RAT
	Node    string // of the session that owns the address
	Site    string // that said so, if it is another one
	Sources SourceSet
	State   State
	Reason  Reason
	// Since is the network's time of the start of the holding; Seen is when a
	// source last confirmed it; Expires is when it goes stale without a
	// refresh.
	Since, Seen, Expires time.Time
	Version              uint64
}

// Under is the binding as the answer about it leaves it: one that looks sure
// shows the answer's doubt. That the number is not known is no doubt about the
// SIM: only the reason tells it.
func (b Binding) Under(a Answer) Binding {
	if b.State != StateBound {
		return b
	}
	b.Reason = a.Reason
	switch {
	case a.Verdict == Match, a.Reason == ReasonNoMSISDN:
	case a.Verdict == Ambiguous:
		b.State = StateAmbiguous
	case a.Verdict == Stale:
		b.State = StateStale
	default:
		b.State = StateUnknown
	}
	return b
}

// A Node is an owner of sessions as the Registry knows it.
type Node struct {
	Name     string
	Owner    string   // who brings its events, see Event.Owner; empty if it speaks itself
	Also     []string // other names of it
	Source   Source
	Up       bool
	Since    time.Time // of the current up or down
	Heard    time.Time // last event
	Restart  time.Time // last restart that it told, by its own clock; zero if none
	Restarts uint64    // how many
	Observed bool      // only overheard
	// Offset is how far its clock is ahead of ours, as far as its words tell;
	// OffsetKnown says that they tell it surely enough. Timeless: its words tell no
	// time, so that each change leaves a doubt for a while.
	Offset      time.Duration
	OffsetKnown bool
	Timeless    bool
	// Shared says that others brought its name too, within the last hour: to the
	// Registry, which leaves that to who asks it, each is a node of its own.
	Shared bool
	// Orphaned says that the configuration has no more who brought it, so that
	// nobody can go on with its sessions; left to who asks as well.
	Orphaned bool
	Degraded time.Time // news of it was lost then; zero if none is missing
	Sessions int       // live ones
	Events   uint64
	// Link is the connection to it, of a source that keeps connections; nil if
	// there is none. The Registry leaves it to the edge.
	Link *Link
}

// A Link is the connection to a node or, if it has no sessions, to a peer that
// leads to nodes.
type Link struct {
	State       string // in the words of its protocol
	Address     string // of the other end
	Upstream    bool   // what we hear is forwarded to it
	Since       time.Time
	RoundTrip   time.Duration // of the last watchdog, zero if there was none
	OriginState uint32        // of Diameter, zero if it tells none
	Waiting     int           // requests that wait for our answer
	Pending     int           // requests of ours that wait for its answer
	// Results are our answers by result code; 0 stands for all others.
	Results map[uint32]uint64
}

// A Selection asks for sessions by one attribute.
type Selection struct {
	By    string // "msisdn", "imsi", "apn", "node", "domain", or "" for all
	Value string
	Limit int // 1 to 10000
	// Cursor continues an earlier answer; zero starts.
	Cursor uint64
}

// A TraceEntry is one recent event and what became of it.
type TraceEntry struct {
	At      time.Time
	Kind    string // event kind, or "operator-release", "lease", "linger"
	Source  Source
	Node    string
	Session string
	Subscriber
	Addrs   []Address
	Domain  string
	Time    time.Time // network's time
	Outcome string    // "applied", "late", "duplicate", "refused: …", …; an operator's reason
}

// Status is the Registry's own account of itself.
type Status struct {
	Site        string
	Started     time.Time
	Warming     bool
	Healthy     bool
	Problems    []string // why not healthy, in words for an operator
	Sessions    int
	SessionsCap int
	Addresses   int
	AddressCap  int
	Tombstones  int
	Queue       int
	QueueCap    int
	Nodes       int
	JournalSeq  uint64 // last change decided
	// Ingesting: news is taken in.
	Ingesting bool
	// Settled: since the start, every address was looked at whether its state
	// must be published.
	Settled    bool
	Commits    uint64        // journal commits so far
	CommitTime time.Duration // of the last commit
	// Edges say how each of them does, by name, in a few words.
	Edges map[string]string
	// Counters by name, e.g. "events_applied", "events_late", "refused_pool".
	Counters map[string]uint64
}

// A Site is another site, as far as its heartbeats tell.
type Site struct {
	Name        string
	Incarnation string
	Seq         uint64    // its last change
	Heard       time.Time // last heartbeat; zero if there was none
	Started     time.Time
	Healthy     bool
	Warming     bool // not all that it knows is published yet
	Ingesting   bool // it takes news in
	Sessions    int
	Pools       []Domain // that it announces
	SiteProgress
}

// A SiteProgress says how following a site goes.
type SiteProgress struct {
	Followed bool
	// State is "", or one of "waiting" (for a first heartbeat), "snapshot",
	// "catching-up", "current" and "lost".
	State string
	// Applied is the last change that was applied, Rows how many rows of the
	// latest snapshot.
	Applied uint64
	Rows    int
	// Complete is the last moment of which everything that the site knew then is
	// known here.
	Complete time.Time
	// Snapshots counts those that were taken, Gaps those of them for missing
	// changes, Refused messages that could not be understood.
	Snapshots, Gaps, Refused uint64
}

// A DirectoryState is the account of what knows numbers that signalling does
// not bring.
type DirectoryState struct {
	// Near, Found, None and Dropped count questions: answered from near, by a
	// source, that there is none, and for lack of room not at all.
	Near, Found, None, Dropped uint64
	Waiting                    int
	Last                       time.Duration // that the last question took
	Sources                    []DirectorySource
}

// A DirectorySource is one of its sources. Rows, Contradictory and Read are of an
// export. Problem is why it does not answer, or why the export was not taken.
type DirectorySource struct {
	Name                   string
	Found, Unknown, Failed uint64
	Rows, Contradictory    int
	Read                   time.Time
	Problem                string
}

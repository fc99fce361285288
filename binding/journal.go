package binding

import "time"

// A SessionKey identifies a session: the first 128 bits of the SHA-256 of its
// source, node and session id.
type SessionKey [16]byte

// A SessionRow is the durable state of one session.
type SessionRow struct {
	Key      SessionKey
	Node     uint16 // NodeRow.ID
	Epoch    uint32 // of the node when the session was made
	Start    int64  // unix ms, network's time
	Last     int64  // unix ms, network's time of its newest event
	Seen     int64  // unix ms, arrival of its newest event
	Lease    uint32 // seconds
	Contexts uint16
	Ended    bool // a tombstone: Last is the time of its stop
	MSISDN   MSISDN
	IMSI     IMSI
	IMEI     IMEI
	APN      uint16 // APNRow.ID
	RAT      RAT
	// Via is of another site's session: the number of its node's name (an
	// APNRow.ID). Doubt is that site's own doubt, or ours (see Registry.Doubt).
	Via   uint16
	Doubt Reason
	// Directory: the MSISDN is a directory's word.
	Directory bool
	Holds     []HoldRow
}

// A HoldRow is the durable claim of a session on one address.
type HoldRow struct {
	Domain  uint16 // DomainRow.ID
	Addr    Address
	Since   int64 // unix ms, network's time
	Version uint64
	Told    Reason // of the last change published about it
	// Ending is the deadline (unix ms) of a holding that one source has ended,
	// HoldShared if other sessions claim the address too, else zero.
	Ending int64
}

// HoldShared in HoldRow.Ending: until all rows are loaded, this row alone does
// not tell who holds the address.
const HoldShared = -1

// A NodeRow is the durable state of one node. IDs start at 1.
type NodeRow struct {
	ID       uint16
	Source   Source
	Name     string
	Epoch    uint32
	Restart  int64 // unix ms, network's time of its last restart; zero if none
	Restarts uint64
	Observed bool // only overheard, see Event.Observed
	// Forgot is the network's time (unix ms) of the latest stop that is not
	// remembered as a tombstone any more (rule T3), zero if there is none.
	Forgot int64
	// Down is since when the node is lost (unix ms, our clock), zero if it is
	// not: rule T8 outlives a restart of ours.
	Down int64
	// Trust is the moment (unix ms, our clock) before which what the node's
	// source said is unconfirmed (rule T12), zero if there is none. A short
	// absence does not undo what a long one before it left in doubt.
	Trust int64
}

// A NameRow gives an APN or a domain its number. IDs start at 1.
type NameRow struct {
	ID   uint16
	Name string
}

// A SubscriberRow remembers which SIM and device a number (or, without a
// number, an IMSI) was last seen with (rule T13).
type SubscriberRow struct {
	Subscriber
	SIMSince    int64 // unix seconds
	DeviceSince int64 // unix seconds
}

// A BlockRow is an address that must answer "unknown" because the session that
// claimed it was refused for lack of room (rule T14).
type BlockRow struct {
	Domain uint16
	Addr   Address
	Since  int64 // unix ms, network's time of the refused start
	Until  int64 // unix ms
	Gone   bool  // the block is lifted: delete the row
}

// A MemoRow is what a source wants to find again beside one session (see
// Event.Memo).
type MemoRow struct {
	Key    SessionKey
	Source Source
	Memo   []byte
	Gone   bool // the session ended: delete the row
}

// A Batch is what one group of events changed. Rows overwrite earlier rows of
// the same key; a batch holds at most one row per key. The journal may not
// keep references to it after Commit returns.
type Batch struct {
	Sessions    []SessionRow
	Forgotten   []SessionKey // rows to delete
	Nodes       []NodeRow
	APNs        []NameRow
	Domains     []NameRow
	Subscribers []SubscriberRow
	Blocks      []BlockRow
	Memos       []MemoRow
	// Changes go to the outbox, in order, numbered from Changes[0].Seq without
	// gaps.
	Changes []Change
	// Alive is when the batch was made (unix ms): the daemon was listening at
	// this moment.
	Alive int64
}

// A Journal keeps the Registry's state and its outbox.
type Journal interface {
	// Commit makes the batch durable as one atomic step and returns after the
	// sync. It is called from one goroutine. After an error nothing of the
	// batch is stored and it may be committed again.
	Commit(*Batch) error
	// Load replays the stored state: every node, APN, domain, block and subscriber before
	// the first session, and every memo after the last. It stops at the first
	// error of fn.
	Load(fn Loader) error
	// Meta tells what the journal knows about its own past.
	Meta() JournalMeta
	// Touch records, without a sync, that the daemon was listening at this
	// moment (unix ms).
	Touch(alive int64) error
}

// A Loader receives stored rows. The rows may be reused after each call.
type Loader interface {
	Node(*NodeRow) error
	APN(*NameRow) error
	Domain(*NameRow) error
	Subscriber(*SubscriberRow) error
	Block(*BlockRow) error
	Session(*SessionRow) error
	Memo(*MemoRow) error
}

// JournalMeta is what survives besides the state.
type JournalMeta struct {
	// Incarnation names this journal: a fresh data directory has a fresh one.
	Incarnation string
	// Seq is the number of the last change that was committed, zero if none.
	Seq uint64
	// Alive is the last moment at which the daemon is known to have listened;
	// zero for a fresh journal.
	Alive time.Time
}

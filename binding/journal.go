package binding

import "time"

// A SessionKey identifies a session: the first 128 bits of the SHA-256 of its
// source, node and session id.
type SessionKey [16]byte

// A SessionRow is the durable state of one session, or of one that ended and is
// remembered until whatever it may be confused with must have been heard.
//
// Bounds of moments are as the Registry packs them (clock.Bound); zero is none.
type SessionRow struct {
	Key      SessionKey
	Node     uint16 // NodeRow.ID
	Restarts uint16 // of the node, when the session was last heard
	// BegunFrom and BegunBy bound its beginning, HeldAt is the last moment of
	// which a word says that it lives, Last the latest that any word can be of.
	BegunFrom, BegunBy, HeldAt, Last uint64
	// After is what a session that goes on must speak after for its word to
	// count, if Doubt says why; of one that ended it is its end.
	After   uint64
	Doubt   Reason
	EndedBy SourceSet // whose sessions' ends alone make the doubt
	Seen    int64     // unix ms, our clock, of its newest word's emission
	Lease   uint32    // seconds
	Age     uint32    // seconds, the greatest that it told, plus one; zero if it told none
	Order   uint32    // Event.Order, the greatest; zero if it told none
	// Contexts are Event.Contexts that go on.
	Contexts uint16
	// Ended: it is over; Stopped: by its own stop. Reused: another session had its
	// id before, whose end was not heard.
	Ended, Stopped, Reused bool
	Again                  bool // another session had its id before
	MSISDN                 MSISDN
	IMSI                   IMSI
	IMEI                   IMEI
	APN                    uint16 // APNRow.ID
	RAT                    RAT
	Listed                 uint8 // families that it has named completely
	// Via is of another site's session: the number of its node's name (an
	// APNRow.ID).
	Via uint16
	// Directory: the MSISDN is a directory's word.
	Directory bool
	Holds     []HoldRow
	// Former is what a journal of before the bounds says instead of them; nil in
	// rows of today.
	Former *FormerTimes
}

// FormerTimes are the times of a session in a journal that kept no bounds (unix
// ms): of its start and of its newest event by the network's clock.
type FormerTimes struct {
	Start, Last int64
	Epoch       uint32 // of its node
}

// A HoldRow is the durable claim of a session on one address.
type HoldRow struct {
	Domain  uint16 // DomainRow.ID
	Addr    Address
	Since   int64 // unix ms, our clock
	Version uint64
	Told    Reason // of the last change published about it
	// Shared: other sessions claim the address too, so until all rows are loaded
	// this row alone does not tell who holds it.
	Shared bool
	// Given: the session may have given it up.
	Given bool
	// Contested: another SIM's session may have a part of it, or all around it.
	Contested bool
	// HeldBy and HeldAt bound, from above and below, the first and the last moment
	// at which a word says that it held the address, as the Registry packs them.
	HeldBy, HeldAt uint64
	// Ending: a journal of before the bounds says that one source ended it.
	Ending bool
}

// A NodeRow is the durable state of one node. IDs start at 1.
type NodeRow struct {
	ID       uint16
	Source   Source
	Owner    string // Event.Owner
	Name     string
	Restarts uint64
	// RestartFrom and RestartBy bound its last restart, as the Registry packs
	// them; zero if none was told.
	RestartFrom, RestartBy uint64
	Restart                int64  // unix ms, when it was, for people
	OriginState            uint32 // Event.OriginState
	// SameAs is the node that this one is another name of, zero if none is known.
	SameAs uint16
	// NoName: it is the name of no node, as it came with several.
	NoName bool
	// Plain: it was known before owners were, and its sessions are named without
	// one. Former: the row is of then, so that no owner has claimed it yet.
	Plain, Former bool
	Observed      bool // only overheard, see Event.Observed
	// Down is since when the node is lost (unix ms, our clock), zero if it is
	// not: rule T8 outlives a restart of ours.
	Down int64
	// Trust is the moment (unix ms, our clock) before which what the node's
	// source said is unconfirmed (rule T12), zero if there is none. A short
	// absence does not undo what a long one before it left in doubt.
	Trust int64
	// Clock is what must be known again of the node's clock, as the Registry
	// writes it.
	Clock []byte
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

// A BlockRow is an address that a journal of before the bounds has blocked, as
// the session that claimed it was refused for lack of room. It is read, and
// deleted, once.
type BlockRow struct {
	Domain uint16
	Addr   Address
	Since  int64 // unix ms
	Gone   bool  // delete the row
}

// A ForgottenRow is what is left of sessions that were forgotten for lack of
// room before their time: the latest moment of one of all that fall together in
// a slot.
type ForgottenRow struct {
	Table uint8
	Slot  uint16
	At    int64  // unix ms, our clock; zero deletes the row
	Of    uint32 // a hash of the one session that it is of; zero: of several
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
	Remains     []ForgottenRow
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
	// Load replays the stored state: every node, APN, domain, block, remains and
	// subscriber before the first session, and every memo after the last. It stops
	// at the first error of fn.
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
	Forgotten(*ForgottenRow) error
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

package query

import "time"

// A VerifyReply answers VERIFY.
type VerifyReply struct {
	// Verdict is "match", "mismatch", "unknown", "ambiguous" or "stale". Only
	// the first two say something about the number.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	// AgeMS is how long ago the network last confirmed the binding, in
	// milliseconds.
	AgeMS int64 `json:"age_ms"`
	// Version changes whenever the holder of the address does; zero without a
	// binding.
	Version uint64 `json:"version"`
}

// A BindingReply is what is known about one address. When nothing more is
// known than why not, only State and Reason are set; when nothing at all is
// known it is the zero value. Identities are digits, the MSISDN with '+', and
// "" if unknown.
type BindingReply struct {
	Addr    string    `json:"addr"`
	MSISDN  string    `json:"msisdn"`
	IMSI    string    `json:"imsi"`
	IMEI    string    `json:"imei"`
	APN     string    `json:"apn"`
	RAT     string    `json:"rat"`
	Domain  string    `json:"domain"`
	Node    string    `json:"node"`
	Site    string    `json:"site,omitempty"` // that said so, if it is another one
	Sources []string  `json:"sources"`
	State   string    `json:"state"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since,omitzero"`
	Seen    time.Time `json:"seen,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Version uint64    `json:"version"`
}

// Known reports whether the address has, or lately had, a holder.
func (b BindingReply) Known() bool { return b.Addr != "" }

// A SiteReply is another site. State is "current" while its bindings count here;
// Complete is the last moment of which everything is known that the site knew
// then.
type SiteReply struct {
	Name        string    `json:"name"`
	Followed    bool      `json:"followed"`
	State       string    `json:"state"`
	Heard       time.Time `json:"heard,omitzero"`
	Complete    time.Time `json:"complete,omitzero"`
	Incarnation string    `json:"incarnation"`
	Seq         uint64    `json:"seq"`     // its last change
	Applied     uint64    `json:"applied"` // the last one applied here
	Sessions    int       `json:"sessions"`
	Started     time.Time `json:"started,omitzero"`
	Healthy     bool      `json:"healthy"`
	Warming     bool      `json:"warming"`
	Ingesting   bool      `json:"ingesting"`
	Rows        int       `json:"rows"` // of the latest snapshot
	Snapshots   uint64    `json:"snapshots"`
	Gaps        uint64    `json:"gaps"`
	Pools       []string  `json:"pools"` // "domain prefix"
}

// A DirectoryReply is where numbers come from that signalling does not bring.
type DirectoryReply struct {
	Near       uint64                 `json:"near"`
	Found      uint64                 `json:"found"`
	None       uint64                 `json:"none"`
	Dropped    uint64                 `json:"dropped"`
	Waiting    int                    `json:"waiting"`
	LastMicros int64                  `json:"last_us"` // that the last question took
	Sources    []DirectorySourceReply `json:"sources"`
}

// A DirectorySourceReply is one source. Rows to Problem are of an export.
type DirectorySourceReply struct {
	Name          string    `json:"name"`
	Found         uint64    `json:"found"`
	Unknown       uint64    `json:"unknown"`
	Failed        uint64    `json:"failed"`
	Rows          int       `json:"rows"`
	Contradictory int       `json:"contradictory"`
	Read          time.Time `json:"read,omitzero"`
	Problem       string    `json:"problem"`
}

// A NumberReply is the number of a SIM, "" if it has none, and whose word it is.
type NumberReply struct {
	IMSI   string `json:"imsi"`
	MSISDN string `json:"msisdn"`
	Source string `json:"source"`
}

// A NodeReply is one owner of sessions.
type NodeReply struct {
	Name     string    `json:"name"`
	Source   string    `json:"source"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since,omitzero"`   // of the current up or down
	Heard    time.Time `json:"heard,omitzero"`   // last event
	Restart  time.Time `json:"restart,omitzero"` // last restart it told, by its own clock
	Restarts uint64    `json:"restarts"`
	Sessions int       `json:"sessions"`
	Events   uint64    `json:"events"`
	// Observed: it is only overheard on the wire. Degraded is when news of it
	// was lost, zero if none is missing.
	Observed bool      `json:"observed"`
	Degraded time.Time `json:"degraded,omitzero"`
	// Owner is who brings its events, empty if it speaks itself; Also are other
	// names of it. Shared: others brought its name too, within the last hour.
	Owner  string   `json:"owner"`
	Also   []string `json:"also"`
	Shared bool     `json:"shared"`
	// Orphaned: it has sessions, and nobody in the configuration is its owner.
	Orphaned bool `json:"orphaned"`
	// Timeless: its words tell no time. OffsetMS is how far its clock is ahead of
	// the daemon's, if OffsetKnown.
	Timeless    bool  `json:"timeless"`
	OffsetKnown bool  `json:"offset_known"`
	OffsetMS    int64 `json:"offset_ms"`
	// Link is the connection to it; nil if there is none.
	Link *LinkReply `json:"link,omitempty"`
}

// A LinkReply is the connection to a node, or to a peer without sessions.
type LinkReply struct {
	State           string    `json:"state"`
	Address         string    `json:"address"`
	Upstream        bool      `json:"upstream"`
	Since           time.Time `json:"since,omitzero"`
	RoundTripMicros int64     `json:"round_trip_us"` // of the last watchdog
	OriginState     uint32    `json:"origin_state"`
	Waiting         int       `json:"waiting"` // requests of it that wait for our answer
	Pending         int       `json:"pending"` // requests forwarded to it
	// Results are our answers by Diameter result code; "0" stands for all
	// others.
	Results map[string]uint64 `json:"results"`
}

// A StatusReply is the daemon's own account of itself.
type StatusReply struct {
	Site         string            `json:"site"`
	Daemon       string            `json:"daemon"` // version of the program
	Started      time.Time         `json:"started,omitzero"`
	Warming      bool              `json:"warming"`
	Healthy      bool              `json:"healthy"`
	Problems     []string          `json:"problems"`
	Sessions     int               `json:"sessions"`
	SessionsCap  int               `json:"sessions_cap"`
	Addresses    int               `json:"addresses"`
	AddressCap   int               `json:"address_cap"`
	Tombstones   int               `json:"tombstones"`
	Queue        int               `json:"queue"`
	QueueCap     int               `json:"queue_cap"`
	Nodes        int               `json:"nodes"`
	JournalSeq   uint64            `json:"journal_seq"`
	Commits      uint64            `json:"commits"`
	CommitMicros int64             `json:"commit_us"` // duration of the last commit
	Edges        map[string]string `json:"edges"`     // how each does, in a few words
	Counters     map[string]uint64 `json:"counters"`
}

// A TraceReply is one recent event and what became of it.
type TraceReply struct {
	At      time.Time `json:"at,omitzero"`
	Kind    string    `json:"kind"`
	Source  string    `json:"source"`
	Node    string    `json:"node"`
	Session string    `json:"session"`
	MSISDN  string    `json:"msisdn"`
	IMSI    string    `json:"imsi"`
	IMEI    string    `json:"imei"`
	Addrs   []string  `json:"addrs"`
	Domain  string    `json:"domain"`
	Time    time.Time `json:"time,omitzero"` // the network's time
	Outcome string    `json:"outcome"`
}

// A ChangeReply is one change of a binding. The Was fields are the former
// holder.
type ChangeReply struct {
	Seq       uint64    `json:"seq"`
	Kind      string    `json:"kind"`
	At        time.Time `json:"at,omitzero"`         // when it was decided
	EventTime time.Time `json:"event_time,omitzero"` // when the network says it happened
	Domain    string    `json:"domain"`
	Addr      string    `json:"addr"`
	MSISDN    string    `json:"msisdn"`
	IMSI      string    `json:"imsi"`
	IMEI      string    `json:"imei"`
	WasMSISDN string    `json:"was_msisdn"`
	WasIMSI   string    `json:"was_imsi"`
	WasIMEI   string    `json:"was_imei"`
	APN       string    `json:"apn"`
	RAT       string    `json:"rat"`
	Node      string    `json:"node"`
	Sources   []string  `json:"sources"`
	State     string    `json:"state"`  // whether the binding can be relied on
	Reason    string    `json:"reason"` // why not
	Why       string    `json:"why"`
}

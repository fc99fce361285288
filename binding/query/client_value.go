package query

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Bounds of what the client reads.
const (
	maxDepth = 8
	maxBulk  = 16 << 20
	maxList  = 1 << 20
	maxLine  = 64 << 10
)

var errMalformed = errors.New("malformed reply")

// A value is one decoded RESP3 value. A map is a list of keys and values.
type value struct {
	kind byte // its type byte; '_' for every kind of null
	str  string
	num  int64
	list []value
}

func (v value) replyError() error {
	code, text, _ := strings.Cut(v.str, " ")
	return &ReplyError{Code: code, Text: text}
}

// readValue reads one value of at most depth levels.
func readValue(r *bufio.Reader, depth int) (value, error) {
	line, err := readLine(r)
	if err != nil {
		return value{}, err
	}
	v := value{kind: line[0], str: line[1:]}
	switch v.kind {
	case '+', '-', ',':
		return v, nil
	case '_':
		return value{kind: '_'}, nil
	case '#':
		if v.str == "t" {
			v.num = 1
		}
		return v, nil
	}
	if v.num, err = strconv.ParseInt(v.str, 10, 64); err != nil {
		return value{}, errMalformed
	}
	switch v.kind {
	case ':':
		return v, nil
	case '$', '=':
		return readBulk(r, v.num)
	case '*', '>', '~', '%':
		return readList(r, v, depth)
	}
	return value{}, errMalformed
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		if len(line) > maxLine {
			return "", errMalformed
		}
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return "", errMalformed
	}
	return string(line[:len(line)-2]), nil
}

func readBulk(r *bufio.Reader, n int64) (value, error) {
	if n == -1 {
		return value{kind: '_'}, nil
	}
	if n < 0 || n > maxBulk {
		return value{}, fmt.Errorf("%w: %d bytes", errMalformed, n)
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return value{}, err
	}
	if b[n] != '\r' || b[n+1] != '\n' {
		return value{}, errMalformed
	}
	return value{kind: '$', str: string(b[:n])}, nil
}

func readList(r *bufio.Reader, v value, depth int) (value, error) {
	if v.num == -1 {
		return value{kind: '_'}, nil
	}
	n := v.num
	if n < 0 || n > maxList || depth == 0 {
		return value{}, fmt.Errorf("%w: %d elements", errMalformed, n)
	}
	if v.kind == '%' {
		n *= 2
	}
	v.list = make([]value, 0, min(n, 1024))
	for range n {
		e, err := readValue(r, depth-1)
		if err != nil {
			return value{}, err
		}
		v.list = append(v.list, e)
	}
	return v, nil
}

// fields is a map by its keys.
func (v value) fields() map[string]value {
	m := make(map[string]value, len(v.list)/2)
	for i := 0; i+1 < len(v.list); i += 2 {
		m[v.list[i].str] = v.list[i+1]
	}
	return m
}

func (v value) strings() []string {
	return decodeList(v, func(e value) string { return e.str })
}

// time is the zero time if there is none.
func (v value) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.str)
	if err != nil {
		return time.Time{}
	}
	return t
}

func decodeList[T any](v value, decode func(value) T) []T {
	list := make([]T, 0, len(v.list))
	for _, e := range v.list {
		list = append(list, decode(e))
	}
	return list
}

func (v value) binding() BindingReply {
	if len(v.list) == 0 {
		return BindingReply{}
	}
	f := v.fields()
	return BindingReply{
		Addr: f["addr"].str, MSISDN: f["msisdn"].str, IMSI: f["imsi"].str, IMEI: f["imei"].str,
		APN: f["apn"].str, RAT: f["rat"].str, Domain: f["domain"].str, Node: f["node"].str, Site: f["site"].str,
		Sources: f["sources"].strings(), State: f["state"].str, Reason: f["reason"].str,
		Since: f["since"].time(), Seen: f["seen"].time(), Expires: f["expires"].time(),
		Version: uint64(f["version"].num),
	}
}

func (v value) node() NodeReply {
	f := v.fields()
	return NodeReply{
		Name: f["name"].str, Source: f["source"].str, Up: f["up"].num != 0,
		Since: f["since"].time(), Heard: f["heard"].time(), Restart: f["restart"].time(),
		Restarts: uint64(f["restarts"].num), Sessions: int(f["sessions"].num), Events: uint64(f["events"].num),
		Observed: f["observed"].num != 0, Degraded: f["degraded"].time(), Link: f["link"].link(),
		Owner: f["owner"].str, Also: f["also"].strings(), Shared: f["shared"].num != 0, Orphaned: f["orphaned"].num != 0,
		Timeless: f["timeless"].num != 0, OffsetKnown: f["offset_known"].num != 0, OffsetMS: f["offset_ms"].num,
	}
}

func (v value) site() SiteReply {
	f := v.fields()
	return SiteReply{
		Name: f["name"].str, Followed: f["followed"].num != 0, State: f["state"].str, Heard: f["heard"].time(), Complete: f["complete"].time(),
		Incarnation: f["incarnation"].str, Seq: uint64(f["seq"].num), Applied: uint64(f["applied"].num), Sessions: int(f["sessions"].num),
		Started: f["started"].time(), Healthy: f["healthy"].num != 0, Warming: f["warming"].num != 0, Ingesting: f["ingesting"].num != 0,
		Rows: int(f["rows"].num), Snapshots: uint64(f["snapshots"].num), Gaps: uint64(f["gaps"].num), Pools: f["pools"].strings(),
	}
}

func (v value) directory() DirectoryReply {
	f := v.fields()
	return DirectoryReply{
		Near: uint64(f["near"].num), Found: uint64(f["found"].num), None: uint64(f["none"].num), Dropped: uint64(f["dropped"].num),
		Waiting: int(f["waiting"].num), LastMicros: f["last_us"].num,
		Sources: decodeList(f["sources"], func(v value) DirectorySourceReply {
			f := v.fields()
			return DirectorySourceReply{
				Name: f["name"].str, Found: uint64(f["found"].num), Unknown: uint64(f["unknown"].num), Failed: uint64(f["failed"].num),
				Rows: int(f["rows"].num), Contradictory: int(f["contradictory"].num), Read: f["read"].time(), Problem: f["problem"].str,
			}
		}),
	}
}

func (v value) link() *LinkReply {
	if len(v.list) == 0 {
		return nil
	}
	f := v.fields()
	l := &LinkReply{
		State: f["state"].str, Address: f["address"].str, Upstream: f["upstream"].num != 0, Since: f["since"].time(),
		RoundTripMicros: f["round_trip_us"].num, OriginState: uint32(f["origin_state"].num),
		Waiting: int(f["waiting"].num), Pending: int(f["pending"].num), Results: map[string]uint64{},
	}
	for code, n := range f["results"].fields() {
		l.Results[code] = uint64(n.num)
	}
	return l
}

func (v value) status() StatusReply {
	f := v.fields()
	s := StatusReply{
		Site: f["site"].str, Daemon: f["daemon"].str, Started: f["started"].time(),
		Warming: f["warming"].num != 0, Healthy: f["healthy"].num != 0, Problems: f["problems"].strings(),
		Sessions: int(f["sessions"].num), SessionsCap: int(f["sessions_cap"].num),
		Addresses: int(f["addresses"].num), AddressCap: int(f["address_cap"].num),
		Tombstones: int(f["tombstones"].num), Queue: int(f["queue"].num), QueueCap: int(f["queue_cap"].num),
		Nodes: int(f["nodes"].num), JournalSeq: uint64(f["journal_seq"].num),
		Commits: uint64(f["commits"].num), CommitMicros: f["commit_us"].num,
		Edges: map[string]string{}, Counters: map[string]uint64{},
	}
	for name, words := range f["edges"].fields() {
		s.Edges[name] = words.str
	}
	for name, n := range f["counters"].fields() {
		s.Counters[name] = uint64(n.num)
	}
	return s
}

func (v value) trace() TraceReply {
	f := v.fields()
	return TraceReply{
		At: f["at"].time(), Kind: f["kind"].str, Source: f["source"].str, Node: f["node"].str,
		Session: f["session"].str, MSISDN: f["msisdn"].str, IMSI: f["imsi"].str, IMEI: f["imei"].str,
		Addrs: f["addrs"].strings(), Domain: f["domain"].str, Time: f["time"].time(), Outcome: f["outcome"].str,
	}
}

func (v value) change() ChangeReply {
	f := v.fields()
	return ChangeReply{
		Seq: uint64(f["seq"].num), Kind: f["kind"].str, At: f["at"].time(), EventTime: f["event_time"].time(),
		Domain: f["domain"].str, Addr: f["addr"].str,
		MSISDN: f["msisdn"].str, IMSI: f["imsi"].str, IMEI: f["imei"].str,
		WasMSISDN: f["was_msisdn"].str, WasIMSI: f["was_imsi"].str, WasIMEI: f["was_imei"].str,
		APN: f["apn"].str, RAT: f["rat"].str, Node: f["node"].str, Sources: f["sources"].strings(),
		State: f["state"].str, Reason: f["reason"].str, Why: f["why"].str,
	}
}

package feed

import (
	"time"

	"github.com/simbind/simbind/binding"
)

// A bindingReply is a binding as lookup and snapshot show it. Only "bound" is
// a state to rely on.
type bindingReply struct {
	State   string    `json:"state"`
	Reason  string    `json:"reason"`
	Domain  string    `json:"domain,omitempty"`
	Addr    string    `json:"addr,omitempty"`
	Ports   []uint16  `json:"ports,omitempty"`
	MSISDN  string    `json:"msisdn,omitempty"`
	IMSI    string    `json:"imsi,omitempty"`
	IMEI    string    `json:"imei,omitempty"`
	APN     string    `json:"apn,omitempty"`
	RAT     string    `json:"rat,omitempty"`
	Node    string    `json:"node,omitempty"`
	Sources []string  `json:"sources,omitempty"`
	Since   timestamp `json:"since,omitzero"`
	Seen    timestamp `json:"seen,omitzero"`
	Expires timestamp `json:"expires,omitzero"`
	Version uint64    `json:"version,omitempty"`
}

// binding shows b, the number as the privacy mode wants it.
func (s *service) binding(b binding.Binding) bindingReply {
	r := bindingReply{
		State: b.State.String(), Reason: b.Reason.String(),
		Domain: b.Domain, Addr: bareAddress(b.Addr),
		IMSI: b.IMSI.String(), IMEI: b.IMEI.String(),
		APN: b.APN, RAT: b.RAT.String(), Node: b.Node, Sources: b.Sources.Names(),
		Since: timestamp(b.Since), Seen: timestamp(b.Seen), Expires: timestamp(b.Expires),
		Version: b.Version,
	}
	if b.Site == "" {
		r.Version = s.version(b.Version)
	}
	if b.MSISDN != 0 {
		r.MSISDN = string(appendNumber(nil, s.cfg.PublishMSISDN, b.MSISDN))
	}
	if b.Addr.PortLow|b.Addr.PortHigh != 0 {
		r.Ports = []uint16{b.Addr.PortLow, b.Addr.PortHigh}
	}
	return r
}

// bareAddress is the address or prefix without the ports.
func bareAddress(a binding.Address) string {
	a.PortLow, a.PortHigh = 0, 0
	return a.String()
}

// A timestamp is written like the times of a change, and left out if it has no
// such form.
type timestamp time.Time

// IsZero tells encoding/json what to leave out.
func (t timestamp) IsZero() bool { return len(new(second).appendTime(nil, "", time.Time(t))) == 0 }

// MarshalJSON implements json.Marshaler.
func (t timestamp) MarshalJSON() ([]byte, error) {
	return new(second).appendTime(nil, `"`, time.Time(t)), nil
}

type snapshotRequest struct {
	By     string `json:"by"`
	Value  string `json:"value"`
	Limit  int    `json:"limit"`
	Cursor uint64 `json:"cursor"`
}

// A snapshotReply is one page. Whoever starts from a snapshot subscribes
// first, then reads all pages, then applies the changes of the same
// incarnation above Seq of the first page. A cursor means something to the
// process alone that gave it: if Instance is another one than that of the first
// page, the pages do not belong together.
type snapshotReply struct {
	Site        string         `json:"site"`
	Incarnation string         `json:"incarnation"`
	Seq         uint64         `json:"seq"`
	Sessions    []bindingReply `json:"sessions"`
	Cursor      uint64         `json:"cursor"` // of the next page; zero: this is the last one
	Instance    string         `json:"instance"`
}

func (s *service) snapshot(data []byte) (any, error) {
	req := snapshotRequest{Limit: snapshotLimit}
	if err := decode(data, &req); err != nil {
		return nil, err
	}
	if req.Limit < 1 || req.Limit > snapshotMax {
		return nil, badRequest("limit: 1 to %d", snapshotMax)
	}
	status, state := s.asker.Status(), s.health.get()
	if status.Warming {
		return nil, &refusal{503, "the journal is still being loaded, ask again"}
	}
	if state.Incarnation == "" {
		return nil, &refusal{503, "the stream has not been reached yet, ask again: " + state.Problem}
	}
	list, next, err := s.asker.Sessions(binding.Selection{By: req.By, Value: req.Value, Limit: req.Limit, Cursor: req.Cursor})
	if err != nil {
		return nil, badRequest("%v", err)
	}
	reply := snapshotReply{
		Site: s.cfg.Site, Incarnation: state.Incarnation, Seq: status.JournalSeq + state.Offset,
		Sessions: make([]bindingReply, 0, len(list)), Cursor: next, Instance: s.instance,
	}
	for _, b := range list {
		if b.Site == "" { // what others said they tell themselves
			reply.Sessions = append(reply.Sessions, s.binding(b))
		}
	}
	return reply, nil
}

// A statusReply tells how the site does, without identities.
type statusReply struct {
	Site        string    `json:"site"`
	Incarnation string    `json:"incarnation,omitempty"`
	Started     timestamp `json:"started,omitzero"`
	Healthy     bool      `json:"healthy"`
	Warming     bool      `json:"warming"`
	Problems    []string  `json:"problems"`
	Sessions    int       `json:"sessions"`
	SessionsCap int       `json:"sessions_cap"`
	Addresses   int       `json:"addresses"`
	Nodes       int       `json:"nodes"`
	Seq         uint64    `json:"seq"`
	Delivered   uint64    `json:"delivered"`
	Feed        string    `json:"feed"` // "ok", or what keeps changes from being delivered
}

func (s *service) status(data []byte) (any, error) {
	if err := decode(data, &struct{}{}); err != nil {
		return nil, err
	}
	st, state := s.asker.Status(), s.health.get()
	reply := statusReply{
		Site: s.cfg.Site, Incarnation: state.Incarnation, Started: timestamp(st.Started),
		Healthy: st.Healthy, Warming: st.Warming, Problems: append([]string{}, st.Problems...),
		Sessions: st.Sessions, SessionsCap: st.SessionsCap, Addresses: st.Addresses, Nodes: st.Nodes,
		Seq: st.JournalSeq + state.Offset, Delivered: state.Delivered + state.Offset, Feed: state.Problem,
	}
	if reply.Feed == "" {
		reply.Feed = "ok"
	}
	return reply, nil
}

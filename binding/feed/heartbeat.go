package feed

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding"
)

// heartbeatEvery is how often a site says how it is; heartbeatMax bounds the
// message, heartbeatPools how many prefixes it names.
const (
	heartbeatEvery = time.Second
	heartbeatMax   = 256 << 10
	heartbeatPools = 4096
)

// A heartbeat is what a site says about itself, as a plain message: who missed
// one needs it no more.
type heartbeat struct {
	V           int    `json:"v"`
	Site        string `json:"site"`
	Incarnation string `json:"incarnation"`
	// Seq is the number of the last change decided: who has applied it knows all
	// that the site knew At this moment.
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Healthy bool      `json:"healthy"`
	// Warming: some of what the site knows is not published yet, because it has
	// just started. Ingesting: it takes news in.
	Warming   bool   `json:"warming"`
	Ingesting bool   `json:"ingesting"`
	Sessions  int    `json:"sessions"`
	Pools     []pool `json:"pools"`
	// NoService: the site answers no questions, so that it cannot be followed.
	NoService bool `json:"no_service,omitempty"`
	// Truncated: it has pools that it does not name, because they are too many.
	Truncated bool `json:"truncated,omitempty"`
	// Member is who of an HA pair speaks, Term counts the takeovers, Leaving: it
	// stops, another may take over at once.
	Member  string `json:"member,omitempty"`
	Term    uint64 `json:"term,omitempty"`
	Leaving bool   `json:"leaving,omitempty"`
}

// A pool is the prefixes of one of the site's address domains; none means any
// address.
type pool struct {
	Domain   string         `json:"domain"`
	Prefixes []netip.Prefix `json:"prefixes"`
}

// beat publishes heartbeats until ctx ends. While another publisher speaks for
// the site, or the stream was not reached yet, it is silent.
func (f *Feed) beat(ctx context.Context, nc *nats.Conn) {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if state := f.health.get(); state.Incarnation != "" && !f.health.isHeld() && nc.IsConnected() && f.pair.pulse() {
				f.sendBeat(nc, state, now, false)
			}
		}
	}
}

func (f *Feed) sendBeat(nc *nats.Conn, state State, now time.Time, leaving bool) {
	st := f.asker.Status()
	member, term := f.pair.ours()
	pools, truncated := announced(f.ownDomains())
	body, err := json.Marshal(heartbeat{
		V: Version, Site: f.cfg.Site, Incarnation: state.Incarnation, Seq: st.JournalSeq + state.Offset, At: now.UTC().Truncate(time.Millisecond),
		Started: st.Started.UTC().Truncate(time.Millisecond), Healthy: st.Healthy, Warming: st.Warming || !st.Settled, Ingesting: st.Ingesting,
		Sessions: st.Sessions, Pools: pools, Truncated: truncated, NoService: !f.cfg.Service,
		Member: member, Term: term, Leaving: leaving,
	})
	if err != nil {
		f.log.Error("the heartbeat cannot be written", "err", err)
		return
	}
	_ = nc.Publish(heartbeatSubject(f.cfg.Site), body) // fails only without a connection
}

// announced are the pools of the domains, as far as a heartbeat may name them.
func announced(domains []binding.Domain) (pools []pool, truncated bool) {
	pools, room := []pool{}, heartbeatPools
	for _, d := range domains {
		if len(d.Pools) > room {
			return pools, true
		}
		room -= len(d.Pools)
		pools = append(pools, pool{d.Name, append([]netip.Prefix{}, d.Pools...)})
	}
	return pools, false
}

// ownDomains are the domains that the site announces. A replica that answers
// nobody has none: its pools are those of others.
func (f *Feed) ownDomains() []binding.Domain {
	if !f.cfg.Service && len(f.cfg.Follow.Sites) > 0 {
		return nil
	}
	return f.asker.Domains()
}

// parseHeartbeat reads the heartbeat of the site that the subject names.
func parseHeartbeat(subject string, data []byte) (heartbeat, bool) {
	var m struct {
		heartbeat
		Kind string `json:"kind"` // of a change, which somebody has had sent here
	}
	if len(data) > heartbeatMax || json.Unmarshal(data, &m) != nil || m.V != Version || m.Kind != "" {
		return m.heartbeat, false
	}
	h := m.heartbeat
	if checkToken("site", h.Site, 64) != nil || h.Incarnation == "" || len(h.Incarnation) > 128 || len(h.Member) > 64 || subject != heartbeatSubject(h.Site) {
		return h, false
	}
	n := 0
	for _, p := range h.Pools {
		if n += len(p.Prefixes); n > heartbeatPools || p.Domain == "" {
			return h, false
		}
	}
	return h, true
}

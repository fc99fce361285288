package diameter

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds of messages, as labels.
const (
	kindOther = iota
	kindCapabilities
	kindWatchdog
	kindDisconnect
	kindCreditControl
	kindReAuth
	messageKinds
)

var kindNames = [messageKinds]string{"other", "capabilities-exchange", "device-watchdog", "disconnect-peer", "credit-control", "re-auth"}

func kindOf(command uint32) int {
	switch command {
	case cmdCapabilities:
		return kindCapabilities
	case cmdWatchdog:
		return kindWatchdog
	case cmdDisconnect:
		return kindDisconnect
	case cmdCreditControl:
		return kindCreditControl
	case cmdReAuth:
		return kindReAuth
	}
	return kindOther
}

// countedResults are the results that are counted by themselves; others are
// counted together.
var countedResults = [...]resultCode{
	resultSuccess, resultLimitedSuccess, resultUnsupportedCommand, resultUnableToDeliver, resultTooBusy, resultLoopDetected,
	resultUnsupportedApp, resultInvalidBits, resultUnknownPeer, resultUnknownSession, resultNotAuthorized, resultInvalidValue,
	resultMissingAVP, resultOccursTooOften, resultUnableToComply, resultInvalidAVPLength,
}

// peerCounts are what was counted of one peer. All atomic.
type peerCounts struct {
	requests, answers [messageKinds]atomic.Uint64 // from the peer
	results           [len(countedResults) + 1]atomic.Uint64
	refused           atomic.Uint64
	unexpected        atomic.Uint64
	unlearned         atomic.Uint64
	notes             [noteCount]atomic.Uint64
}

func (p *peerCounts) received(m frame) {
	kind := kindOf(m.command())
	if m.request() {
		p.requests[kind].Add(1)
	} else {
		p.answers[kind].Add(1)
	}
}

// answered counts an answer to a request of the peer.
func (p *peerCounts) answered(result resultCode) {
	i := slices.Index(countedResults[:], result)
	if i < 0 {
		i = len(countedResults)
	}
	p.results[i].Add(1)
}

func (p *peerCounts) noted(notes Notes) {
	for i := 0; notes != 0; i, notes = i+1, notes>>1 {
		if notes&1 == 1 {
			p.notes[i].Add(1)
		}
	}
}

// byResult are the answers so far by result code; 0 stands for all others.
func (p *peerCounts) byResult() map[uint32]uint64 {
	results := map[uint32]uint64{}
	for i := range p.results {
		if n := p.results[i].Load(); n > 0 {
			code := resultCode(0)
			if i < len(countedResults) {
				code = countedResults[i]
			}
			results[uint32(code)] = n
		}
	}
	return results
}

// serverCounts are counted over all connections. All atomic.
type serverCounts struct {
	connections                      atomic.Int64
	accepted, overLimit, notAdmitted atomic.Uint64
	lost, left                       atomic.Uint64
	writes                           atomic.Uint64
	overdue, moved                   atomic.Uint64
}

// Collector offers the metrics, named simbindd_diameter_….
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ s *Server }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	n := &c.s.counts
	metric(ch, "connections", "Open connections, admitted or not.", prometheus.GaugeValue, float64(n.connections.Load()))
	metric(ch, "writes_total", "Writes to connections; many answers leave with one.", prometheus.CounterValue, float64(n.writes.Load()))
	metric(ch, "relay_overdue_total", "Forwarded requests that were not answered in time.", prometheus.CounterValue, float64(n.overdue.Load()))
	metric(ch, "relay_moved_total", "Forwarded requests taken away from an upstream that failed.", prometheus.CounterValue, float64(n.moved.Load()))
	metric(ch, "relay_lost_events_total", "Events that the registry could not take in time; their nodes count as restarted.", prometheus.CounterValue, float64(c.s.learner.lost.Load()))
	metric(ch, "shared_names", "Origin-Hosts heard through two peers of no common group; 64 at most are counted.", prometheus.GaugeValue, float64(len(c.s.SharedNames())))
	for what, v := range map[string]*atomic.Uint64{
		"accepted": &n.accepted, "over-limit": &n.overLimit, "not-admitted": &n.notAdmitted, "lost": &n.lost, "left": &n.left,
	} {
		metric(ch, "connections_total", "Connections by what became of them.", prometheus.CounterValue, float64(v.Load()), "what", what)
	}
	known := map[string]bool{}
	for _, p := range c.s.peers.list() {
		known[p.name] = true
		p.collect(ch)
	}
	c.s.admission.collect(known, ch)
}

// collect tells of the peers that are expected and not known yet, so that their
// silence can be told from their absence. Nobody is called "*", which stands for
// whoever an entry lets in.
func (a *admission) collect(known map[string]bool, ch chan<- prometheus.Metric) {
	for _, entry := range *a.peers.Load() {
		host := cmp.Or(entry.Host, "*")
		if known[strings.ToLower(host)] {
			continue
		}
		known[strings.ToLower(host)] = true
		if host != "*" {
			metric(ch, "peer_open", peerOpenHelp, prometheus.GaugeValue, 0, "peer", host)
		}
		metric(ch, "requests_total", requestsHelp, prometheus.CounterValue, 0, "peer", host, "kind", kindNames[kindCreditControl])
	}
}

const (
	peerOpenHelp = "1 while the peer is connected."
	requestsHelp = "Requests received."
)

func (p *peer) collect(ch chan<- prometheus.Metric) {
	open := 0.0
	if conn := p.conn.Load(); conn != nil {
		open = 1
		metric(ch, "open_requests", "Requests that wait for their commit.", prometheus.GaugeValue, float64(conn.open.waiting()), "peer", p.host)
		metric(ch, "pending_requests", "Requests forwarded to the peer that it has not answered.", prometheus.GaugeValue, float64(conn.pending.waiting()), "peer", p.host)
	}
	metric(ch, "peer_open", peerOpenHelp, prometheus.GaugeValue, open, "peer", p.host)
	vec := func(name, help, label string, values []atomic.Uint64, names []string, zeros ...int) {
		for i := range values {
			if v := values[i].Load(); v > 0 || slices.Contains(zeros, i) {
				metric(ch, name, help, prometheus.CounterValue, float64(v), "peer", p.host, label, names[i])
			}
		}
	}
	vec("requests_total", requestsHelp, "kind", p.counts.requests[:], kindNames[:], kindCreditControl)
	vec("answers_received_total", "Answers received.", "kind", p.counts.answers[:], kindNames[:])
	vec("notes_total", "Requests with something left out.", "note", p.counts.notes[:], noteNames[:])
	for code, n := range p.counts.byResult() {
		label := strconv.Itoa(int(code))
		if code == 0 {
			label = "other"
		}
		metric(ch, "answers_total", "Answers to the peer's requests.", prometheus.CounterValue, float64(n), "peer", p.host, "result", label)
	}
	metric(ch, "unlearned_total", "Requests that were forwarded but not understood.", prometheus.CounterValue, float64(p.counts.unlearned.Load()), "peer", p.host)
	metric(ch, "unexpected_answers_total", "Answers that nobody asked for.", prometheus.CounterValue, float64(p.counts.unexpected.Load()), "peer", p.host)
}

// metric sends one sample; labels are names and values in turn.
func metric(ch chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("simbindd_diameter_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}

func (c resultCode) String() string { return fmt.Sprint(uint32(c)) }

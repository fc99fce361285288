package radius

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A dropReason says why a datagram is not answered.
type dropReason uint8

const (
	dropUnknownClient dropReason = iota
	dropMalformed
	dropCode
	dropAuthenticator
	dropMessage
	dropNoMessage
	dropNode
	dropInFlight
	dropFull
	dropReasons
)

var dropNames = [dropReasons]string{
	"unknown-client", "malformed", "code", "authenticator", "message-authenticator", "no-message-authenticator",
	"node-not-allowed", "in-flight", "table-full",
}

// Kinds of requests, as labels.
const (
	kindOther = iota
	kindStart
	kindStop
	kindUpdate
	kindOn
	kindOff
	kindStatusServer
	requestKinds
)

var kindNames = [requestKinds]string{"other", "start", "stop", "interim", "on", "off", "status-server"}

// clientCounts are what was counted of one client. All atomic.
type clientCounts struct {
	name     string
	requests [requestKinds]atomic.Uint64 // authentic, repetitions included
	dropped  [dropReasons]atomic.Uint64
	refused  [outcomeCount]atomic.Uint64
	notes    [noteCount]atomic.Uint64
	repeats  atomic.Uint64 // answered from the table
}

func (c *clientCounts) received(f *fields, p packet) {
	kind := kindOther
	switch {
	case p.code() == codeStatusServer:
		kind = kindStatusServer
	case f.status.value >= statusStart && f.status.value <= statusUpdate:
		kind = kindStart + int(f.status.value) - statusStart
	case f.status.value == statusOn:
		kind = kindOn
	case f.status.value == statusOff:
		kind = kindOff
	}
	c.requests[kind].Add(1)
}

func (c *clientCounts) noted(notes Notes) {
	for i := range noteCount {
		if notes>>i&1 == 1 {
			c.notes[i].Add(1)
		}
	}
}

// countsOf finds the counts of a client by its name; they outlive a reload.
func (s *Server) countsOf(name string) *clientCounts {
	s.countsMu.Lock()
	defer s.countsMu.Unlock()
	for _, c := range s.counts {
		if c.name == name {
			return c
		}
	}
	c := &clientCounts{name: name}
	s.counts = append(s.counts, c)
	return c
}

// drop counts a datagram that stays unanswered and says so, at a limited rate
// where an operator must act.
func (s *Server) drop(c *client, reason dropReason, from netip.Addr, err error) {
	counts, name := s.strangers, ""
	if c != nil {
		counts, name = c.counts, c.Name
	}
	counts.dropped[reason].Add(1)
	switch reason {
	case dropMalformed, dropCode:
		s.log.Debug("request dropped", "peer", from, "client", name, "reason", dropNames[reason], "err", err)
	default:
		if s.warnings.Allow() {
			s.log.Warn("request dropped", "peer", from, "client", name, "reason", dropNames[reason], "err", err)
		}
	}
}

// Collector offers the metrics, named simbindd_radius_….
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ s *Server }

// Describe sends nothing: the metrics are not known beforehand.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the counters.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.s.countsMu.Lock()
	all := append([]*clientCounts{c.s.strangers}, c.s.counts...)
	c.s.countsMu.Unlock()
	for _, counts := range all {
		counts.collect(ch)
	}
	metric(ch, "answers_total", "Answers sent.", prometheus.CounterValue, float64(c.s.answers.Load()))
	metric(ch, "send_errors_total", "Answers that the kernel refused.", prometheus.CounterValue, float64(c.s.sendErrors.Load()))
	metric(ch, "shared_nodes", "Names of nodes that clients of different groups spoke for within the last hour.",
		prometheus.GaugeValue, float64(len(c.s.SharedNames())))
	for _, u := range c.s.bound() {
		u.collect(ch)
	}
	c.s.radsecStats.collect(ch)
	if c.s.home != nil {
		c.s.home.collect(ch)
	}
}

func (c *clientCounts) collect(ch chan<- prometheus.Metric) {
	vec := func(name, help, label string, values []atomic.Uint64, names []string, zeros ...int) {
		for i := range values {
			if v := values[i].Load(); v > 0 || slices.Contains(zeros, i) {
				metric(ch, name, help, prometheus.CounterValue, float64(v), "client", c.name, label, names[i])
			}
		}
	}
	var expected []int // there from the start, so that silence can be told from absence
	if c.name != "" {
		expected = []int{kindStart, kindStop, kindUpdate}
	}
	vec("requests_total", "Authentic requests, repetitions included.", "kind", c.requests[:], kindNames[:], expected...)
	vec("dropped_total", "Datagrams that were dropped.", "reason", c.dropped[:], dropNames[:])
	vec("refused_total", "Requests left unanswered because their event was not taken.", "reason", c.refused[:], outcomeNames[:])
	vec("notes_total", "Requests with something left out.", "note", c.notes[:], noteNames[:])
	if v := c.repeats.Load(); v > 0 {
		metric(ch, "repeats_total", "Repetitions answered again.", prometheus.CounterValue, float64(v), "client", c.name)
	}
}

func (u *socket) collect(ch chan<- prometheus.Metric) {
	listen := u.addr.String()
	metric(ch, "receive_buffer_bytes", "Effective size of the socket's receive buffer.", prometheus.GaugeValue, float64(u.buffer), "listen", listen)
	metric(ch, "kernel_drops_total", "Datagrams dropped by the kernel for want of room.", prometheus.CounterValue, float64(u.drops.Load()), "listen", listen)
	metric(ch, "open_requests", "Requests that wait for their commit.", prometheus.GaugeValue, float64(u.lane.table.opened()), "listen", listen)
}

// metric sends one sample; labels are names and values in turn.
func metric(ch chan<- prometheus.Metric, name, help string, kind prometheus.ValueType, value float64, labels ...string) {
	var names, values []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	desc := prometheus.NewDesc("simbindd_radius_"+name, help, names, nil)
	ch <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}

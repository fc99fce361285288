package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/feed"
	"github.com/simbind/simbind/binding/registry"
	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/diameter"
)

// described is the registry with what the other parts know of its subjects:
// the feed's and the tap's part of the status, and the connections of nodes.
type described struct {
	*registry.Registry
	feed *feed.Feed
	tap  *bpf.Tap         // nil if it is off
	gx   *diameter.Server // nil if it is off
	book *phonebook       // nil if it is off
	far  *abroad          // nil if it is off
	// owners are those of the configuration.
	owners *owners
}

// Elsewhere reports that other sites announce the address.
func (d described) Elsewhere(q binding.Query) bool {
	if d.far == nil {
		return false
	}
	_, no := d.feed.Owner(q.Addr, q.Domain)
	return no != binding.ReasonOutOfPool
}

// VerifyFar asks the site that has the address.
func (d described) VerifyFar(ctx context.Context, q binding.Query, n binding.Number) binding.Answer {
	return d.far.verify(ctx, q, n)
}

// LookupFar asks the site that has the address.
func (d described) LookupFar(ctx context.Context, q binding.Query) (binding.Binding, binding.Answer) {
	return d.far.lookup(ctx, q)
}

// Directory is the directory's account of itself.
func (d described) Directory() (state binding.DirectoryState, on bool) {
	if d.book == nil {
		return state, false
	}
	return d.book.State(), true
}

// Number asks the directory.
func (d described) Number(ctx context.Context, imsi binding.IMSI) (binding.MSISDN, string, error) {
	return d.book.Number(ctx, imsi)
}

func (d described) Status() binding.Status {
	status, published := d.Registry.Status(), d.feed.State()
	status.Counters["feed_delivered"] = published.Delivered
	status.Counters["feed_connected"] = 0
	if published.Connected {
		status.Counters["feed_connected"] = 1
	}
	status.Edges = map[string]string{"feed": describeFeed(published)}
	if published.Role != "" {
		status.Edges["pair"] = describePair(published)
	}
	if words := describeSites(d.feed.Sites()); words != "" {
		status.Edges["sites"] = words
	}
	if d.book != nil {
		status.Edges["directory"] = describeDirectory(d.book.State())
	}
	if d.tap != nil {
		describeTap(d.tap, &status)
	}
	nodes := d.Registry.Nodes()
	markShared(nodes, time.Now())
	d.owners.mark(nodes)
	if words := describeNodes(nodes); words != "" {
		status.Edges["nodes"] = words
	}
	return status
}

// delivering is how the feed is that publishes.
const delivering = "delivering"

// describeFeed says how publishing goes, in the words of /healthz.
func describeFeed(s feed.State) string {
	words := slices.Clone(s.Warnings)
	if s.Problem != "" {
		words = append(words, s.Problem)
	}
	if len(words) == 0 {
		return delivering
	}
	return strings.Join(words, "; ")
}

// describePair says which part this daemon has in its pair.
func describePair(s feed.State) string {
	switch {
	case s.Role == feed.RoleActive:
		return s.Role
	case !s.Standing:
		return s.Role + ", no other member is heard or its snapshot is not read yet: a takeover would begin a new incarnation"
	}
	return fmt.Sprintf("%s, differs at %d places", s.Role, s.Differ)
}

// describeSites counts the sites that are followed by how that goes; empty if
// there are none.
func describeSites(sites []binding.Site) string {
	states := map[string]int{}
	for _, s := range sites {
		if s.Followed {
			states[s.State]++
		}
	}
	var words []string
	for _, state := range slices.Sorted(maps.Keys(states)) {
		words = append(words, fmt.Sprintf("%d %s", states[state], state))
	}
	return strings.Join(words, ", ")
}

// Sites are those that the feed hears.
func (d described) Sites() []binding.Site { return d.feed.Sites() }

// Nodes has a link for each node that is a peer itself. Peers without sessions
// of their own, agents and PCRFs, come after the nodes.
func (d described) Nodes() []binding.Node {
	nodes := d.Registry.Nodes()
	markShared(nodes, time.Now())
	d.owners.mark(nodes)
	if d.gx == nil {
		return nodes
	}
	links := map[string]diameter.PeerReport{}
	peers := d.gx.Peers()
	for _, p := range peers {
		links[strings.ToLower(p.Host)] = p
	}
	for i := range nodes {
		name := strings.ToLower(nodes[i].Name)
		if p, ok := links[name]; ok && nodes[i].Source == binding.SourceGx {
			nodes[i].Link = linkOf(p)
			delete(links, name)
		}
	}
	for _, p := range peers {
		if _, left := links[strings.ToLower(p.Host)]; left {
			nodes = append(nodes, binding.Node{Name: p.Host, Source: binding.SourceGx, Up: p.Open, Since: p.Since, Link: linkOf(p)})
		}
	}
	return nodes
}

func linkOf(p diameter.PeerReport) *binding.Link {
	return &binding.Link{
		State: p.State, Address: p.Address, Upstream: p.Upstream, Since: p.Since, RoundTrip: p.RoundTrip,
		OriginState: p.OriginState, Waiting: p.Waiting, Pending: p.Pending, Results: p.Results,
	}
}

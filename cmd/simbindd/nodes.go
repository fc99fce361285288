package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// sharedFor is how long ago the nodes of one name may have been heard that are
// told of as sharing it.
const sharedFor = time.Hour

// markShared marks the nodes whose name several owners brought lately. It may be
// one gateway that comes by two ways, which need a group, or one that uses a
// foreign name.
func markShared(nodes []binding.Node, now time.Time) {
	type name struct {
		source binding.Source
		text   string
	}
	known := map[name][]int{}
	for i, n := range nodes {
		if now.Sub(n.Heard) > sharedFor {
			continue
		}
		for _, text := range append([]string{n.Name}, n.Also...) {
			at := name{n.Source, strings.ToLower(text)}
			if list := known[at]; len(list) == 0 || list[len(list)-1] != i {
				known[at] = append(list, i)
			}
		}
	}
	for _, list := range known {
		for _, i := range list {
			nodes[i].Shared = nodes[i].Shared || len(list) > 1
		}
	}
}

// unsettled reports that a node tells some time and that its clock is not known,
// though it has spoken often enough: it was set lately, or only delays are told.
func unsettled(n *binding.Node) bool {
	const often = 16 // words: twice what a clock takes to settle
	return n.Source == binding.SourceRADIUS && !n.Timeless && !n.OffsetKnown && n.Events >= often
}

// describeNodes counts the nodes that an operator should look at; empty if there
// are none.
func describeNodes(nodes []binding.Node) string {
	var timeless, unknown, shared, orphaned int
	for i := range nodes {
		if nodes[i].Timeless {
			timeless++
		}
		if unsettled(&nodes[i]) {
			unknown++
		}
		if nodes[i].Shared {
			shared++
		}
		if nodes[i].Orphaned {
			orphaned += nodes[i].Sessions
		}
	}
	var words []string
	for _, tell := range []struct {
		n    int
		what string
	}{{timeless, "tell no time"}, {unknown, "with a clock that is not known"}, {shared, "share a name with another owner's"},
		{orphaned, "sessions of owners that the configuration does not have"}} {
		if tell.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", tell.n, tell.what))
		}
	}
	return strings.Join(words, ", ")
}

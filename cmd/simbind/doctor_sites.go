package main

import (
	"fmt"
	"strings"

	"github.com/simbind/simbind/binding/query"
)

// checkPair looks at the daemon's part in its HA pair; nil if it is in none.
func checkPair(s query.StatusReply) []finding {
	words, has := s.Edges["pair"]
	if !has {
		return nil
	}
	f := ok("pair", "%s", words)
	if strings.Contains(words, "no other member") {
		return []finding{f.warn("see that the other member runs, and that the active one has nats.service: true")}
	}
	return []finding{f}
}

// checkDirectory looks at the sources of numbers; nil if there are none.
func checkDirectory(s query.StatusReply) []finding {
	words, has := s.Edges["directory"]
	if !has {
		return nil
	}
	f := ok("directory", "%s", words)
	if words != "answering" {
		f = f.warn("see simbind directory; sessions without a number of their own answer unknown/no-msisdn")
	}
	return []finding{f}
}

// checkSites looks at the sites that the daemon follows; nil if there are none.
func checkSites(sites []query.SiteReply) []finding {
	followed := 0
	var behind []string
	for _, s := range sites {
		if !s.Followed {
			continue
		}
		if followed++; s.State != "current" {
			behind = append(behind, fmt.Sprintf("%s (%s)", s.Name, s.State))
		}
	}
	switch {
	case followed == 0:
		return nil
	case len(behind) == 0:
		return []finding{ok("sites", "%d are followed, all of them current", followed)}
	}
	return []finding{ok("sites", "%d of %d followed are not current: %s", len(behind), followed, strings.Join(behind, ", ")).
		warn("see simbind sites; what a site said is stale until it is current, and when it stays lost for loss_timeout")}
}

package query

import (
	"context"

	"github.com/simbind/simbind/binding"
)

// A SiteLister is a Registry that hears of other sites. One that is none has
// none.
type SiteLister interface {
	// Sites is called from workers and may take its time.
	Sites() []binding.Site
}

// sites answers SITES: a list of maps.
func sites(_ context.Context, s *Server, w *reply, _ *request) {
	var list []binding.Site
	if lister, ok := s.reg.(SiteLister); ok {
		list = lister.Sites()
	}
	w.array(len(list))
	for i := range list {
		w.site(&list[i])
	}
}

func (w *reply) site(s *binding.Site) {
	w.object(17)
	w.textField("name", s.Name)
	w.boolField("followed", s.Followed)
	w.textField("state", s.State)
	w.timeField("heard", s.Heard)
	w.timeField("complete", s.Complete)
	w.textField("incarnation", s.Incarnation)
	w.uintField("seq", s.Seq)
	w.uintField("applied", s.Applied)
	w.intField("sessions", s.Sessions)
	w.timeField("started", s.Started)
	w.boolField("healthy", s.Healthy)
	w.boolField("warming", s.Warming)
	w.boolField("ingesting", s.Ingesting)
	w.intField("rows", s.Rows)
	w.uintField("snapshots", s.Snapshots)
	w.uintField("gaps", s.Gaps)
	w.wordsField("pools", poolNames(s.Pools))
}

// poolNames are the pools as "domain prefix".
func poolNames(domains []binding.Domain) []string {
	names := []string{}
	for _, d := range domains {
		for _, p := range d.Pools {
			names = append(names, d.Name+" "+p.String())
		}
	}
	return names
}

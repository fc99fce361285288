package feed

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/simbind/simbind/binding"
)

var (
	descSites     = prometheus.NewDesc("simbindd_sites", "Other sites that were heard of, by whether a heartbeat came within the last seconds.", []string{"heard"}, nil)
	descForged    = prometheus.NewDesc("simbindd_sites_refused_total", "Messages on heartbeats' subjects that are no heartbeats, or of too many sites.", nil, nil)
	descFollowing = prometheus.NewDesc("simbindd_site_state", "1 for the state in which following a site is.", []string{"site", "state"}, nil)
	descComplete  = prometheus.NewDesc("simbindd_site_complete_seconds", "How long ago everything that the site knew was known here.", []string{"site"}, nil)
	descApplied   = prometheus.NewDesc("simbindd_site_applied_seq", "Number of the site's last change that was applied.", []string{"site"}, nil)
	descToApply   = prometheus.NewDesc("simbindd_site_behind_changes", "Changes that the site has decided and that are not applied here yet.", []string{"site"}, nil)
	descSnapshots = prometheus.NewDesc("simbindd_site_snapshots_total", "Snapshots of the site that were begun.", []string{"site"}, nil)
	descGaps      = prometheus.NewDesc("simbindd_site_gaps_total", "Snapshots that changes missing from the stream made necessary.", []string{"site"}, nil)
	descNot       = prometheus.NewDesc("simbindd_site_refused_total", "Changes and rows of the site that could not be understood.", []string{"site"}, nil)
)

// siteStates are the states of a SiteProgress.
var siteStates = []string{"waiting", "snapshot", "catching-up", "current", "lost"}

// collectSites shows the sites that are heard and, each by name, those that are
// followed: as many as the configuration means.
func collectSites(s *sites, ch chan<- prometheus.Metric) {
	heard, silent := 0, 0
	for _, site := range s.list() {
		if s.now().Sub(site.Heard) <= silence {
			heard++
		} else {
			silent++
		}
		if site.Followed {
			collectSite(&site, s.now(), ch)
		}
	}
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(descForged, prometheus.CounterValue, float64(refused))
	ch <- prometheus.MustNewConstMetric(descSites, prometheus.GaugeValue, float64(heard), "yes")
	ch <- prometheus.MustNewConstMetric(descSites, prometheus.GaugeValue, float64(silent), "no")
}

func collectSite(site *binding.Site, now time.Time, ch chan<- prometheus.Metric) {
	show := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{site.Name}, labels...)...)
	}
	for _, state := range siteStates {
		show(descFollowing, prometheus.GaugeValue, truth(site.State == state), state)
	}
	show(descComplete, prometheus.GaugeValue, max(now.Sub(site.Complete).Seconds(), 0))
	show(descApplied, prometheus.GaugeValue, float64(site.Applied))
	show(descToApply, prometheus.GaugeValue, float64(max(int64(site.Seq-site.Applied), 0)))
	show(descSnapshots, prometheus.CounterValue, float64(site.Snapshots))
	show(descGaps, prometheus.CounterValue, float64(site.Gaps))
	show(descNot, prometheus.CounterValue, float64(site.Refused))
}

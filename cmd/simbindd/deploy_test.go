package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// paired are the metrics of a member of a pair that follows the daemon.
func (d *daemon) paired(t *testing.T) (metrics string) {
	t.Helper()
	d.await(t, "nats server listens")
	h := newHome(t)
	text := strings.Replace(h.yaml(), "site: test", "site: other\npair: a\nfollow: [test]", 1)
	url := d.log.find("nats server listens", "url")
	h.configure(t, strings.Replace(text, `nats: {embedded: {listen: "127.0.0.1:0"}}`, fmt.Sprintf("nats: {url: %q, service: true}", url), 1))
	member := h.start(t)
	eventually(t, "it stands by and follows", func() bool {
		_, metrics = member.get(t, "/metrics")
		return strings.Contains(metrics, "simbindd_feed_pair_active") && strings.Contains(metrics, "simbindd_site_state")
	})
	return metrics
}

// An alert about silence needs a series of who never spoke.
func TestTheAlertsAboutSilenceHaveTheirSeriesFromTheStart(t *testing.T) {
	_, metrics := newGxHome(t).start(t).get(t, "/metrics")
	for _, want := range []string{
		`simbindd_radius_requests_total{client="nas",kind="start"} 0`,
		`simbindd_diameter_requests_total{kind="credit-control",peer="*"} 0`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("/metrics of a daemon that heard nothing has no %s", want)
		}
	}
}

func TestTheAlertsNameMetricsThatExist(t *testing.T) {
	const file = "../../deploy/prometheus-rules.yaml"
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := newGxHome(t).start(t)
	// Some series exist only once there is something to count.
	d.mustAccount(t, 1, radiustest.Start)
	d.pcef(t, "pgw1.lab").report(diametertest.Initial, 0, 3, 3)
	d.verdict(t, testAddr(1).String(), testNumber(1))
	if d.account(t, 2, radiustest.Start, "a wrong secret", brief) {
		t.Error("a wrong secret was answered")
	}
	_, metrics := d.get(t, "/metrics")
	metrics += d.paired(t)
	for _, m := range regexp.MustCompile(`\b(simbindd_\w+)(\{[^}]*\})?`).FindAllStringSubmatch(string(rules), -1) {
		name := m[1]
		if !strings.Contains(metrics, "\n# TYPE "+name+" ") {
			t.Errorf("%s: there is no metric %s", file, name)
		}
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if !regexp.MustCompile(`(?m)^` + name + `\{[^}]*\b` + label[1] + `="`).MatchString(metrics) {
				t.Errorf("%s: %s has no label %s", file, name, label[1])
			}
		}
	}
}

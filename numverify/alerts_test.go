package numverify_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheAlertsNameMetricsThatExist(t *testing.T) {
	const file = "../deploy/prometheus-rules.yaml"
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("monitor.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`numverify_\w+`).FindAllString(string(rules), -1)
	if len(names) == 0 {
		t.Errorf("%s has no alert for numverify", file)
	}
	for _, name := range names {
		if !strings.Contains(string(source), `Name: "`+name+`"`) {
			t.Errorf("%s: there is no metric %s", file, name)
		}
	}
}

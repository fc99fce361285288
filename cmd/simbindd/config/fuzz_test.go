package config

import (
	"os"
	"testing"
)

// FuzzParse: whatever is written, there is either a configuration or a list of
// problems, and the problems are in words.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile(reference)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(minimal + "domains: [{name: a, apns: ['*'], pools: [10.0.0.0/8]}]\nlease: 0s\nqueue: -1\n"))
	f.Add([]byte("a: &a {b: *a}\nsite: [x"))
	f.Add([]byte("site: !!binary x\ndata_dir: {<<: {a: b}}\nradius: ~\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 16<<10 {
			return
		}
		raw, root, problems := parse(text)
		if len(problems) == 0 {
			found := &findings{}
			raw.check(place{findings: found, node: root, line: 1})
			problems = found.problems
		}
		for _, p := range problems {
			if p.Text == "" || p.Line < 0 {
				t.Errorf("problem %+v", p)
			}
		}
	})
}

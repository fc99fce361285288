package query

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

func readDocs(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/query-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks are the fenced blocks of one language.
func blocks(page, language string) (list []string) {
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		list = append(list, m[1])
	}
	return list
}

func TestTheExamplesOfThePageAreTrue(t *testing.T) {
	_, path := start(t, doubtful())
	examples := blocks(readDocs(t), "redis-cli")
	if len(examples) < 8 {
		t.Fatalf("found only %d examples", len(examples))
	}
	for _, example := range examples {
		var asked, want []string
		for line := range strings.Lines(example) {
			if ask, ok := strings.CutPrefix(line, "> "); ok {
				asked = append(asked, ask)
			} else {
				want = append(want, line)
			}
		}
		got := redisCLI(t, path, strings.Join(asked, ""))
		if strings.TrimSpace(got) != strings.TrimSpace(strings.Join(want, "")) {
			t.Errorf("%sgot\n%s\nthe page says\n%s", strings.Join(asked, ""), got, strings.Join(want, ""))
		}
	}
}

func TestTheGoOfThePageCompiles(t *testing.T) {
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	examples := blocks(readDocs(t), "go")
	if len(examples) != 3 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, example := range examples {
		indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(example, "\t\t$1")
		if !strings.Contains(string(code), indented) {
			t.Errorf("example_test.go does not hold\n%s", indented)
		}
	}
}

func TestThePageNamesEveryVerdictWithItsReasons(t *testing.T) {
	var named []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| `([a-z-]+)` \\|").FindAllStringSubmatch(readDocs(t), -1) {
		named = append(named, m[1]+" "+m[2])
	}
	var want []string
	for r := range binding.Reason(reasonCount) {
		want = append(want, r.Verdict().String()+" "+r.String())
	}
	slices.Sort(named)
	slices.Sort(want)
	if !slices.Equal(named, want) {
		t.Errorf("the page has\n%q\nthe code\n%q", named, want)
	}
}

// TestThePageNamesEveryField asks for one map of each kind and looks for its
// names in the section about the command.
func TestThePageNamesEveryField(t *testing.T) {
	page := readDocs(t)
	f := doubtful()
	s, c, _ := offline(t, f)
	c.out.resp3 = true
	one := func(line string) value { return exchange(t, s, c, []byte(line+"\r\n"))[0] }
	w := &watcher{}
	out := reply{resp3: true}
	moved := change(1, binding.Moved, 7)
	w.add(&out, &moved)
	for section, m := range map[string]value{
		"### LOOKUP":    one("LOOKUP 10.45.0.7"),
		"### NODES":     one("NODES").list[0],
		"### SITES":     one("SITES").list[0],
		"### DIRECTORY": one("DIRECTORY"),
		"### STATUS":    one("STATUS"),
		"### TRACE":     one("TRACE 10.45.0.7").list[0],
		"## Watching":   parsed(t, out.b).list[1],
	} {
		_, text, ok := strings.Cut(page, "\n"+section)
		if !ok || len(m.list) == 0 {
			t.Fatalf("no section %q, or no map", section)
		}
		text, _, _ = strings.Cut(text, "\n##")
		for name := range m.fields() {
			if !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%s does not name `%s`", section, name)
			}
		}
	}
}

func TestThePageNamesEveryCommand(t *testing.T) {
	page := readDocs(t)
	for _, cmd := range commandTable() {
		if !regexp.MustCompile(`(?m)^### .*\b` + cmd.name + `\b`).MatchString(page) {
			t.Errorf("no section about %s", cmd.name)
		}
		if cmd.needs != roleNone && !strings.Contains(page, "### "+strings.TrimSpace(cmd.name+" "+cmd.usage)) &&
			cmd.name != "GET" && cmd.name != "MGET" && cmd.name != "SESSIONS" && cmd.name != "WATCH" {
			t.Errorf("the page shows another usage of %s than %q", cmd.name, cmd.usage)
		}
	}
}

func TestThePageNamesEveryMetric(t *testing.T) {
	s, path := start(t, newFake(10))
	dialRaw(t, path).ask("NODES")
	page := readDocs(t)
	for name := range gathered(t, s) {
		name, _, _ = strings.Cut(name, " ")
		if !regexp.MustCompile("`" + name + "[`{]").MatchString(page) {
			t.Errorf("the page does not name %s", name)
		}
	}
	for r := range closings {
		if !strings.Contains(page, "`"+r.String()+"`") {
			t.Errorf("the page does not name the end %q", r)
		}
	}
}

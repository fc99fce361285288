package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheFirstRecordOfTheReadme does what README.md says, on free ports.
func TestTheFirstRecordOfTheReadme(t *testing.T) {
	tool(t, "radclient", "Debian's freeradius-utils")
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language, word string) string {
		for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], word) {
				return m[1]
			}
		}
		t.Fatalf("README.md has no block of %s with %s", language, word)
		return ""
	}
	h := newHome(t)
	yaml := strings.NewReplacer("127.0.0.1:1813", "127.0.0.1:0", "./try", filepath.Join(h.dir, "data"), "./simbind.sock", h.socket()).Replace(block("yaml", "radius:"))
	h.configure(t, yaml+"log: {format: json}\n")
	p := h.spawn(t)

	if out, err := exec.Command("go", "build", "-o", filepath.Join(h.dir, "bin", "simbind"), "../simbind").CombinedOutput(); err != nil {
		t.Fatalf("build simbind: %v\n%s", err, out)
	}
	script := strings.NewReplacer("127.0.0.1:1813", p.radius(), "./simbind.sock", h.socket()).Replace(block("sh", "radclient"))
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = h.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`(?m)^verdict +match$`, `(?m)^reason +bound$`, `session-start.* applied\n`} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("it does not print %s:\n%s", want, out)
		}
	}
}

package query

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// tool finds an outside program, or skips the test; in CI that is a failure.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("SIMBIND_CI") == "1" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("it did not happen within 10 s")
		}
	}
}

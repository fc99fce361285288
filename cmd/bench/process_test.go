package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCPUTimeIsReadWhateverTheProgramIsCalled(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 50 13 14"
	for _, name := range []string{"(simbindd)", "(a b)", "(a) 1 2 (b)", "())"} {
		got, err := cpuOf([]byte("42 " + name + rest))
		if err != nil || got != 2*time.Second {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, broken := range []string{"", "42 (x", "42 (x) S 1", "42 (x)" + strings.Replace(rest, "150", "x", 1)} {
		if _, err := cpuOf([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestAProcessTellsWhatItTakesAndIsEnded(t *testing.T) {
	p, err := launch(t.TempDir(), "sleep", "100")
	if err != nil {
		t.Fatal(err)
	}
	if rss, err := p.rss(); err != nil || rss <= 0 {
		t.Errorf("resident memory %v, %v", rss, err)
	}
	if cpu, err := p.cpu(); err != nil || cpu > time.Second {
		t.Errorf("processor time %v, %v", cpu, err)
	}
	p.stop()
	if err := syscall.Kill(p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("it is still there: %v", err)
	}
	p.stop() // once more does no harm
}

func TestAProcessThatEndsIsNotWaitedFor(t *testing.T) {
	p, err := launch(t.TempDir(), "sh", "-c", "echo its last words; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), time.Minute, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "its last words") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(p.log); err != nil {
		t.Error(err)
	}
}

package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// asDaemon in the environment makes the test binary the program itself, so that
// tests can send signals to a real process.
const asDaemon = "SIMBINDD_TEST_MAIN"

func TestMain(m *testing.M) {
	if file := os.Getenv(asClocked); file != "" {
		clockedMain(file)
	}
	if os.Getenv(asDaemon) != "" {
		main()
	}
	os.Exit(m.Run())
}

// A process is one run of the program in a process of its own. Of the daemon
// only the log is used.
type process struct {
	daemon
	cmd *exec.Cmd
}

// spawn runs the program and waits until it is ready.
func (h home) spawn(t *testing.T) *process {
	t.Helper()
	p := &process{daemon: daemon{home: h, log: &logbook{}}, cmd: exec.Command(os.Args[0], "--config", h.file)}
	p.cmd.Env = append(os.Environ(), asDaemon+"=1")
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the process's log:\n%s", p.log)
		}
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	p.await(t, "ready")
	return p
}

// signal sends a signal and waits for the end.
func (p *process) signal(t *testing.T, s os.Signal) *os.ProcessState {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	p.cmd.Wait() // its error is the state
	return p.cmd.ProcessState
}

func TestSIGTERMStopsInOrder(t *testing.T) {
	p := newHome(t).spawn(t)
	if state := p.signal(t, syscall.SIGTERM); state.ExitCode() != exitOK {
		t.Errorf("it ended with %v", state)
	}
}

func TestSIGHUPReloads(t *testing.T) {
	p := newHome(t).spawn(t)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.await(t, reloaded)
}

// hangup makes the process read its configuration again and waits until it has.
func (p *process) hangup(t *testing.T) {
	t.Helper()
	before := p.log.count(reloaded)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.awaitMore(t, reloaded, before)
}

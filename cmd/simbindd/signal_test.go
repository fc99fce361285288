package main

import (
	"syscall"
	"testing"
)

func TestSignalsThatComeTogetherAreOne(t *testing.T) {
	p := newHome(t).spawn(t)
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if state := p.signal(t, syscall.SIGINT); state.ExitCode() != exitOK {
		t.Errorf("it ended with %v", state)
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A process is a program that was started here and is ended by stop.
type process struct {
	cmd    *exec.Cmd
	log    string // file of what it writes
	exited chan struct{}
}

// stopTime is how long a process may take to end before it is killed.
const stopTime = 30 * time.Second

// launch starts a program in a process group of its own, so that Ctrl-C reaches
// it through us only. It dies with us. What it writes goes into a file.
func launch(dir, name string, args ...string) (*process, error) {
	log, err := os.CreateTemp(dir, filepath.Base(name)+".*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	go func() { defer close(p.exited); _ = cmd.Wait() }() // how it ended is in cmd.ProcessState
	return p, nil
}

// stop asks the process to end, waits for it, and kills it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails if it is gone already
	select {
	case <-p.exited:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// await polls until ready returns nil. It fails when the process ends, when ctx
// does, or after limit, with the last words of the process.
func (p *process) await(ctx context.Context, limit time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended (%v): %s", p.cmd.Path, p.cmd.ProcessState, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; it said: %s", p.cmd.Path, err, p.lastWords())
		case <-tick.C:
		}
	}
}

func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-1000):])
}

// cpu is the processor time of all threads so far. It counts in steps of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(stat)
}

const ticksPerSecond = 100 // USER_HZ of every Linux that Go runs on

var errStat = errors.New("/proc/PID/stat has another form")

// cpuOf reads utime and stime, the 14th and 15th field. The second is in
// parentheses and may hold anything.
func cpuOf(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errStat
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, errStat
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	if err != nil {
		return 0, errStat
	}
	return time.Duration(user+system) * time.Second / ticksPerSecond, nil
}

// rss is the resident memory in bytes.
func (p *process) rss() (float64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return 0, fmt.Errorf("/proc/PID/statm: %w", err)
	}
	return float64(resident) * float64(os.Getpagesize()), nil
}

func installed(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simbind/simbind/cmd/simbindd/demo"
)

// invoke runs the program with a command line that ends by itself.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = program(t.Context(), env{args: args, stdout: &out, stderr: &err, notify: func(string) {}})
	return code, out.String(), err.String()
}

func TestCommandLine(t *testing.T) {
	h := newHome(t)
	bad := filepath.Join(h.dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("site: a\ndata_dir: b\ncapacity: 0\nqueu: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		claim          string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"help goes to stdout", []string{"--help"}, exitOK, "Usage:", ""},
		{"so does that of a command", []string{"demo", "-h"}, exitOK, "Usage:", ""},
		{"help is a command too", []string{"help"}, exitOK, "Usage:", ""},
		{"version", []string{"version"}, exitOK, "simbindd ", ""},
		{"an unknown command", []string{"start"}, exitUsage, "", `unknown command "start"`},
		{"an unknown flag", []string{"--foo"}, exitUsage, "", "flag provided but not defined: -foo"},
		{"an argument too many", []string{"--check", "file"}, exitUsage, "", `unexpected argument "file"`},
		{"a flag of another command", []string{"version", "--stay"}, exitUsage, "", "-stay"},
		{"a right file", []string{"--config", h.file, "--check"}, exitOK, h.file + ": ok\n", ""},
		{"a wrong file", []string{"--config", bad, "--check"}, exitUsage, "", bad + `:4: unknown key "queu"`},
		{"a wrong file without check", []string{"--config", bad}, exitUsage, "", bad + ":4: "},
		{"a file that is missing", []string{"--config", h.dir + "/none", "--check"}, exitUsage, "", "no such file"},
		{"warnings are shown and are no failure", []string{"--config", "../../deploy/simbindd.yaml", "--check"}, exitOK, ": ok\n", ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			code, stdout, stderr := invoke(t, tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit %d, stdout %q, stderr %q", code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
	if _, err := os.Stat(h.dir + "/data"); err == nil {
		t.Error("--check made the data directory")
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	path := filepath.Join(newHome(t).dir, "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	newNotifier(path).send(stateReady)
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("heard %q, %v", buf[:n], err)
	}
	newNotifier("").send(stateReady)          // nobody to tell
	newNotifier("/nonexistent/n").send("any") // nobody there
}

func TestTheDemoShowsWhatItPromises(t *testing.T) {
	code, stdout, stderr := invoke(t, "demo")
	if code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	for _, want := range []string{"match (bound)", "mismatch (other-number)", "unknown (", "18 changes", "sources gx and radius", "simbind.v1.demo.change.released"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("it does not show %q:\n%s", want, stdout)
		}
	}
	if left, _ := filepath.Glob(os.TempDir() + "/simbind-demo-*/simbindd.log"); len(left) > 0 && strings.Contains(stdout, filepath.Dir(left[0])) {
		t.Errorf("it left %s behind", left)
	}
}

func TestTheDemoStaysUntilItIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{on: "Ctrl-C ends the demo", then: cancel}
	if code := program(ctx, env{args: []string{"demo", "--stay"}, stdout: out, stderr: out}); code != exitOK {
		t.Errorf("exit %d\n%s", code, out.String())
	}
	if !strings.Contains(out.String(), "The site is gone") {
		t.Errorf("it shows\n%s", out.String())
	}
}

// watched calls then when on has been written.
type watched struct {
	bytes.Buffer
	on   string
	then func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.on) {
		w.then()
	}
	return n, err
}

func TestTheDemoSaysWhichStepFailedAndWhy(t *testing.T) {
	broken := errors.New("no memory")
	var out bytes.Buffer
	err := demo.Run(t.Context(), &out, false, func(_ context.Context, file string, log io.Writer, _ func()) error {
		t.Cleanup(func() { os.RemoveAll(filepath.Dir(file)) })
		io.WriteString(log, "what the log says\n")
		return broken
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "step 1 (The daemon starts)") {
		t.Errorf("the error is %v", err)
	}
	if !strings.Contains(out.String(), "what the log says") {
		t.Errorf("the log is not shown:\n%s", out.String())
	}
}

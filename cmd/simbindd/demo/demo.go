package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/diameter/diametertest"
	"github.com/simbind/simbind/radius/radiustest"
)

// A Daemon runs simbindd with a configuration file until ctx ends. It calls
// ready once, when every part has started.
type Daemon func(ctx context.Context, file string, log io.Writer, ready func()) error

// stepTime bounds each step.
const stepTime = 15 * time.Second

// errDaemon is why a step's context ended when the daemon did.
var errDaemon = errors.New("the daemon has ended")

// A demo is one showing.
type demo struct {
	out     io.Writer
	site    *site
	ready   chan struct{} // closed when the daemon is
	nas     *radiustest.Client
	pcef    *diametertest.Peer
	verify  *query.Client
	bus     *nats.Conn
	log     io.Writer
	front   *Front
	changes chan change
	heard   []change
}

// Run shows the site. With stay it keeps it up, with people coming and going,
// until ctx ends. Its error names the step that failed.
func Run(ctx context.Context, out io.Writer, stay bool, daemon Daemon) error {
	s, err := newSite()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d := &demo{out: out, site: s, ready: make(chan struct{}), changes: make(chan change, 256), log: log}
	err = d.around(ctx, daemon, log, stay)
	if err != nil {
		d.tail()
		return err
	}
	return os.RemoveAll(s.dir)
}

// around starts the daemon, shows, and stops the daemon.
func (d *demo) around(ctx context.Context, daemon Daemon, log io.Writer, stay bool) error {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	shown, fell := context.WithCancelCause(ctx)
	ended := make(chan error, 1)
	go func() {
		err := daemon(life, d.site.config(), log, func() { close(d.ready) })
		fell(errDaemon)
		ended <- err
	}()
	err := d.show(shown, stay)
	d.close()
	stop()
	if daemonErr := <-ended; daemonErr != nil {
		return errors.Join(err, fmt.Errorf("daemon: %w", daemonErr))
	}
	return err
}

func (d *demo) show(ctx context.Context, stay bool) error {
	d.printf("Simbind demo: one site, a simulated packet core, the real protocols.\n")
	for i, s := range steps {
		d.printf("\n[%d] %s\n", i+1, s.title)
		within, cancel := context.WithTimeoutCause(ctx, stepTime, fmt.Errorf("nothing within %v", stepTime))
		err := s.run(d, within)
		if err != nil && within.Err() != nil {
			err = fmt.Errorf("%w (%w)", err, context.Cause(within))
		}
		cancel()
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
	}
	if !stay {
		d.printf("\nEvery step gave what it should. To keep such a site and look around: make run\n")
		return nil
	}
	d.hints()
	return d.goOn(ctx)
}

func (d *demo) close() {
	if d.front != nil {
		if err := d.front.Stop(); err != nil {
			d.printf("\nnumverify: %v\n", err)
		}
	}
	if d.nas != nil {
		d.nas.Close()
	}
	if d.pcef != nil {
		d.pcef.Close()
	}
	if d.verify != nil {
		d.verify.Close()
	}
	if d.bus != nil {
		d.bus.Close()
	}
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// line prints one fact of a step.
func (d *demo) line(name, format string, args ...any) {
	d.printf("      %-14s %s\n", name, fmt.Sprintf(format, args...))
}

// tail shows the end of the daemon's log after a failure.
func (d *demo) tail() {
	text, err := os.ReadFile(d.site.log())
	if err != nil || len(text) == 0 {
		return
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	d.printf("\nThe end of the daemon's log (%s, with the rest of the site):\n", d.site.log())
	for _, line := range lines[max(0, len(lines)-15):] {
		d.printf("  %s\n", line)
	}
}

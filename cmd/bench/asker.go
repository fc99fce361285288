package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// askCommand runs this program as a client of the query socket: one thread,
// nothing else in the process, so that what it measures is the other side.
const askCommand = "ask"

// A question says what an asker asks. Addresses are chosen at random among the
// residents.
type question struct {
	Socket   string
	Command  string // VERIFY, or GET for Redis
	Sessions int
	Conns    int
	// Pipeline is how many questions each connection has under way; ignored
	// with a Rate.
	Pipeline int
	// Requests ends the run; with a Rate, a number of questions a second with
	// random pauses, Seconds does.
	Requests int
	Rate     float64
	Seconds  float64
	// High asks for the priority that the daemon's query thread asks for.
	High bool
}

// An asked is what an asker found, in questions and seconds.
type asked struct {
	Answers   uint64
	Unmatched uint64 // VERIFY that was no match, GET that found nothing
	Elapsed   float64
	Priority  string // of the asking thread: fifo, nice or normal
	// From the moment at which a question was due to its answer.
	P50, P99, P999, Max float64
}

func (a *asked) perSecond() float64 { return float64(a.Answers) / a.Elapsed }

// ask runs an asker in a process of its own.
func ask(ctx context.Context, q question) (*asked, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, askCommand, string(arg))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w: %s", q.Command, err, stderr.String())
	}
	var a asked
	if err := json.Unmarshal(out, &a); err != nil {
		return nil, fmt.Errorf("ask %s: %w", q.Command, err)
	}
	return &a, nil
}

// askMain is the process.
func askMain(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(askCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return exitUsage
	}
	var q question
	if err := json.Unmarshal([]byte(flags.Arg(0)), &q); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	a, err := newAsker(q)
	if err == nil {
		defer a.close()
		err = a.run()
	}
	if err == nil {
		err = json.NewEncoder(stdout).Encode(a.summary())
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

// An asker is one thread with its connections.
type asker struct {
	question
	who      population
	pick     *rand.Rand
	epoll    int
	conns    []*askConn
	byFD     map[int32]*askConn
	buffer   []byte
	priority string

	sent, answers, unmatched uint64
	latency                  histogram
	began, end               time.Time
	due                      time.Time // of the next question, with a rate
	turn                     int       // the connection that asks next, with a rate
}

// An askConn is one connection.
type askConn struct {
	fd    int
	out   []byte
	times []time.Time // at which the questions under way were due, oldest first
	reply replyReader
}

func newAsker(q question) (*asker, error) {
	// Nothing here makes garbage worth collecting.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	a := &asker{
		question: q, who: residents(), pick: rand.New(rand.NewPCG(2, 3)), byFD: map[int32]*askConn{},
		buffer: make([]byte, 64<<10), priority: "normal",
	}
	if q.High {
		a.priority = raise()
	}
	var err error
	if a.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for range q.Conns {
		if err := a.dial(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *asker) dial() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	c := &askConn{fd: fd, reply: replyReader{verify: a.Command == "VERIFY"}}
	a.conns = append(a.conns, c)
	a.byFD[int32(fd)] = c
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: a.Socket}); err != nil {
		return fmt.Errorf("connect to %s: %w", a.Socket, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return unix.EpollCtl(a.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (a *asker) close() {
	for _, c := range a.conns {
		unix.Close(c.fd)
	}
	unix.Close(a.epoll)
}

// raise gives every thread of this process the priority that the daemon's query
// thread asks for (query.priority high). Every one: a thread that is above the
// others of its Go process spins in vain when it needs a lock of the runtime
// whose owner it has displaced. Later threads inherit it.
func raise() string {
	for _, kind := range []struct {
		name string
		attr unix.SchedAttr
	}{
		{"fifo", unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}},
		{"nice", unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: -10}},
	} {
		if raiseTo(kind.attr) == nil {
			return kind.name
		}
	}
	return "normal"
}

func raiseTo(attr unix.SchedAttr) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(tid, &attr, 0); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// stallLimit ends a run whose answers do not come.
const stallLimit = 20 * time.Second

func (a *asker) run() error {
	a.began = time.Now()
	a.due = a.began
	events := make([]unix.EpollEvent, 256)
	for !a.done() {
		if err := a.askDue(); err != nil {
			return err
		}
		n, err := a.wait(events)
		if err != nil {
			return err
		}
		for i := range n {
			if err := a.read(a.byFD[events[i].Fd]); err != nil {
				return err
			}
		}
	}
	a.end = time.Now()
	return nil
}

// done reports whether everything was asked and answered.
func (a *asker) done() bool { return a.sent == a.answers && a.sent > 0 && a.enough() }

func (a *asker) enough() bool {
	if a.Rate > 0 {
		return a.due.Sub(a.began).Seconds() >= a.Seconds
	}
	return a.sent >= uint64(a.Requests)
}

// askDue asks what is to be asked now.
func (a *asker) askDue() error {
	if a.Rate > 0 {
		return a.askAtRate(time.Now())
	}
	for _, c := range a.conns {
		if len(c.times) > 0 {
			continue // like redis-benchmark: the next questions go when all of the last are answered
		}
		for len(c.times) < a.Pipeline && !a.enough() {
			a.compose(c, time.Time{})
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// askAtRate asks on one connection after the other, with the pauses of a
// Poisson process.
func (a *asker) askAtRate(now time.Time) error {
	for !a.due.After(now) && !a.enough() {
		c := a.conns[a.turn]
		a.turn = (a.turn + 1) % len(a.conns)
		a.compose(c, a.due)
		if err := c.flush(); err != nil {
			return err
		}
		a.due = a.due.Add(time.Duration(a.pick.ExpFloat64() / a.Rate * float64(time.Second)))
	}
	return nil
}

// compose adds a question about a random resident to a connection's output.
func (a *asker) compose(c *askConn, due time.Time) {
	n := a.pick.Uint64N(uint64(a.Sessions))
	addr := a.who.addr(n).AppendTo(a.buffer[:0])
	if a.Command == "VERIFY" {
		c.out = append(c.out, "*3\r\n$6\r\nVERIFY\r\n$"...)
	} else {
		c.out = append(c.out, "*2\r\n$3\r\nGET\r\n$"...)
	}
	c.out = strconv.AppendInt(c.out, int64(len(addr)), 10)
	c.out = append(append(append(c.out, '\r', '\n'), addr...), '\r', '\n')
	if a.Command == "VERIFY" {
		c.out = append(c.out, "$13\r\n+"...)
		c.out = strconv.AppendUint(c.out, a.who.msisdn+n, 10)
		c.out = append(c.out, '\r', '\n')
	}
	c.times = append(c.times, due)
	a.sent++
}

// flush writes the output. Questions are small: a socket that takes no more
// means that the other side has stopped reading.
func (c *askConn) flush() error {
	var deadline time.Time
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		switch {
		case err == unix.EAGAIN && (deadline.IsZero() || time.Now().Before(deadline)):
			if deadline.IsZero() {
				deadline = time.Now().Add(stallLimit)
			}
			runtime.Gosched()
		case err != nil && err != unix.EINTR:
			return fmt.Errorf("write: %w", err)
		case n > 0:
			c.out = c.out[:copy(c.out, c.out[n:])]
		}
	}
	return nil
}

// wait returns what epoll has to tell; with a rate, when the next question is
// due at the latest.
func (a *asker) wait(events []unix.EpollEvent) (int, error) {
	pause := stallLimit
	if a.Rate > 0 && !a.enough() {
		pause = max(time.Until(a.due), 0)
	}
	began := time.Now()
	n, err := epollWait(a.epoll, events, pause)
	if n == 0 && err == nil && time.Since(began) >= stallLimit {
		err = fmt.Errorf("no answer within %v", stallLimit)
	}
	return n, err
}

func (a *asker) read(c *askConn) error {
	n, err := unix.Read(c.fd, a.buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return io.ErrUnexpectedEOF
	}
	now := time.Now()
	for rest := a.buffer[:n]; len(rest) > 0; {
		var complete, good bool
		complete, good, rest, err = c.reply.next(rest)
		if err != nil {
			return err
		}
		if complete {
			a.answer(c, good, now)
		}
	}
	return nil
}

func (a *asker) answer(c *askConn, good bool, now time.Time) {
	a.answers++
	if !good {
		a.unmatched++
	}
	if a.Rate > 0 {
		a.latency.add(now.Sub(c.times[0]))
	}
	c.times = c.times[:copy(c.times, c.times[1:])]
}

func (a *asker) summary() asked {
	return asked{
		Answers: a.answers, Unmatched: a.unmatched, Elapsed: a.end.Sub(a.began).Seconds(), Priority: a.priority,
		P50: a.latency.quantile(0.5), P99: a.latency.quantile(0.99), P999: a.latency.quantile(0.999), Max: a.latency.max.Seconds(),
	}
}

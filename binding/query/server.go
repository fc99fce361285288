package query

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/simbind/simbind/binding"
)

// A Registry is what the server needs to know.
type Registry interface {
	// Verify and Lookup are called from the loop: they must not block or lock.
	// Verify must not allocate. A Lookup whose Verdict is Match is certain; the
	// Binding is zero when nothing is known about the address.
	Verify(binding.Query, binding.Number) binding.Answer
	Lookup(binding.Query) (binding.Binding, binding.Answer)
	// The others are called from workers and may take their time.
	Sessions(binding.Selection) (list []binding.Binding, next uint64, err error)
	Nodes() []binding.Node
	Status() binding.Status
	Trace(key string, limit int) ([]binding.TraceEntry, error)
	// Watch returns every change from now on. The channel holds buffer changes
	// and is closed when its reader lags behind by more, or after cancel.
	Watch(buffer int) (changes <-chan binding.Change, cancel func())
	// Release ends the binding of an address; by names the operator.
	Release(ctx context.Context, q binding.Query, reason, by string) error
}

// A Config of a Server. Only Socket is required.
type Config struct {
	// Socket is the path of the Unix socket: at most 107 bytes, in a directory
	// that is made (0750) if it is missing.
	Socket string
	// Roles says who may ask what.
	Roles Roles
	// MaxConns is how many connections may be open; zero means 1024.
	MaxConns int
	// IdleTimeout closes a connection that asked nothing for so long and
	// watches nothing; zero means 10 minutes, negative never.
	IdleTimeout time.Duration
	// Priority of the loop's thread: "high" (also when empty) asks the system
	// for a higher one and goes on without if refused, "normal" does not ask.
	Priority string
	// Version of the daemon, for INFO and HELLO.
	Version string
}

// A Server answers questions over a Unix socket.
type Server struct {
	// Set by NewServer, then read-only.
	cfg      Config
	reg      Registry
	remote   Remote // nil if there is none
	log      *slog.Logger
	table    []*command
	commands map[string]*command
	heads    *headTable
	ready    chan struct{}
	// For tests: who is at the other end, and how long a second lasts for the
	// loop's clock, by which idle and stalled connections are found.
	peerOf func(fd int) (peer, error)
	second time.Duration

	// Owned by the loop.
	domains names
	sample  uint

	// Atomic.
	roles    atomic.Pointer[Roles]
	open     atomic.Int64 // connections
	watching atomic.Int64
	unknown  atomic.Uint64 // requests of no command
	answers  [verdictCount][reasonCount]atomic.Uint64
	refused  [refusals]atomic.Uint64
	closed   [closings]atomic.Uint64
	accepted atomic.Uint64
	high     atomic.Bool // the loop's thread has a higher priority
}

// NewServer makes a server. It opens nothing before Run.
func NewServer(cfg Config, reg Registry, log *slog.Logger) *Server {
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = defaultMaxConns
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = defaultIdle
	}
	s := &Server{
		cfg: cfg, reg: reg, log: log,
		table: commandTable(), ready: make(chan struct{}),
		peerOf: peerOf, second: time.Second,
		domains: names{},
	}
	s.remote, _ = reg.(Remote)
	s.commands, s.heads = byName(s.table), newHeads()
	s.SetRoles(cfg.Roles)
	return s
}

// SetRoles replaces who may ask what, also for open connections: their next
// request is judged by it, and a WATCH that is no longer allowed ends. Any
// goroutine may call it.
func (s *Server) SetRoles(r Roles) { s.roles.Store(&r) }

// Ready is closed when the socket accepts connections.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run answers questions until ctx ends; then it sends the replies that are due,
// closes the connections, removes the socket and returns nil. It returns an
// error if the socket cannot be opened. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	if p := s.cfg.Priority; p != "" && p != "high" && p != "normal" {
		return fmt.Errorf("query.priority %q: choose normal or high", p)
	}
	ln, err := listen(s.cfg.Socket)
	if err != nil {
		return err
	}
	defer ln.close()
	l, err := newLoop(s, ln.fd)
	if err != nil {
		return err
	}
	var atWork sync.WaitGroup
	for range workers {
		atWork.Go(func() { l.work(ctx, l.jobs) })
	}
	if s.remote != nil {
		for range farWorkers {
			atWork.Go(func() { l.work(ctx, l.distant) })
		}
	}
	defer l.end(&atWork)
	stop := context.AfterFunc(ctx, func() { l.post(l.stop) })
	defer stop()
	s.log.Info("answering", "socket", s.cfg.Socket) // before ready: the parts log in the order of starting
	close(s.ready)
	done := make(chan error)
	go func() { done <- l.run() }()
	return <-done
}

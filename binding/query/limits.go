package query

import "time"

// Everything that a peer can make the server keep or do is bounded here.
const (
	defaultMaxConns = 1024
	defaultIdle     = 10 * time.Minute

	maxRequest = 64 << 10 // bytes of one request
	maxArgs    = 1024     // arguments of one request, its name included
	maxInline  = 1 << 10  // bytes of a request typed as a plain line

	// readChunk is how much one read takes: what a connection can make us keep
	// is one incomplete request and one chunk.
	readChunk = 64 << 10
	// flushAt is when replies are written although more requests wait. What the
	// peer does not take stops the execution of its further requests, so the
	// output kept for it is at most this and one more reply.
	flushAt = 64 << 10
	// stallTimeout is how long a peer may take no byte of what waits for it, or
	// leave a request unfinished, before it is disconnected.
	stallTimeout = 10 * time.Second

	workers        = 4                // slow commands that run at the same time
	releaseTimeout = 10 * time.Second // of one RELEASE
	drainTimeout   = 2 * time.Second  // for replies still due at shutdown

	maxWatchers  = 64
	watchBuffer  = 8192     // changes a watcher may lag behind
	watchBatch   = 32 << 10 // bytes handed to the loop at a time
	maxFilters   = 64
	defaultLimit = 100 // of SESSIONS and TRACE
	maxSessions  = 10000
	maxTrace     = 1000
	maxTraceKey  = 64
	maxGroups    = 65536 // supplementary groups of a peer, as in the kernel
)

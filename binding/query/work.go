package query

import (
	"bytes"
	"context"
	"time"
)

// A job is a slow command of one connection, which has one at a time.
type job struct {
	c   *conn
	cmd *command
	req *request
}

// hand gives a request to a worker.
func (l *loop) hand(c *conn, cmd *command, args [][]byte) {
	req := &request{peer: c.peer, resp3: c.out.resp3}
	for _, a := range args {
		req.args = append(req.args, bytes.Clone(a))
	}
	queue := l.jobs
	if c.far {
		queue, c.far = l.distant, false
	}
	select {
	case queue <- job{c, cmd, req}:
		c.busy = true
	default: // requests of connections that have left wait, too
		c.out.refuse(refusedERR, "too many slow requests wait: try again later")
		l.s.countRefusal(&c.out)
	}
}

// work answers slow commands, or those for other sites, until the loop ends.
func (l *loop) work(ctx context.Context, jobs <-chan job) {
	for j := range jobs {
		w := &reply{resp3: j.req.resp3}
		start := time.Now()
		answer := j.cmd.slow
		if answer == nil {
			answer = j.cmd.far
		}
		answer(ctx, l.s, w, j.req)
		j.cmd.took.observe(time.Since(start))
		l.s.countRefusal(w)
		l.post(func() { l.finish(j, w.b) })
	}
}

// finish sends a worker's reply and goes on with the connection.
func (l *loop) finish(j job, b []byte) {
	c := j.c
	c.busy = false
	if !c.gone {
		c.heard = l.now
		c.addOut(b)
	}
	if j.req.then != nil {
		j.req.then(l, c)
	}
	l.flushLater(c)
}

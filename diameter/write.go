package diameter

import (
	"context"
	"fmt"
	"time"
)

// departure is how long a peer may take to close a connection that ends in
// order, or to answer where another connection waits for its place.
const departure = 3 * time.Second

// overlap is how long a connection waits for the end of the one before it.
const overlap = time.Second

// drainTime is how long, when the server stops, requests may still be answered
// before their peer is asked to disconnect; drainStep is how often it is
// looked whether they are.
const (
	drainTime = 3 * time.Second
	drainStep = 10 * time.Millisecond
)

// write sends what waits until the connection ends, and keeps the watchdog.
// Then it sends the rest and closes.
func (c *conn) write(ctx context.Context) {
	defer c.raw.Close() // the reader then returns
	timer := time.NewTimer(jittered(c.server.cfg.Watchdog))
	defer timer.Stop()
	drain := time.NewTimer(time.Hour)
	drain.Stop()
	defer drain.Stop()
	var stop time.Time
	stopping := ctx.Done()
	var spare []byte
	for {
		select {
		case <-c.out.wake:
			spare = c.out.take(spare)
			if err := c.send(spare); err != nil {
				c.end(err)
			}
		case <-timer.C:
			timer.Reset(c.tick())
		case <-c.hurry:
			timer.Reset(departure)
		case <-stopping:
			stopping = nil
			if !c.ready() {
				c.end(errStopping)
			}
			c.draining.Store(true)
			drain.Reset(drainStep)
			stop = time.Now().Add(drainTime)
		case <-drain.C:
			if c.idle() || time.Now().After(stop) {
				c.disconnect(causeRebooting)
			} else {
				drain.Reset(drainStep)
			}
		case <-c.done:
			c.out.close()
			_ = c.send(c.out.take(spare))
			return
		}
	}
}

// send writes messages with one call.
func (c *conn) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout)); err != nil {
		return err
	}
	if _, err := c.raw.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	c.server.counts.writes.Add(1)
	return nil
}

// tick is called when the timer ran out. It returns when it is to run out
// again.
func (c *conn) tick() time.Duration {
	tw := c.server.cfg.Watchdog
	if c.leaving.Load() {
		c.end(errLeft)
		return tw
	}
	if !c.ready() {
		return tw
	}
	heard := c.heard.Load()
	if c.probed.Swap(false) && heard < c.asked.Load() {
		c.end(errWatchdog)
		return tw
	}
	if quiet := time.Since(time.Unix(0, heard)); quiet < tw-min(maxJitter, tw/4) {
		return jittered(tw) - quiet
	}
	c.expire()
	return jittered(tw)
}

// expire tells the watchdog that its time ran out.
func (c *conn) expire() {
	c.watchMu.Lock()
	act := c.watch.expired()
	c.troubled.Store(c.watch.state != linkOkay)
	c.watchMu.Unlock()
	c.act(act)
}

// idle reports that nothing on this connection waits for an answer.
func (c *conn) idle() bool {
	return c.open.waiting() == 0 && c.pending.waiting() == 0 && c.asking.Load() == 0
}

// listen tells the watchdog of a message.
func (c *conn) listen(m frame) {
	answer := m.command() == cmdWatchdog && !m.request()
	if answer {
		c.probed.Store(false)
		c.peer.trip.Store(time.Now().UnixNano() - c.asked.Load())
	}
	if !answer && !c.troubled.Load() {
		return
	}
	c.watchMu.Lock()
	act := c.watch.received(answer)
	c.troubled.Store(c.watch.state != linkOkay)
	c.watchMu.Unlock()
	c.act(act)
}

func (c *conn) act(what action) {
	switch what {
	case actSend:
		c.watchdogRequest()
	case actFailover:
		c.log.Warn("the peer does not answer the watchdog")
		c.server.failover(c, false)
	case actFailback:
		c.log.Info("the peer answers the watchdog again")
	case actClose:
		c.end(errWatchdog)
	}
}

// probe asks for a sign of life at once, as somebody else says to be this
// peer: without one the connection ends soon.
func (c *conn) probe() {
	if c.leaving.Load() || c.probed.Swap(true) {
		return
	}
	c.watchdogRequest()
	signal(c.hurry)
}

package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
)

// pollEvery is how often the reader looks for losses; advanceEvery how often it
// lets the observer's time pass.
const (
	pollEvery    = 250 * time.Millisecond
	advanceEvery = time.Second
)

// headLength is the length of struct record of tap.c, which a packet follows.
const headLength = int(unsafe.Sizeof(tapRecord{}))

// A reader takes records out of the ring buffer. One goroutine uses it.
type reader struct {
	*ringbuf.Reader
	kernel *kernel
	record ringbuf.Record
	frame  wire.Frame
	// epoch is the wall clock's time at which the kernel's monotonic clock was
	// zero. It follows adjustments of the wall clock.
	epoch time.Time
	// last is when (kernel's clock, ns) the last packet was seen.
	last uint64
}

func newReader(k *kernel) (*reader, error) {
	r, err := ringbuf.NewReader(k.objects.Ring)
	if err != nil {
		return nil, fmt.Errorf("open the ring buffer: %w", err)
	}
	return &reader{Reader: r, kernel: k}, nil
}

var errShortRecord = errors.New("a record of the ring buffer is shorter than its head")

// next reads one packet into r.frame; it is valid until the next call. The
// error is os.ErrDeadlineExceeded when the ring is empty for that long.
func (r *reader) next() error {
	if err := r.ReadInto(&r.record); err != nil {
		return err
	}
	b := r.record.RawSample
	if len(b) < headLength {
		return errShortRecord
	}
	r.last = binary.NativeEndian.Uint64(b[unsafe.Offsetof(tapRecord{}.Time):])
	r.frame = wire.Frame{
		Time: r.epoch.Add(time.Duration(r.last)),
		Link: wire.LinkRaw,
		Data: b[headLength:],
		// Longer than Data if the kernel cut it.
		Length: int(binary.NativeEndian.Uint32(b[unsafe.Offsetof(tapRecord{}.Length):])),
	}
	return nil
}

// monotonic is the kernel's clock, in which records are stamped.
func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return uint64(ts.Nano())
}

// read gives what the ring holds to the observer until ctx ends.
func (t *Tap) read(ctx context.Context, r *reader) error {
	var polled, advanced time.Time
	for {
		now := t.cfg.Now()
		if now.Sub(polled) >= pollEvery || now.Before(polled) {
			polled = now
			r.epoch = now.Add(-time.Duration(monotonic()))
			r.SetDeadline(time.Now().Add(pollEvery))
			if now.Sub(advanced) >= advanceEvery || now.Before(advanced) {
				advanced = now
				t.observer.Advance(now)
			}
			t.poll(r, now)
		}
		switch err := r.next(); {
		case err == nil:
			t.observer.Frame(&r.frame)
		case errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, ringbuf.ErrFlushed) && ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("read the ring buffer: %w", err)
		}
	}
}

// A loss is what the Registry is yet to be told of.
type loss struct {
	seen uint64 // losses of all kinds that are told or being told
	// after is when (kernel's clock, ns) the last loss was noticed: it is told
	// until all that was seen before has arrived. Zero: nothing is to tell.
	after uint64
	warn  time.Time
}

// poll looks for losses and tells the Registry.
//
// It tells at once, so that no verdict rests on what may be over, and again as
// long as packets of before the loss may still become events: a session that
// such an event makes was not heard after the loss.
func (t *Tap) poll(r *reader, now time.Time) {
	lost := t.lost()
	switch {
	case lost != t.losses.seen:
		t.warnOfLoss(lost-t.losses.seen, now)
		t.losses.seen, t.losses.after = lost, monotonic()
	case t.changed.Swap(false):
		t.losses.after = monotonic()
	}
	if t.losses.after == 0 {
		return
	}
	passed := (r.last > t.losses.after || r.AvailableBytes() == 0) && t.observer.Counts().Waiting == 0
	if t.submit(binding.Event{Kind: binding.NewsLost, Arrived: now}) != nil {
		return // the queue is full; next time
	}
	t.notified.Add(1)
	if passed {
		t.losses.after = 0
	}
}

// lost counts losses of all kinds between the wire and the Registry.
func (t *Tap) lost() uint64 {
	t.mu.Lock()
	c := t.countsLocked()
	t.mu.Unlock()
	o := t.observer.Counts()
	return c.lost() + c[tapOutcomeTRUNCATED] + o.Wire.FragmentsLost + o.EventsLost
}

// warnOfLoss says so in the log, at most once in ten seconds.
func (t *Tap) warnOfLoss(n uint64, now time.Time) {
	if now.Sub(t.losses.warn) < 10*time.Second && now.After(t.losses.warn) {
		return
	}
	t.losses.warn = now
	t.log.Warn("packets of the control plane were lost; what was overheard before is not trusted until it is heard again", "lost", n)
}

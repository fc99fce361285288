package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

func change(seq uint64, kind binding.ChangeKind, i int) binding.Change {
	b := held(i)
	return binding.Change{Seq: seq, Kind: kind, At: day, EventTime: day, Domain: b.Domain, Addr: b.Addr, Now: b.Subscriber,
		APN: b.APN, RAT: b.RAT, Node: b.Node, Sources: b.Sources, State: binding.StateBound, Why: "start"}
}

func TestWatchInRESP3(t *testing.T) {
	f := newFake(10)
	_, path := start(t, f)
	c := dialRaw(t, path)
	c.ask("HELLO 3")
	if got := c.ask("WATCH"); got != "OK" {
		t.Fatalf("got %q", got)
	}
	waitFor(t, func() bool { return f.watching() == 1 })
	moved := change(1, binding.Moved, 7)
	moved.Was = held(8).Subscriber
	f.publish(moved)
	want := ">[change %[kind moved seq 1 at 2026-01-31T12:00:00.000Z event_time 2026-01-31T12:00:00.000Z domain internet addr 10.45.0.7" +
		" msisdn +491700000007 imsi 001010000000007 imei  was_msisdn +491700000008 was_imsi 001010000000008 was_imei " +
		" apn internet rat eutran node pgw1.lab sources *[gx radius] state bound reason bound why start]]"
	if got := flat(c.next()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got := c.ask("GET 10.45.0.7"); got != "+491700000007" {
		t.Errorf("other commands still work: %q", got)
	}
	if got := c.ask("WATCH"); got != "-ERR this connection watches already: open another one" {
		t.Errorf("got %q", got)
	}
	f.publish(binding.Change{Seq: 2, Kind: binding.SIMChange, Now: held(7).Subscriber, Was: held(8).Subscriber, Why: "sim"})
	if v := c.next(); v.list[1].change().Kind != "simchange" || v.list[1].change().Addr != "" {
		t.Errorf("got %s", flat(v))
	}
}

func TestWatchInRESP2(t *testing.T) {
	f := newFake(10)
	_, path := start(t, f)
	c := dialRaw(t, path)
	c.ask("WATCH bound")
	waitFor(t, func() bool { return f.watching() == 1 })
	f.publish(change(1, binding.Released, 7))
	f.publish(change(2, binding.Bound, 7))
	want := "*[change bound 2 at 2026-01-31T12:00:00.000Z event_time 2026-01-31T12:00:00.000Z domain internet addr 10.45.0.7" +
		" msisdn +491700000007 imsi 001010000000007 imei  was_msisdn  was_imsi  was_imei " +
		" apn internet rat eutran node pgw1.lab sources *[gx radius] state bound reason bound why start]"
	if got := flat(c.next()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got := c.ask("PING"); got != "*[pong ]" {
		t.Errorf("got %q", got)
	}
	if got := c.ask("GET 10.45.0.7"); got != "-ERR this connection watches: only PING and QUIT here, or use RESP3 (HELLO 3)" {
		t.Errorf("got %q", got)
	}
	if got := c.ask("QUIT"); got != "OK" || !c.ended() {
		t.Errorf("got %q, or it goes on", got)
	}
	waitFor(t, func() bool { return f.watching() == 0 })
}

func TestWatchFilters(t *testing.T) {
	moved := change(1, binding.Moved, 7)
	moved.Was = held(8).Subscriber
	sim := binding.Change{Kind: binding.SIMChange, Now: held(7).Subscriber, Was: held(8).Subscriber}
	for _, tt := range []struct {
		filter string
		change binding.Change
		want   bool
	}{
		{"", moved, true},
		{"moved", moved, true},
		{"MOVED", moved, true},
		{"bound", moved, false},
		{"bound moved", moved, true},
		{"domain=internet", moved, true},
		{"domain=corp", moved, false},
		{"msisdn=+491700000007", moved, true},
		{"msisdn=+491700000008", moved, true}, // it lost the address
		{"msisdn=+491700000009", moved, false},
		{"imsi=001010000000008", sim, true},
		{"addr=10.45.0.7", moved, true},
		{"addr=10.45.0.0/24", moved, true},
		{"addr=::ffff:10.45.0.7", moved, true},
		{"addr=10.46.0.0/16", moved, false},
		{"addr=10.46.0.0/16 addr=10.45.0.0/16", moved, true},
		{"addr=2001:db8::/32", moved, false},
		{"addr=10.0.0.0/8", sim, false},
		{"moved addr=10.45.0.7 domain=internet", moved, true},
		{"moved addr=10.45.0.7 domain=corp", moved, false},
	} {
		var args [][]byte
		for _, word := range strings.Fields(tt.filter) {
			args = append(args, []byte(word))
		}
		f, err := readFilter(args)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.passes(&tt.change); got != tt.want {
			t.Errorf("%q lets %v pass: %v", tt.filter, tt.change.Kind, got)
		}
	}
}

func TestAWatcherThatLagsIsToldSo(t *testing.T) {
	f := newFake(10)
	_, path := start(t, f)
	c := dialRaw(t, path)
	c.ask("HELLO 3")
	c.ask("WATCH")
	waitFor(t, func() bool { return f.watching() == 1 })
	published := uint64(0)
	for lagged := false; !lagged; { // it reads nothing meanwhile
		published++
		lagged = f.publish(change(published, binding.Bound, 7))
	}
	var last uint64
	for {
		v := c.next()
		if v.kind == '-' {
			if !strings.HasPrefix(v.str, "ERR this watcher lagged behind") {
				t.Errorf("got %q", v.str)
			}
			break
		}
		got := v.list[1].change()
		if got.Seq != last+1 {
			t.Fatalf("after %d came %d: a gap before it was told", last, got.Seq)
		}
		last = got.Seq
	}
	if last < watchBuffer || last >= published {
		t.Errorf("got %d of %d changes", last, published)
	}
	if !c.ended() {
		t.Error("the connection goes on")
	}
}

func TestAWatcherThatReadsNothingIsDisconnected(t *testing.T) {
	f := newFake(10)
	s, path := start(t, f, fastClock)
	c := dialRaw(t, path)
	c.ask("WATCH")
	waitFor(t, func() bool { return f.watching() == 1 })
	for seq := uint64(1); f.watching() == 1; seq++ {
		f.publish(change(seq, binding.Bound, 7))
	}
	waitFor(t, func() bool { return s.open.Load() == 0 && s.watching.Load() == 0 })
}

func TestWatchersAreBounded(t *testing.T) {
	f := newFake(10)
	s, path := start(t, f)
	var last *rawConn
	for range maxWatchers {
		last = dialRaw(t, path)
		if got := last.ask("WATCH"); got != "OK" {
			t.Fatalf("got %q", got)
		}
	}
	more := dialRaw(t, path)
	if got := more.ask("WATCH"); got != fmt.Sprintf("-ERR %d connections watch already: that is the most", maxWatchers) {
		t.Errorf("got %q", got)
	}
	last.Close()
	waitFor(t, func() bool { return s.watching.Load() < maxWatchers })
	if got := more.ask("WATCH"); got != "OK" {
		t.Errorf("after one left: %q", got)
	}
}

func TestAWatcherMayLeaveBeforeItIsAnswered(t *testing.T) {
	f := newFake(10)
	s, path := start(t, f)
	for range 200 {
		c := dialRaw(t, path)
		c.send("WATCH")
		c.Close()
	}
	waitFor(t, func() bool { return s.open.Load() == 0 && s.watching.Load() == 0 && f.watching() == 0 })
}

func TestClientWatch(t *testing.T) {
	f := newFake(10)
	s := NewServer(Config{Socket: shortDir(t) + "/s", Priority: "normal"}, f, discard())
	stop := run(t, s)
	c, err := Dial(t.Context(), s.cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	if _, err := c.Watch(t.Context(), "colour=red"); err == nil || !strings.Contains(err.Error(), "choose a kind") {
		t.Errorf("a wrong filter: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	changes, err := c.Watch(ctx, "domain=internet")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return f.watching() == 1 })
	for seq := range uint64(1000) {
		f.publish(change(seq+1, binding.Bound, int(seq)))
	}
	for seq := range uint64(1000) {
		got := <-changes
		want := held(int(seq))
		if got.Seq != seq+1 || got.Kind != "bound" || got.MSISDN != want.MSISDN.String() || got.Addr != want.Addr.String() ||
			!got.At.Equal(day) || len(got.Sources) != 2 {
			t.Fatalf("got %+v", got)
		}
	}
	cancel()
	for range changes {
	}
	if err := c.Err(); err != nil {
		t.Errorf("after the end of the context: %v", err)
	}

	changes, err = c.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop()
	for range changes {
	}
	if err := c.Err(); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after the end of the daemon: %v", err)
	}
}

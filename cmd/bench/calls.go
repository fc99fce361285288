package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/simbind/simbind/binding/crowdtest"
	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/bpf/gtp/gtptest"
)

// callRefreshes is how often each session of calls is modified: most of the
// signalling is of phones that fall asleep and wake up.
const callRefreshes = 23

// calls are what an SGW and a PGW say about sessions that come and go, as
// frames in the order of sending. One session begins, its 23 predecessors are
// modified and the one before those ends; then the next one begins.
type calls struct {
	frames      [][]byte
	subscribers int // the last of whom stay
}

var sgwAddr, pgwAddr = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// newCalls makes about as many frames as are asked for.
func newCalls(frames int) (*calls, error) {
	c := &calls{subscribers: max(frames/(2*(callRefreshes+2)), callRefreshes+2)}
	core := gtptest.New(2, sgwAddr, pgwAddr, apn)
	for n := range c.subscribers {
		err := c.take(core, crowdtest.Attach, n)
		for before := max(0, n-callRefreshes); before < n && err == nil; before++ {
			err = c.take(core, crowdtest.Refresh, before)
		}
		if gone := n - callRefreshes - 1; gone >= 0 && err == nil {
			err = c.take(core, crowdtest.Detach, gone)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *calls) take(core *gtptest.Core, kind crowdtest.Kind, n int) error {
	who := residents().identity(uint64(n))
	list, err := core.Take(crowdtest.Step{Kind: kind, Subscriber: n}, crowdtest.Subscriber{
		MSISDN: strings.TrimPrefix(residents().number(uint64(n)), "+"), IMSI: who.IMSI.String(), IMEISV: imei, IPv4: residents().addr(uint64(n)),
	})
	for _, x := range list {
		c.frames = append(c.frames, gtpFrame(sgwAddr, pgwAddr, x.Request), gtpFrame(pgwAddr, sgwAddr, x.Response))
	}
	return err
}

// takenIn reports by an error that the daemon is not done with all frames.
func (c *calls) takenIn(status query.StatusReply) error {
	n := status.Counters
	if seen, want := n["tap_delivered"]+n["tap_lost"], uint64(len(c.frames)); seen != want {
		return fmt.Errorf("%d of %d packets were seen", seen, want)
	}
	if n["tap_events_waiting"] > 0 || status.Queue > 0 {
		return errors.New("events wait")
	}
	return nil
}

// stay is the first subscriber whose session has not ended.
func (c *calls) stay() int { return c.subscribers - callRefreshes - 1 }

// check asks about those who stayed and some of those who left. Nothing may be
// wrong; where packets were lost, anything may be in doubt.
func (c *calls) check(ctx context.Context, asker *query.Client) error {
	for n := max(0, c.stay()-100); n < c.subscribers; n++ {
		answer, err := asker.Verify(ctx, residents().addr(uint64(n)).String(), residents().number(uint64(n)))
		if err != nil {
			return err
		}
		if (answer.Verdict == "match") != (n >= c.stay()) {
			return fmt.Errorf("session %d of %d: %s %s", n, c.subscribers, answer.Verdict, answer.Reason)
		}
	}
	return nil
}

// gtpFrame is a message between two GTP-C ports, in an Ethernet frame.
func gtpFrame(from, to netip.Addr, message []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(message)))
	b = append(b, 0, 1, 0, 0, 64, 17, 0, 0) // nobody looks at the checksum
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	b = append(b, 2123>>8, 2123&0xff, 2123>>8, 2123&0xff)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(message)))
	return append(append(b, 0, 0), message...)
}

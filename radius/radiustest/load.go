package radiustest

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"golang.org/x/sync/errgroup"

	"github.com/simbind/simbind/binding/crowdtest"
)

// LoadOptions of [Load]. Zero values mean the defaults.
type LoadOptions struct {
	Server string
	Secret []byte
	// Sockets each keep Window requests unanswered; 8 and 32 by default, 256
	// at most.
	Sockets, Window int
	// Requests ends the run; 100000 by default.
	Requests int
	// Sessions is how many different ones the requests are of; by default as
	// many as Requests. Each is started once and then refreshed.
	Sessions int
	// FirstMSISDN, of 12 digits, and Pool are as in [Options]; a pool that is
	// too small is used again from its start. 491700000001 and 10.0.0.0/8 by
	// default.
	FirstMSISDN uint64
	Pool        netip.Prefix
	APN, NAS    string // "internet", "load"
}

func (o LoadOptions) withDefaults() LoadOptions {
	o.Sockets = cmp.Or(o.Sockets, 8)
	o.Window = cmp.Or(o.Window, 32)
	o.Requests = cmp.Or(o.Requests, 100_000)
	o.Sessions = cmp.Or(o.Sessions, o.Requests)
	o.FirstMSISDN = cmp.Or(o.FirstMSISDN, 491700000001)
	o.Pool = cmp.Or(o.Pool, netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8))
	o.APN = cmp.Or(o.APN, "internet")
	o.NAS = cmp.Or(o.NAS, "load")
	return o
}

// LoadSummary is what a load run did.
type LoadSummary struct {
	Sent, Answered, Retransmitted, Bad uint64
	Elapsed                            time.Duration
	P50, P99                           time.Duration
}

// PerSecond is the rate of answered requests.
func (s LoadSummary) PerSecond() float64 { return float64(s.Answered) / s.Elapsed.Seconds() }

// Load sends requests as fast as they are answered. Packets are patched copies
// of one that layeh encoded, and signed anew. A request that stays unanswered
// for a second is repeated until it is answered or ctx ends, which is an error
// here.
func Load(ctx context.Context, o LoadOptions) (LoadSummary, error) {
	o = o.withDefaults()
	if o.Window < 1 || o.Window > 256 || o.Sockets < 1 || len(o.Secret) == 0 {
		return LoadSummary{}, errors.New("load: sockets, a window of 1 to 256 and a secret are needed")
	}
	template, err := newTemplate(o)
	if err != nil {
		return LoadSummary{}, fmt.Errorf("load: %w", err)
	}
	var next atomic.Int64
	var st stats
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range o.Sockets {
		conn, err := net.Dial("udp", o.Server)
		if err != nil {
			return LoadSummary{}, fmt.Errorf("load: %w", err)
		}
		defer conn.Close()
		l := &loader{o: o, conn: conn, template: template, next: &next, stats: &st, digest: md5.New(), pending: make([]loaded, o.Window)}
		g.Go(func() error { return l.run(ctx) })
	}
	err = g.Wait()
	return LoadSummary{
		Sent: st.Sent.Load(), Answered: st.Answered.Load(), Retransmitted: st.Retransmitted.Load(), Bad: st.bad.Load(),
		Elapsed: time.Since(began), P50: st.Latencies.Quantile(0.5), P99: st.Latencies.Quantile(0.99),
	}, err
}

// A template is an encoded request and where its varying values are.
type template struct {
	wire                                              []byte
	status, session, msisdn, imsi, ipv4, time, octets int
}

func newTemplate(o LoadOptions) (*template, error) {
	p, err := Session{
		ID: "0000000000000000", NAS: o.NAS, MSISDN: "000000000000", IMSI: "001010000000000", IMEISV: "3569380300000000", APN: o.APN,
		IPv4: netip.AddrFrom4([4]byte{10}), NSAPI: "5", RAT: 6, Time: time.Now(),
	}.Request(Start, o.Secret)
	if err != nil {
		return nil, err
	}
	// The rest of what a gateway sends, for a request of usual size.
	for _, add := range []error{
		rfc2865.NASIPAddress_Set(p, net.IPv4(192, 0, 2, 1)), rfc2865.UserName_SetString(p, "user@example.net"),
		rfc2866.AcctAuthentic_Set(p, rfc2866.AcctAuthentic_Value_RADIUS), rfc2866.AcctInputOctets_Set(p, 12345),
		rfc2866.AcctOutputOctets_Set(p, 67890), AddVendor(p, ChargingID, []byte{0, 0, 0, 1}),
		AddVendor(p, GGSNAddress, []byte{192, 0, 2, 1}), AddVendor(p, IMSIMCCMNC, []byte("00101")),
		AddVendor(p, SGSNMCCMNC, []byte("00101")), AddVendor(p, 5, []byte("99-23921F9396D2FE74")),
	} {
		if add != nil {
			return nil, add
		}
	}
	t := &template{}
	if t.wire, err = p.Encode(); err != nil {
		return nil, err
	}
	for at := 20; at < len(t.wire); at += int(t.wire[at+1]) {
		switch layeh.Type(t.wire[at]) {
		case rfc2866.AcctStatusType_Type:
			t.status = at + 2
		case rfc2866.AcctSessionID_Type:
			t.session = at + 2
		case rfc2865.CallingStationID_Type:
			t.msisdn = at + 2
		case rfc2865.FramedIPAddress_Type:
			t.ipv4 = at + 2
		case rfc2866.AcctInputOctets_Type:
			t.octets = at + 2
		case rfc2869.EventTimestamp_Type:
			t.time = at + 2
		case rfc2865.VendorSpecific_Type:
			if t.wire[at+6] == IMSI {
				t.imsi = at + 8
			}
		}
	}
	return t, nil
}

// A loader is one socket.
type loader struct {
	o        LoadOptions
	conn     net.Conn
	template *template
	next     *atomic.Int64
	stats    *stats
	digest   hash.Hash
	zero     [16]byte
	pending  []loaded
	waiting  int
}

// A loaded request waits for its answer under its index as identifier.
type loaded struct {
	wire        []byte
	sent, first time.Time // last and first
	taken       bool
}

func (l *loader) run(ctx context.Context) error {
	buffer := make([]byte, layeh.MaxPacketLength)
	for i := range l.pending {
		l.pending[i].wire = append([]byte(nil), l.template.wire...)
		l.start(i)
	}
	for l.waiting > 0 {
		if err := l.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		// One deadline serves many reads.
		for range 1000 {
			n, err := l.conn.Read(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				l.again()
				break
			}
			if err == nil {
				l.take(buffer[:n])
			}
			if l.waiting == 0 {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("load: %d requests unanswered: %w", l.waiting, ctx.Err())
		}
	}
	return nil
}

// start sends the next request under an identifier, if there is one more.
func (l *loader) start(id int) {
	n := l.next.Add(1) - 1
	if n >= int64(l.o.Requests) {
		return
	}
	w := &l.pending[id]
	l.patch(w.wire, byte(id), uint64(n))
	w.taken, w.first = true, time.Now()
	w.sent = w.first
	l.waiting++
	l.stats.Sent.Add(1)
	l.conn.Write(w.wire)
}

// patch makes the wire that of request n and signs it.
func (l *loader) patch(wire []byte, id byte, n uint64) {
	session, status := n%uint64(l.o.Sessions), uint32(Start)
	if n >= uint64(l.o.Sessions) {
		status = uint32(Interim)
	}
	t := l.template
	wire[1] = id
	binary.BigEndian.PutUint32(wire[t.status:], status)
	binary.BigEndian.PutUint32(wire[t.time:], uint32(time.Now().Unix()))
	binary.BigEndian.PutUint32(wire[t.octets:], uint32(n)) // no two requests are alike
	decimal(wire[t.session:t.session+16], session)
	decimal(wire[t.msisdn:t.msisdn+12], l.o.FirstMSISDN+session)
	decimal(wire[t.imsi:t.imsi+15], 1010000000000+session)
	pool := crowdtest.Room(l.o.Pool, 32)
	addr := crowdtest.Addr(l.o.Pool, session%(pool-1)+1).As4()
	copy(wire[t.ipv4:], addr[:])
	l.digest.Reset()
	l.digest.Write(wire[:4])
	l.digest.Write(l.zero[:])
	l.digest.Write(wire[20:])
	l.digest.Write(l.o.Secret)
	l.digest.Sum(wire[4:4])
}

// decimal writes v with leading zeros.
func decimal(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

func (l *loader) take(answer []byte) {
	if len(answer) < 20 || int(answer[1]) >= len(l.pending) {
		l.stats.bad.Add(1)
		return
	}
	w := &l.pending[answer[1]]
	if !w.taken || !layeh.IsAuthenticResponse(answer, w.wire, l.o.Secret) {
		l.stats.bad.Add(1)
		return
	}
	w.taken = false
	l.waiting--
	l.stats.Answered.Add(1)
	l.stats.Latencies.Add(time.Since(w.first))
	l.start(int(answer[1]))
}

// again repeats what has waited for a second.
func (l *loader) again() {
	now := time.Now()
	for i := range l.pending {
		w := &l.pending[i]
		if w.taken && now.Sub(w.sent) >= time.Second {
			w.sent = now
			l.stats.Retransmitted.Add(1)
			l.conn.Write(w.wire)
		}
	}
}

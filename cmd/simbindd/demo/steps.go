package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/binding/query"
	"github.com/simbind/simbind/radius/radiustest"
)

// A step of the demo.
type step struct {
	title string
	run   func(*demo, context.Context) error
}

var steps = []step{
	{"The daemon starts", (*demo).start},
	{"Another system listens on NATS, with a stock client", (*demo).listen},
	{"The packet core reports who attaches: RADIUS accounting over UDP", (*demo).attach},
	{"Others are reported over Gx: Credit-Control over Diameter", (*demo).attachGx},
	{"A frontend asks on the Unix socket: is this the number of the SIM behind that address?", (*demo).askMatch},
	{"Subscriber 3 is reported over Gx, too", (*demo).corroborate},
	{"Somebody claims another person's number", (*demo).askMismatch},
	{"Subscriber 12 detaches; whoever claims that address now gets no match", (*demo).askUnknown},
	{"Meanwhile on NATS", (*demo).hear},
	{"An app on subscriber 3's phone verifies its number: numverify, the CAMARA API", (*demo).verifyForApp},
}

const subscribers = 12

// The parts of subscriber n, from 1.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 45, 0, byte(n)}) }
func msisdn(n int) string      { return fmt.Sprintf("4477009%05d", n) }
func imsi(n int) string        { return fmt.Sprintf("00101%010d", n) }

func session(n int) radiustest.Session {
	return radiustest.Session{
		ID: fmt.Sprintf("demo-%d", n), NAS: "demo-pgw", MSISDN: msisdn(n), IMSI: imsi(n), IMEISV: fmt.Sprintf("35693803%08d", 100*n),
		APN: "internet", IPv4: address(n), NSAPI: "5", RAT: 6, Time: time.Now(),
	}
}

func (d *demo) start(ctx context.Context) error {
	began := time.Now()
	select {
	case <-d.ready:
	case <-ctx.Done():
		return fmt.Errorf("it is not ready")
	}
	d.line("configuration", "%s", d.site.config())
	d.line("RADIUS", "%s/udp", d.site.radius)
	d.line("Gx", "%s/tcp", d.site.gx)
	d.line("socket", "%s", d.site.socket())
	d.line("NATS", "nats://%s", d.site.nats)
	d.line("metrics", "http://%s/metrics", d.site.metrics)
	d.line("ready", "after %v", time.Since(began).Round(time.Millisecond))
	return nil
}

// A change is what the demo shows of a message (docs/schema/change.v1.json).
type change struct {
	subject string
	Seq     uint64 `json:"seq"`
	Kind    string `json:"kind"`
	Addr    string `json:"addr"`
	MSISDN  string `json:"msisdn"`
	Was     struct {
		MSISDN string `json:"msisdn"`
	} `json:"was"`
	Why string `json:"why"`
}

const subject = "simbind.v1.demo.change.>"

func (d *demo) listen(ctx context.Context) error {
	var err error
	if d.bus, err = dialNATS(ctx, "nats://"+d.site.nats); err != nil {
		return err
	}
	_, err = d.bus.Subscribe(subject, func(m *nats.Msg) {
		c := change{subject: m.Subject}
		if json.Unmarshal(m.Data, &c) != nil {
			return // shows as a change that is missing
		}
		select {
		case d.changes <- c:
		default: // nobody looks any more
		}
	})
	if err == nil {
		err = d.bus.FlushWithContext(ctx)
	}
	if err != nil {
		return err
	}
	d.line("subscribed to", "%s at %s", subject, d.bus.ConnectedUrl())
	return nil
}

// dialNATS waits for the embedded server, which starts beside the others.
func dialNATS(ctx context.Context, url string) (*nats.Conn, error) {
	for {
		bus, err := nats.Connect(url, nats.Name("demo"))
		if err == nil {
			return bus, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) attach(ctx context.Context) error {
	var err error
	if d.nas, err = radiustest.Dial(d.site.radius); err != nil {
		return err
	}
	for n := 1; n <= subscribers; n++ {
		took, err := d.account(ctx, n, radiustest.Start)
		if err != nil {
			return err
		}
		d.line(address(n).String(), "+%s  IMSI %s  answered after %v", msisdn(n), imsi(n), took.Round(10*time.Microsecond))
	}
	d.line("", "An answer means: the binding is on disk.")
	return nil
}

// account sends an Accounting-Request and waits for its answer.
func (d *demo) account(ctx context.Context, n int, status radiustest.Status) (time.Duration, error) {
	p, err := session(n).Request(status, []byte(secret))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := d.nas.Exchange(ctx, p); err != nil {
		return 0, fmt.Errorf("accounting of subscriber %d: %w", n, err)
	}
	return time.Since(began), nil
}

func (d *demo) askMatch(ctx context.Context) error {
	var err error
	if d.verify, err = query.Dial(ctx, d.site.socket()); err != nil {
		return err
	}
	return d.ask(ctx, 3, msisdn(3), "match")
}

func (d *demo) askMismatch(ctx context.Context) error { return d.ask(ctx, 3, msisdn(4), "mismatch") }

func (d *demo) askUnknown(ctx context.Context) error {
	took, err := d.account(ctx, subscribers, radiustest.Stop)
	if err != nil {
		return err
	}
	d.line(address(subscribers).String(), "Stop, answered after %v", took.Round(10*time.Microsecond))
	return d.ask(ctx, subscribers, msisdn(subscribers), "unknown")
}

func (d *demo) ask(ctx context.Context, n int, number, want string) error {
	d.line("asked", "VERIFY %s +%s", address(n), number)
	began := time.Now()
	got, err := d.verify.Verify(ctx, address(n).String(), "+"+number)
	if err != nil {
		return err
	}
	d.line("answered", "%s (%s), in %v", got.Verdict, got.Reason, time.Since(began).Round(time.Microsecond))
	if got.Verdict != want {
		return fmt.Errorf("the answer must be %s", want)
	}
	return nil
}

// hear waits until NATS has told who attached and who left.
func (d *demo) hear(ctx context.Context) error {
	for len(d.heard) < all {
		select {
		case c := <-d.changes:
			d.heard = append(d.heard, c)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d changes were heard", len(d.heard), all)
		}
	}
	if err := inOrder(d.heard); err != nil {
		return err
	}
	d.line("heard", "%d changes, numbered 1 to %d without a gap; among them", len(d.heard), len(d.heard))
	for _, c := range []change{d.heard[2], d.heard[all-1]} {
		who := c.MSISDN
		if who == "" {
			who = c.Was.MSISDN
		}
		d.line("", "%s  #%d %s %s, because of %s", c.subject, c.Seq, c.Addr, who, c.Why)
	}
	return nil
}

// all are the changes of the demo.
const all = subscribers + gxSubscribers + 2

// inOrder checks them: everybody is bound, in order, then subscriber 3 has
// another source, then 12 is released.
func inOrder(heard []change) error {
	for i, c := range heard {
		kind, n := "bound", i+1
		switch i {
		case all - 2:
			kind, n = "updated", 3
		case all - 1:
			kind, n = "released", subscribers
		}
		if c.Seq != uint64(i+1) || c.Kind != kind || !strings.HasSuffix(c.subject, kind) || c.Addr != address(n).String() {
			return fmt.Errorf("change %d is %s of %s, number %d; it must be %s of %s", i+1, c.Kind, c.Addr, c.Seq, kind, address(n))
		}
	}
	return nil
}

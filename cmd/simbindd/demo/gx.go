package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/simbind/simbind/diameter/diametertest"
)

// gxSubscribers attach over Gx, after those over RADIUS.
const gxSubscribers = 4

// pcef is the PGW on Gx.
func pcef() diametertest.Node {
	return diametertest.Node{Host: "demo-pgw.demo", Realm: "demo", OriginState: uint32(time.Now().Unix())}
}

func (d *demo) attachGx(ctx context.Context) error {
	var err error
	if d.pcef, err = diametertest.Dial(ctx, d.site.gx, pcef(), nil); err != nil {
		return err
	}
	d.line("capabilities", "exchanged with %s", d.pcef.RemoteAddr())
	for n := subscribers + 1; n <= subscribers+gxSubscribers; n++ {
		took, err := d.report(ctx, n)
		if err != nil {
			return err
		}
		d.line(address(n).String(), "+%s  IMSI %s  2001 DIAMETER_SUCCESS after %v", msisdn(n), imsi(n), took.Round(10*time.Microsecond))
	}
	return nil
}

// report sends an initial Credit-Control-Request and waits for its answer.
func (d *demo) report(ctx context.Context, n int) (time.Duration, error) {
	s := diametertest.Session{
		ID: fmt.Sprintf("%s;%d;%d", pcef().Host, time.Now().Unix(), n), MSISDN: msisdn(n), IMSI: imsi(n), IMEISV: fmt.Sprintf("35693803%08d", 100*n),
		APN: "internet", IPv4: address(n), IPCAN: 5, RAT: 1004,
	}
	began := time.Now()
	answer, err := d.pcef.Exchange(ctx, s.Request(diametertest.Initial, 0, pcef(), diametertest.Node{Realm: "demo"}))
	if err != nil {
		return 0, fmt.Errorf("credit control of subscriber %d: %w", n, err)
	}
	if answer.Result() != 2001 {
		return 0, fmt.Errorf("credit control of subscriber %d: result %d", n, answer.Result())
	}
	return time.Since(began), nil
}

// corroborate reports over Gx who is known over RADIUS.
func (d *demo) corroborate(ctx context.Context) error {
	if _, err := d.report(ctx, 3); err != nil {
		return err
	}
	got, err := d.verify.Lookup(ctx, address(3).String())
	if err != nil {
		return err
	}
	d.line("asked", "LOOKUP %s", address(3))
	d.line("answered", "%s, sources %s", got.State, strings.Join(got.Sources, " and "))
	if !slices.Equal(got.Sources, []string{"gx", "radius"}) {
		return fmt.Errorf("the sources must be gx and radius")
	}
	return nil
}

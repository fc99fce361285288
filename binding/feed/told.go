package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
)

// What another site tells is read here: changes of its stream and rows of its
// snapshot become events of the Registry, where the site is a node and each
// address of it a session. Nothing of it is believed unchecked: what is not
// understood is an error, never half an event.

// A toldChange is the payload of a change, as far as a follower needs it.
type toldChange struct {
	V           int       `json:"v"`
	Site        string    `json:"site"`
	Incarnation string    `json:"incarnation"`
	Seq         uint64    `json:"seq"`
	Kind        string    `json:"kind"`
	At          time.Time `json:"at"`
	EventTime   time.Time `json:"event_time"`
	Was         struct {
		MSISDN string `json:"msisdn"`
		IMSI   string `json:"imsi"`
	} `json:"was"`
	told
}

// told is what changes and rows have in common.
type told struct {
	Domain string   `json:"domain"`
	Addr   string   `json:"addr"`
	Ports  []uint16 `json:"ports"`
	MSISDN string   `json:"msisdn"`
	IMSI   string   `json:"imsi"`
	IMEI   string   `json:"imei"`
	APN    string   `json:"apn"`
	RAT    string   `json:"rat"`
	Node   string   `json:"node"`
	State  string   `json:"state"`
	Reason string   `json:"reason"`
}

// A toldRow is a row of a snapshot.
type toldRow struct {
	told
	Since   time.Time `json:"since"`
	Version uint64    `json:"version"`
}

// toldMax bounds texts that end up in the Registry.
const toldMax = 256

// parseChange reads a change of a site.
func parseChange(site string, data []byte) (toldChange, error) {
	var c toldChange
	if err := json.Unmarshal(data, &c); err != nil {
		return c, err
	}
	switch {
	case c.V != Version:
		return c, fmt.Errorf("version %d", c.V)
	case c.Site != site:
		return c, fmt.Errorf("it is of site %q", c.Site)
	case c.Incarnation == "" || len(c.Incarnation) > 128 || c.Seq == 0:
		return c, errors.New("it has no number")
	}
	return c, nil
}

// event is what the change means; false if nothing that is followed here. What
// it says of its holder is of when the site decided it.
func (c *toldChange) event(now time.Time) (ev binding.Event, ok bool, err error) {
	kind, err := binding.ParseChangeKind(c.Kind)
	if err != nil || kind == binding.SIMChange {
		return ev, false, err
	}
	if kind == binding.Conflict {
		// Nobody is to be believed: the holder is not named either.
		c.MSISDN, c.IMSI, c.IMEI = "", "", ""
		c.State, c.Reason = binding.StateAmbiguous.String(), binding.ReasonConflict.String()
	}
	if ev, err = c.session(c.Site, now); err != nil {
		return ev, false, err
	}
	ev.Version, ev.Time = c.Seq, moment(c.At, now)
	switch kind {
	case binding.Released:
		return binding.Event{Kind: binding.SessionStop, Source: ev.Source, Node: ev.Node, Session: ev.Session, Time: now, Arrived: now}, true, nil
	case binding.Updated:
		ev.Kind = binding.SessionUpdate
	default:
		ev.Age = age(ev.Time, c.EventTime)
	}
	return ev, true, nil
}

// event is what the row means; false if it tells of nothing that is held. That it
// is told now says no more than that its holder came there then.
func (r *toldRow) event(site string, now time.Time) (ev binding.Event, ok bool, err error) {
	if r.Addr == "" {
		return ev, false, nil
	}
	if ev, err = r.session(site, now); err != nil {
		return ev, false, err
	}
	ev.Version, ev.Time = r.Version, moment(r.Since, now)
	return ev, true, nil
}

// moment is when something that a site tells happened: before now, and, if it does
// not say when, long ago.
func moment(at, now time.Time) time.Time {
	switch {
	case at.After(now):
		return now
	case at.UnixMilli() < 1:
		return time.UnixMilli(1).UTC()
	}
	return at
}

func age(now, since time.Time) time.Duration {
	if since.IsZero() || since.After(now) {
		return 0
	}
	return now.Sub(since)
}

// session is the start of the session that stands for the address.
func (t *told) session(site string, now time.Time) (ev binding.Event, err error) {
	addr, err := t.address()
	if err != nil {
		return ev, err
	}
	ev = binding.Event{
		Kind: binding.SessionStart, Source: binding.SourceFeed, Node: site, Session: t.Domain + " " + addr.String(),
		Time: now, Arrived: now, APN: t.APN, Addrs: []binding.Address{addr}, Complete: true, Domain: t.Domain, Via: t.Node,
	}
	for _, text := range []string{t.Domain, t.APN, t.Node} {
		if len(text) > toldMax {
			return ev, fmt.Errorf("a text of %d bytes", len(text))
		}
	}
	if t.Domain == "" {
		return ev, errors.New("no domain")
	}
	if t.RAT != "" {
		ev.RAT = binding.ParseRAT(t.RAT)
	}
	ev.Doubt = t.doubt()
	return ev, t.identify(&ev)
}

// doubt is why the site does not rely on it. A state or a reason that is not
// known here, of a later version, is a doubt too: to refuse it would leave what
// was said before in force.
func (t *told) doubt() binding.Reason {
	if t.State == "" {
		return binding.ReasonBound
	}
	state, err := binding.ParseState(t.State)
	if err == nil && state == binding.StateBound {
		return binding.ReasonBound
	}
	reason, unknown := binding.ParseReason(t.Reason)
	if err != nil || unknown != nil || reason == binding.ReasonBound || !reason.IsDoubt() {
		return binding.ReasonUnconfirmed // in whatever state it is, it is not to be relied on
	}
	return reason
}

// identify reads who it is. A number that is hidden is not known.
func (t *told) identify(ev *binding.Event) (err error) {
	if strings.HasPrefix(t.MSISDN, "+") {
		if ev.MSISDN, err = binding.ParseMSISDN(t.MSISDN); err != nil {
			return err
		}
	}
	if t.IMSI != "" {
		if ev.IMSI, err = binding.ParseIMSI(t.IMSI); err != nil {
			return err
		}
	}
	if t.IMEI != "" {
		ev.IMEI, err = binding.ParseIMEI(t.IMEI)
	}
	return err
}

func (t *told) address() (binding.Address, error) {
	var p netip.Prefix
	var err error
	if strings.Contains(t.Addr, "/") {
		p, err = netip.ParsePrefix(t.Addr)
	} else {
		var a netip.Addr
		a, err = netip.ParseAddr(t.Addr)
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if err != nil {
		return binding.Address{}, err
	}
	addr, err := binding.NewAddress(p)
	switch {
	case err != nil || len(t.Ports) == 0:
		return addr, err
	case len(t.Ports) != 2 || t.Ports[0] > t.Ports[1] || !p.Addr().Is4() || !p.IsSingleIP():
		return addr, errors.New("not a block of ports")
	}
	addr.PortLow, addr.PortHigh = t.Ports[0], t.Ports[1]
	return addr, nil
}

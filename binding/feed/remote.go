package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/simbind/simbind/binding"
)

// ErrUnreachable reports that a site does not answer in time, or not at all.
var ErrUnreachable = errors.New("the site does not answer")

// A Holder is what another site says of an address.
type Holder struct {
	binding.Binding
	binding.Answer
	// Hash is the number's, where the site does not publish it in clear. With
	// neither, and a Verdict that is Match, the number is hidden.
	Hash   [sha256.Size]byte
	Hashed bool
}

// Hidden reports that the site knows the number and does not tell it.
func (h *Holder) Hidden() bool {
	return h.Answer.Verdict == binding.Match && h.MSISDN == 0 && !h.Hashed
}

// Is gives the verdict on a number.
func (h *Holder) Is(n binding.Number) binding.Answer {
	a := h.Answer
	if a.Verdict != binding.Match {
		return a
	}
	same := n.Is(h.MSISDN)
	if h.Hashed {
		claimed := n.Hash
		if !n.Hashed {
			claimed = sha256.Sum256(n.MSISDN.AppendE164(nil))
		}
		same = claimed == h.Hash
	}
	if !same {
		a.Verdict, a.Reason = binding.Mismatch, binding.ReasonOtherNumber
	}
	return a
}

// AskLookup asks a site who holds an address. It blocks until the answer or until
// ctx ends; without one the error is ErrUnreachable.
func (f *Feed) AskLookup(ctx context.Context, site string, q binding.Query) (h Holder, err error) {
	var row struct {
		toldRow
		Seen time.Time `json:"seen"`
	}
	if err := f.askSite(ctx, site, "lookup", queryRequest{q.Addr.String(), q.Port, q.Domain}, &row); err != nil {
		return h, err
	}
	if h.Answer, err = row.answer(); err != nil || row.Addr == "" {
		return h, err
	}
	ev, err := row.session(site, f.now())
	if err != nil {
		return h, fmt.Errorf("%s: %w", site, err)
	}
	if !ev.Addrs[0].Prefix.Contains(q.Addr) {
		return Holder{}, fmt.Errorf("%s was asked about %s and tells of %s", site, q.Addr, ev.Addrs[0])
	}
	state, _ := binding.ParseState(row.State) // answer has read it
	h.Binding = binding.Binding{
		Subscriber: binding.Subscriber{MSISDN: ev.MSISDN, IMSI: ev.IMSI, IMEI: ev.IMEI}, Addr: ev.Addrs[0], Domain: row.Domain, APN: row.APN,
		RAT: ev.RAT, Node: row.Node, Site: site, Sources: binding.SourceSet(0).Add(binding.SourceFeed), State: state, Reason: h.Answer.Reason,
		Since: row.Since, Seen: row.Seen, Version: row.Version,
	}
	h.Answer.Version = row.Version
	if !row.Seen.IsZero() {
		h.Age = max(f.now().Sub(row.Seen), 0)
	}
	if n, err := hex.Decode(h.Hash[:], []byte(row.MSISDN)); err == nil && n == sha256.Size && len(row.MSISDN) == 2*sha256.Size {
		h.Hashed = true
	}
	return h, nil
}

// answer is the verdict of a lookup.
func (r *toldRow) answer() (a binding.Answer, err error) {
	reason, err := binding.ParseReason(r.Reason)
	if err != nil {
		return a, err
	}
	state, err := binding.ParseState(r.State)
	if err != nil {
		return a, err
	}
	a.Reason, a.Verdict = reason, reason.Verdict()
	if state == binding.StateAmbiguous && reason.Fits(binding.Ambiguous) {
		a.Verdict = binding.Ambiguous
	}
	if a.Verdict == binding.Match && state != binding.StateBound || a.Verdict == binding.Mismatch {
		return a, fmt.Errorf("state %s with reason %s", r.State, r.Reason)
	}
	return a, nil
}

// AskVerify asks a site whether a number is that of the SIM behind an address. It
// blocks until the answer or until ctx ends.
func (f *Feed) AskVerify(ctx context.Context, site string, q binding.Query, n binding.Number) (a binding.Answer, err error) {
	number := n.MSISDN.String()
	if n.Hashed {
		number = hex.EncodeToString(n.Hash[:])
	}
	var reply verifyReply
	if err := f.askSite(ctx, site, "verify", verifyRequest{queryRequest{q.Addr.String(), q.Port, q.Domain}, number}, &reply); err != nil {
		return a, err
	}
	if a, err = binding.ParseAnswer(reply.Verdict, reply.Reason); err != nil {
		return a, fmt.Errorf("%s answers: %w", site, err)
	}
	a.Age, a.Version = time.Duration(max(reply.AgeMS, 0))*time.Millisecond, reply.Version
	return a, nil
}

func (f *Feed) askSite(ctx context.Context, site, endpoint string, request, reply any) error {
	nc := f.siteConn.Load()
	if nc == nil || !nc.IsConnected() {
		return fmt.Errorf("%w: no connection to nats", ErrUnreachable)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	msg, err := nc.RequestWithContext(ctx, serviceSubject(site, endpoint), body)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, site, err)
	case msg.Header.Get(micro.ErrorCodeHeader) != "":
		return fmt.Errorf("%w: %s: %s %s", ErrUnreachable, site, msg.Header.Get(micro.ErrorCodeHeader), msg.Header.Get(micro.ErrorHeader))
	}
	if err := json.Unmarshal(msg.Data, reply); err != nil {
		return fmt.Errorf("%s: %w", site, err)
	}
	return nil
}

package feed

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/simbind/simbind/binding"
)

// Limits of the micro service. Each endpoint answers one request at a time.
const (
	requestMax     = 4 << 10 // bytes
	requestPending = 256     // per endpoint
	snapshotLimit  = 1000    // default of a page
	snapshotMax    = 2000
)

// serviceVersion is the version of requests and replies.
const serviceVersion = "1.0.0"

// A refusal is an answer that a request cannot have: the code and the text of
// a NATS micro error.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return strconv.Itoa(r.code) + ": " + r.text }

func badRequest(format string, args ...any) error {
	return &refusal{400, fmt.Sprintf(format, args...)}
}

// An endpoint answers one kind of request with something for encoding/json, or
// with a refusal.
type endpoint struct {
	name   string
	answer func(data []byte) (any, error)

	answered, refused atomic.Uint64
}

// A service answers requests over NATS.
type service struct {
	cfg       Config
	asker     Asker
	health    *health
	pair      *pair
	endpoints []*endpoint
	instance  string // of this process, another one at every start
}

func newService(f *Feed) *service {
	s := &service{cfg: f.cfg, asker: f.asker, health: &f.health, pair: f.pair, instance: rand.Text()}
	s.endpoints = []*endpoint{
		{name: "verify", answer: s.verify},
		{name: "lookup", answer: s.lookup},
		{name: "status", answer: s.status},
		{name: "snapshot", answer: s.snapshot},
	}
	return s
}

// start subscribes; the client repeats that at every connection.
func (s *service) start(nc *nats.Conn) (stop func(), err error) {
	svc, err := micro.AddService(nc, micro.Config{
		Name:        "simbind",
		Version:     serviceVersion,
		Description: "which SIM holds this IP address",
		Metadata:    map[string]string{"site": s.cfg.Site},
	})
	if err != nil {
		return nil, fmt.Errorf("nats service: %w", err)
	}
	for _, e := range s.endpoints {
		err := svc.AddEndpoint(e.name, micro.HandlerFunc(func(r micro.Request) { s.serve(e, r, nc.MaxPayload()) }),
			micro.WithEndpointSubject(serviceSubject(s.cfg.Site, e.name)),
			micro.WithEndpointPendingLimits(requestPending, requestPending*requestMax))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("nats service: %s: %w", e.name, err), svc.Stop())
		}
	}
	return func() { _ = svc.Stop() }, nil // fails only on a closed connection
}

// errNotOurs: askers of this site's name may have meant the other one.
var errNotOurs = &refusal{503, "another simbindd publishes under this site's name; this one does not speak for it"}

// isInbox reports whether a reply subject may be where an asker waits, and not
// where changes, heartbeats or requests are sent: servers do not check that the
// asker may publish there.
func isInbox(reply string) bool {
	return !strings.HasPrefix(reply, "simbind.") && !strings.HasPrefix(reply, "$")
}

// serve answers one request. That an answer cannot be sent means that the
// connection is gone, and the asker with it.
func (s *service) serve(e *endpoint, r micro.Request, maxPayload int64) {
	if !isInbox(r.Reply()) {
		e.refused.Add(1)
		return // even a refusal would be sent there
	}
	body, err := e.reply(r.Data(), maxPayload)
	if s.health.isHeld() || !s.pair.speaks() {
		err = errNotOurs
	}
	if err == nil {
		e.answered.Add(1)
		_ = r.Respond(body)
		return
	}
	e.refused.Add(1)
	no := &refusal{code: 500, text: "internal error"}
	errors.As(err, &no)
	_ = r.Error(strconv.Itoa(no.code), no.text, nil)
}

func (e *endpoint) reply(data []byte, maxPayload int64) ([]byte, error) {
	if len(data) > requestMax {
		return nil, &refusal{413, fmt.Sprintf("the request is longer than %d bytes", requestMax)}
	}
	answer, err := e.answer(data)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encode reply: %w", err)
	}
	if int64(len(body)) > maxPayload {
		return nil, &refusal{413, "the reply exceeds the server's max_payload; ask with a lower limit"}
	}
	return body, nil
}

// decode reads a request strictly; an empty one is {}.
func decode(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("the request is not the JSON that is expected: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("something follows the JSON of the request")
	}
	return nil
}

// version is a version as consumers number changes.
func (s *service) version(own uint64) uint64 {
	if own == 0 {
		return 0
	}
	return own + s.health.offset()
}

// A queryRequest names an address.
type queryRequest struct {
	Addr   string `json:"addr"`
	Port   uint16 `json:"port"`
	Domain string `json:"domain"`
}

func (r queryRequest) query() (binding.Query, error) {
	addr, err := binding.ParseAddr(r.Addr)
	if err != nil {
		return binding.Query{}, badRequest("addr: %v", err)
	}
	return binding.Query{Addr: addr, Port: r.Port, Domain: r.Domain}, nil
}

type verifyRequest struct {
	queryRequest
	Number string `json:"number"`
}

type verifyReply struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	AgeMS   int64  `json:"age_ms"`
	Version uint64 `json:"version"`
}

// verify answers "is this the number of the SIM behind this address?".
func (s *service) verify(data []byte) (any, error) {
	var req verifyRequest
	if err := decode(data, &req); err != nil {
		return nil, err
	}
	query, err := req.query()
	if err != nil {
		return nil, err
	}
	number, err := binding.ParseNumber(req.Number)
	if err != nil {
		return nil, badRequest("number: %v", err)
	}
	a := s.asker.Verify(query, number)
	return verifyReply{a.Verdict.String(), a.Reason.String(), a.Age.Milliseconds(), s.version(a.Version)}, nil
}

// lookup answers "who holds this address?".
func (s *service) lookup(data []byte) (any, error) {
	var req queryRequest
	if err := decode(data, &req); err != nil {
		return nil, err
	}
	query, err := req.query()
	if err != nil {
		return nil, err
	}
	b, a := s.asker.Lookup(query)
	if !b.Addr.Prefix.IsValid() {
		return bindingReply{State: a.Verdict.String(), Reason: a.Reason.String()}, nil
	}
	return s.binding(b.Under(a)), nil
}

package shtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/avp"
	"github.com/fiorix/go-diameter/v4/diam/datatype"
	"github.com/fiorix/go-diameter/v4/diam/dict"

	"github.com/simbind/simbind/diameter/diametertest"
)

// Results of Sh (TS 29.329 clause 6.2): Experimental-Result-Codes of 3GPP.
const (
	UserUnknown         = 5001
	OperationNotAllowed = 5101
	UserDataUnavailable = 4100
)

// Options of an HSS. Zero values mean the defaults.
type Options struct {
	// Node is hss.test of the realm test by default.
	Node diametertest.Node
	// Answer takes every request of Sh in place of [HSS.Answer]; nil: it stays
	// unanswered. It runs in the goroutine that reads the connection.
	Answer func(h *HSS, p *diametertest.Peer, request Request) *diam.Message
}

// A Request of Sh that came.
type Request struct {
	diametertest.Message
	// Command is UserData or Subscribe.
	Command uint32
	// UserName, PublicIdentity and DataReference are the AVPs of those names.
	UserName, PublicIdentity string
	DataReference            uint32
	// Again says that the T bit is set.
	Again bool
}

// An HSS knows the numbers of SIMs. Its methods are for any goroutine.
type HSS struct {
	options    Options
	dictionary *dict.Parser
	server     *diametertest.PCRF

	mu         sync.Mutex
	numbers    map[string]string // by IMSI; empty: a subscriber without one
	requests   []Request
	subscribed map[string]subscriber // by IMSI
}

// A subscriber wants to be told of changes.
type subscriber struct {
	via  *diametertest.Peer
	host diametertest.Node
}

// Listen serves on an address of TCP, such as 127.0.0.1:0.
func Listen(addr string, o Options) (*HSS, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return Serve(l, o)
}

// Serve serves on a listener until Close.
func Serve(l net.Listener, o Options) (*HSS, error) {
	if o.Node.Host == "" {
		o.Node.Host, o.Node.Realm = "hss.test", "test"
	}
	if o.Node.Applications == nil {
		o.Node.Applications = []uint32{Sh}
	}
	dictionary, err := newDictionary()
	if err != nil {
		return nil, err
	}
	h := &HSS{options: o, dictionary: dictionary, numbers: map[string]string{}, subscribed: map[string]subscriber{}}
	h.server = diametertest.ServePCRF(l, diametertest.PCRFOptions{Node: o.Node, Handle: h.handle})
	return h, nil
}

// Addr is where it listens.
func (h *HSS) Addr() string { return h.server.Addr() }

// Close closes the listener and every connection without a word.
func (h *HSS) Close() { h.server.Close() }

// Await waits until a peer of that Origin-Host is connected.
func (h *HSS) Await(ctx context.Context, host string) (*diametertest.Peer, error) {
	return h.server.Await(ctx, host)
}

// Set gives a SIM its number, as digits; empty: it has none.
func (h *HSS) Set(imsi, msisdn string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numbers[imsi] = msisdn
}

// Requests are those that came, in their order.
func (h *HSS) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

func (h *HSS) handle(p *diametertest.Peer, m diametertest.Message) *diam.Message {
	if m.Header.ApplicationID != Sh {
		return p.Default(m)
	}
	parsed, err := h.parse(m)
	if err != nil {
		return nil // a test that waits for the answer fails
	}
	request := newRequest(parsed)
	h.mu.Lock()
	h.requests = append(h.requests, request)
	h.mu.Unlock()
	if h.options.Answer != nil {
		return h.options.Answer(h, p, request)
	}
	return h.Answer(p, request)
}

func newRequest(m diametertest.Message) Request {
	r := Request{Message: m, Command: m.Header.CommandCode, UserName: m.Text(avp.UserName), Again: m.Header.CommandFlags&diam.RetransmittedFlag != 0}
	if a := m.Find(diametertest.Vendor3GPP, avpUserIdentity); a != nil {
		if group, ok := a.Data.(*diam.GroupedAVP); ok {
			for _, member := range group.AVP {
				if member.Code == avpPublicIdentity {
					r.PublicIdentity = string(member.Data.Serialize())
				}
			}
		}
	}
	if a := m.Find(diametertest.Vendor3GPP, avpDataReference); a != nil {
		if value, ok := a.Data.(datatype.Enumerated); ok {
			r.DataReference = uint32(value)
		}
	}
	return r
}

// IMSI is that of the identity which the request has: of User-Name, else of
// Public-Identity.
func (r Request) IMSI() string {
	user, _, _ := strings.Cut(r.UserName, "@")
	if user == "" {
		user, _, _ = strings.Cut(strings.TrimPrefix(r.PublicIdentity, "sip:"), "@")
	}
	return user
}

// Answer answers a request with what the HSS knows.
func (h *HSS) Answer(p *diametertest.Peer, r Request) *diam.Message {
	imsi := r.IMSI()
	h.mu.Lock()
	defer h.mu.Unlock()
	number, known := h.numbers[imsi]
	switch {
	case !known:
		return h.Fail(r, diametertest.Vendor3GPP, UserUnknown)
	case r.Command == Subscribe:
		h.subscribed[imsi] = subscriber{p, diametertest.Node{Host: r.Text(avp.OriginHost), Realm: r.Text(avp.OriginRealm)}}
		return h.begin(r, diametertest.Success)
	case r.Command == UserData:
		return h.Data(r, Document(number))
	}
	return p.Default(r.Message)
}

// Document is the XML of Sh-Data with these numbers.
func Document(numbers ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><Sh-Data><PublicIdentifiers>`)
	for _, number := range numbers {
		if number != "" {
			fmt.Fprintf(&b, "<MSISDN>%s</MSISDN>", number)
		}
	}
	b.WriteString(`</PublicIdentifiers></Sh-Data>`)
	return b.String()
}

// Data makes an answer of success with User-Data.
func (h *HSS) Data(r Request, document string) *diam.Message {
	m := h.begin(r, diametertest.Success)
	m.AddAVP(diam.NewAVP(avpUserData, avp.Mbit|avp.Vbit, diametertest.Vendor3GPP, datatype.OctetString(document)))
	return m
}

// Fail makes an answer with an Experimental-Result or, without a vendor, with a
// Result-Code.
func (h *HSS) Fail(r Request, vendor, code uint32) *diam.Message {
	if vendor == 0 {
		return h.begin(r, code)
	}
	m := h.begin(r, diametertest.Success)
	m.AVP = slices.DeleteFunc(m.AVP, func(a *diam.AVP) bool { return a.Code == avp.ResultCode })
	m.AddAVP(diam.NewAVP(avp.ExperimentalResult, avp.Mbit, 0, diametertest.Group(
		diam.NewAVP(avp.VendorID, avp.Mbit, 0, datatype.Unsigned32(vendor)),
		diam.NewAVP(avp.ExperimentalResultCode, avp.Mbit, 0, datatype.Unsigned32(code)),
	)))
	return m
}

// begin makes an answer without anything of its own.
func (h *HSS) begin(r Request, result uint32) *diam.Message {
	return application(h.options.Node.Answer(r.Message, result))
}

// application adds what each message of Sh says of it.
func application(m *diam.Message) *diam.Message {
	m.AddAVP(diam.NewAVP(avp.VendorSpecificApplicationID, avp.Mbit, 0, diametertest.Group(
		diam.NewAVP(avp.VendorID, avp.Mbit, 0, datatype.Unsigned32(diametertest.Vendor3GPP)),
		diam.NewAVP(avp.AuthApplicationID, avp.Mbit, 0, datatype.Unsigned32(Sh)),
	)))
	m.AddAVP(diam.NewAVP(avp.AuthSessionState, avp.Mbit, 0, datatype.Enumerated(1)))
	return m
}

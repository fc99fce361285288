package feed

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// newSender makes the fastest sender that the stream allows. Of a fast batch
// only the first message is held against what it must follow; a pair needs that
// of all of them, since the other member may take over within the batch.
func newSender(cfg Config, term uint64, timeout time.Duration, nc *nats.Conn, js jetstream.JetStream, have jetstream.StreamConfig) (sender, error) {
	m := newMessage(cfg, term)
	m.timeout = timeout
	paired := cfg.Pair.Member != ""
	switch {
	case paired && have.AllowAtomicPublish && atLeast(nc.ConnectedServerVersion(), batchServer):
		return &atomicSender{message: m, nc: nc, name: rand.Text()}, nil
	case paired || !have.AllowBatchPublish:
		return &singleSender{m, js}, nil
	}
	inbox := nc.NewInbox()
	acks, err := nc.SubscribeSync(inbox + ".>")
	if err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return &batchSender{message: m, nc: nc, inbox: inbox, name: rand.Text(), acks: acks}, nil
}

// A message is filled in for each change; the client copies it when sending.
type message struct {
	enc      encoder
	timeout  time.Duration // for an answer
	filter   string
	subjects [binding.SIMChange + 1]string
	nats.Msg
}

// memberHeader says which member of an HA pair sent a message, and in which term.
const memberHeader = "Simbind-Member"

func parseMember(header string) (member string, term uint64) {
	member, digits, _ := strings.Cut(header, "/")
	term, _ = strconv.ParseUint(digits, 10, 64)
	return member, term
}

func newMessage(cfg Config, term uint64) message {
	m := message{enc: encoder{site: cfg.Site, privacy: cfg.PublishMSISDN}, filter: siteSubjects(cfg.Site)}
	for kind := range m.subjects {
		m.subjects[kind] = changeSubject(cfg.Site, binding.ChangeKind(kind))
	}
	m.Header = nats.Header{}
	if member := cfg.Pair.Member; member != "" {
		m.Header[memberHeader] = []string{member + "/" + strconv.FormatUint(term, 10)}
	}
	return m
}

func (m *message) fill(incarnation string, c *binding.Change) {
	m.enc.incarnation = incarnation
	m.Subject = m.subjects[c.Kind]
	m.Data = m.enc.appendChange(m.Data[:0], c)
	m.Header[nats.MsgIdHdr] = []string{messageID(m.enc.site, incarnation, c.Seq)}
}

// A singleSender sends one change at a time, for streams without batches. Each
// one names the message that it must follow.
type singleSender struct {
	message
	js jetstream.JetStream
}

func (s *singleSender) store(ctx context.Context, incarnation string, expect uint64, rows []binding.Change) (uint64, error) {
	for i := range rows {
		s.fill(incarnation, &rows[i])
		ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errNoAnswer)
		ack, err := s.js.PublishMsg(ctx, &s.Msg,
			jetstream.WithExpectLastSequenceForSubject(expect, s.filter), jetstream.WithRetryAttempts(0))
		cancel()
		if err != nil {
			return 0, fmt.Errorf("publish change %d: %w", rows[i].Seq, err)
		}
		if ack.Duplicate {
			return 0, errRepeated
		}
		expect = ack.Sequence
	}
	return expect, nil
}

func (s *singleSender) close() {}

// A batchSender sends batches as of NATS ADR-50 (fast ingest): the messages of
// a batch are stored one by one in order, the batch ends at the first that is
// missing or refused, and one acknowledgement speaks for all of them. Only the
// first one names the message that it must follow: another publisher's may come
// in between, and that one notices it at its next batch.
type batchSender struct {
	message
	nc    *nats.Conn
	inbox string
	name  string // of this sender, among all that send to the stream
	count uint64 // batches
	acks  *nats.Subscription
	reply []byte
}

// Operations of the batch protocol, in the reply subject.
const (
	opStart  = 0
	opAppend = 1
	opCommit = 2
)

// flow asks the server for an interim acknowledgement every so many messages;
// larger than a batch, so there are none.
const flow = 2 * batchMax

func (s *batchSender) store(ctx context.Context, incarnation string, expect uint64, rows []binding.Change) (uint64, error) {
	s.count++
	id := s.name + strconv.FormatUint(s.count, 36)
	for i := range rows {
		s.fill(incarnation, &rows[i])
		switch i {
		case 0:
			s.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect, 10)}
			s.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{s.filter}
		case 1:
			delete(s.Header, jetstream.ExpectedLastSubjSeqHeader)
			delete(s.Header, jetstream.ExpectedLastSubjSeqSubjHeader)
		}
		s.setReply(id, i, len(rows))
		if err := s.nc.PublishMsg(&s.Msg); err != nil {
			return 0, fmt.Errorf("publish change %d: %w", rows[i].Seq, err)
		}
	}
	last, err := s.awaitAck(ctx, id, len(rows))
	if err == nil && last < expect+uint64(len(rows)) {
		return 0, errRepeated
	}
	return last, err
}

// setReply writes <inbox>.<batch>.<flow>.<gap mode>.<number>.<operation>.$FI
func (s *batchSender) setReply(id string, i, n int) {
	op := opAppend
	switch {
	case i == n-1:
		op = opCommit
	case i == 0:
		op = opStart
	}
	b := append(s.reply[:0], s.inbox...)
	b = append(append(b, '.'), id...)
	b = strconv.AppendInt(append(b, '.'), flow, 10)
	b = append(b, ".fail."...)
	b = strconv.AppendInt(b, int64(i+1), 10)
	b = strconv.AppendInt(append(b, '.'), int64(op), 10)
	s.reply = append(b, ".$FI"...)
	s.Reply = string(s.reply)
}

// A batchReply is any answer of the server to a batch.
type batchReply struct {
	Type  string              `json:"type"` // "ack", "gap", "err"; empty for the last one
	Seq   uint64              `json:"seq"`
	Batch string              `json:"batch"`
	Count int                 `json:"count"`
	Error *jetstream.APIError `json:"error"`
}

// awaitAck waits for the end of the batch.
func (s *batchSender) awaitAck(ctx context.Context, id string, n int) (uint64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errNoAnswer)
	defer cancel()
	for {
		msg, err := s.acks.NextMsgWithContext(ctx)
		if err != nil {
			return 0, noAck(ctx, err)
		}
		if !strings.HasPrefix(msg.Subject[len(s.inbox)+1:], id+".") {
			continue // of an earlier batch
		}
		if len(msg.Data) == 0 {
			return 0, errNoStream
		}
		var r batchReply
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			return 0, fmt.Errorf("publish: decode acknowledgement: %w", err)
		}
		switch {
		case r.Error != nil:
			return 0, fmt.Errorf("publish: %w", r.Error)
		case r.Type == "gap":
			return 0, errors.New("publish: the server missed a message")
		case r.Type == "" && r.Count != n:
			return 0, fmt.Errorf("publish: %d of %d changes were stored", r.Count, n)
		case r.Type == "":
			return r.Seq, nil
		}
	}
}

// errRepeated: the stream skipped changes because it had seen their ids within
// its dedupe window. They may be ours, sent before an answer was lost, or those
// of a copy of our journal: resuming tells.
var errRepeated = errors.New("the stream already had a change of this number")

var (
	errNoAnswer = errors.New("no answer from the stream")
	errNoStream = errors.New("publish: no stream takes the changes")
)

func noAck(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("publish: %w", cause)
	}
	return fmt.Errorf("publish: %w", err)
}

func (s *batchSender) close() { _ = s.acks.Unsubscribe() } // fails only without a connection

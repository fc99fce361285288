package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/simbind/simbind/binding"
)

// An atomicSender sends atomic batches (NATS ADR-50). The server keeps the
// messages of a batch aside and looks at the commit, which comes with the last
// one, whether the site's last message is still the one that the batch must
// follow; then it stores all of them or none. What is left of a batch that was
// held up on its way comes too late when another member has stored something.
type atomicSender struct {
	message
	nc    *nats.Conn
	name  string // of this sender, among all that send to the stream
	count uint64 // batches
	alone bool   // the server takes no batches as large as ours
}

// Headers of the batch protocol.
const (
	batchIDHeader       = "Nats-Batch-Id"
	batchSequenceHeader = "Nats-Batch-Sequence"
	batchCommitHeader   = "Nats-Batch-Commit"
)

// few is up to how many changes go one at a time, each naming the one that it must
// follow: one server alone syncs each batch to its disk, which takes longer.
const few = 16

// duplicateInBatch is the server's error for a batch of which it has seen a
// message before, within its dedupe window.
const duplicateInBatch jetstream.ErrorCode = 10201

// Errors of the server for a batch of which it stores nothing, while it may take
// the changes one at a time: a part is missing, it has too many batches open
// (whoever has a beginning of one stored again opens one), or takes none as large.
const (
	incompleteBatch jetstream.ErrorCode = 10176
	tooLargeBatch   jetstream.ErrorCode = 10199
	tooManyBatches  jetstream.ErrorCode = 10210
)

func (s *atomicSender) store(ctx context.Context, incarnation string, expect uint64, rows []binding.Change) (last uint64, err error) {
	if len(rows) > few && !s.alone {
		last, err = s.storeBatch(ctx, incarnation, expect, rows)
		if !s.noBatch(err) {
			return last, err
		}
	}
	for i := range rows {
		if expect, err = s.storeBatch(ctx, incarnation, expect, rows[i:i+1]); err != nil {
			return 0, err
		}
	}
	return expect, nil
}

// noBatch reports whether the server did not take the changes because they were
// a batch: one at a time it may.
func (s *atomicSender) noBatch(err error) bool {
	apiErr := (*jetstream.APIError)(nil)
	if !errors.As(err, &apiErr) {
		return false
	}
	switch apiErr.ErrorCode {
	case tooLargeBatch:
		s.alone = true
	case incompleteBatch, tooManyBatches:
	default:
		return false
	}
	return true
}

// storeBatch stores all of the rows or none.
func (s *atomicSender) storeBatch(ctx context.Context, incarnation string, expect uint64, rows []binding.Change) (uint64, error) {
	s.count++
	id, n := s.name+strconv.FormatUint(s.count, 36), len(rows)
	for i := range rows[:n-1] {
		s.fill(incarnation, &rows[i])
		s.number(id, i, n, expect)
		if err := s.nc.PublishMsg(&s.Msg); err != nil {
			return 0, fmt.Errorf("publish change %d: %w", rows[i].Seq, err)
		}
	}
	s.fill(incarnation, &rows[n-1])
	s.number(id, n-1, n, expect)
	return s.commit(ctx, id, n)
}

// number writes the headers of message i of a batch of n. One alone is no batch.
func (s *atomicSender) number(id string, i, n int, expect uint64) {
	if i == 0 {
		s.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect, 10)}
		s.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{s.filter}
	} else {
		delete(s.Header, jetstream.ExpectedLastSubjSeqHeader)
		delete(s.Header, jetstream.ExpectedLastSubjSeqSubjHeader)
	}
	if n == 1 {
		delete(s.Header, batchIDHeader)
		delete(s.Header, batchSequenceHeader)
	} else {
		s.Header[batchIDHeader] = []string{id}
		s.Header[batchSequenceHeader] = []string{strconv.Itoa(i + 1)}
	}
	if n > 1 && i == n-1 {
		s.Header[batchCommitHeader] = []string{"1"}
	} else {
		delete(s.Header, batchCommitHeader)
	}
}

// An atomicReply is the server's answer to a batch or to a message alone.
type atomicReply struct {
	Seq       uint64              `json:"seq"` // of the last one
	Duplicate bool                `json:"duplicate"`
	Batch     string              `json:"batch"`
	Count     int                 `json:"count"`
	Error     *jetstream.APIError `json:"error"`
}

// commit sends the last message of the batch and waits for the answer.
func (s *atomicSender) commit(ctx context.Context, id string, n int) (uint64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errNoAnswer)
	defer cancel()
	msg, err := s.nc.RequestMsgWithContext(ctx, &s.Msg)
	if errors.Is(err, nats.ErrNoResponders) {
		return 0, errNoStream
	}
	if err != nil {
		return 0, noAck(ctx, err)
	}
	var r atomicReply
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return 0, fmt.Errorf("publish: decode acknowledgement: %w", err)
	}
	switch {
	case r.Duplicate, r.Error != nil && r.Error.ErrorCode == duplicateInBatch:
		return 0, errRepeated
	case r.Error != nil:
		return 0, fmt.Errorf("publish: %w", r.Error)
	case n > 1 && (r.Batch != id || r.Count != n):
		return 0, fmt.Errorf("publish: %d of %d changes were stored", r.Count, n)
	}
	return r.Seq, nil
}

func (s *atomicSender) close() {}

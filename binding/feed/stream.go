package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// dedupeWindow is kept short: the server holds every id of the window in
// memory, and resuming never relies on it.
const dedupeWindow = 30 * time.Second

// minServer has what the publisher needs to fence off a second one
// (Nats-Expected-Last-Subject-Sequence-Subject).
const minServer = "2.12"

// batchServer has fast batches, and atomic ones of messages with an id. An older
// server refuses a stream that asks for the former.
const batchServer = "2.14"

func (f *Feed) wantedStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              f.cfg.Stream.Name,
		Description:       "changes of who holds which address",
		Subjects:          []string{streamSubjects},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxAge:            f.cfg.Stream.MaxAge,
		MaxBytes:          f.cfg.Stream.MaxBytes,
		Replicas:          f.cfg.Stream.Replicas,
		Duplicates:        dedupeWindow,
		AllowDirect:       true,
		AllowBatchPublish: true,
		// For the members of pairs, which publish to an operator's servers.
		AllowAtomicPublish: f.cfg.URL != "",
	}
}

// ensureStream finds the stream, or makes it if there is none. A stream of the
// operator's is taken as it is; what matters about it becomes a warning. The
// embedded server's stream is ours and follows the configuration.
func (f *Feed) ensureStream(ctx context.Context, js jetstream.JetStream, version string) (jetstream.Stream, []string, error) {
	want := f.wantedStream()
	want.AllowBatchPublish = atLeast(version, batchServer)
	want.AllowAtomicPublish = want.AllowAtomicPublish && want.AllowBatchPublish
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, want)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		err = errors.New("the server has no JetStream for this account, or is electing a leader")
	case errors.Is(err, context.DeadlineExceeded):
		err = errNoAnswer
	}
	if err != nil {
		return nil, nil, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	have := stream.CachedInfo().Config
	if f.cfg.URL == "" && differs(have, want) {
		f.log.Info("stream follows the configuration", "stream", want.Name)
		have.MaxAge, have.MaxBytes, have.Duplicates, have.AllowBatchPublish = want.MaxAge, want.MaxBytes, want.Duplicates, want.AllowBatchPublish
		if stream, err = js.UpdateStream(ctx, have); err != nil {
			return nil, nil, fmt.Errorf("update stream %s: %w", want.Name, err)
		}
	}
	have = stream.CachedInfo().Config
	if err := unusable(have, siteSubjects(f.cfg.Site)); err != nil {
		return nil, nil, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	return stream, concerns(have, want, f.cfg.Pair.Member != ""), nil
}

func differs(have, want jetstream.StreamConfig) bool {
	return have.MaxAge != want.MaxAge || have.MaxBytes != want.MaxBytes ||
		have.Duplicates != want.Duplicates || have.AllowBatchPublish != want.AllowBatchPublish
}

// unusable says why changes cannot be published to a stream at all.
func unusable(have jetstream.StreamConfig, subjects string) error {
	switch {
	case !slices.ContainsFunc(have.Subjects, func(s string) bool { return covers(s, subjects) }):
		return fmt.Errorf("it does not take %s; add that to its subjects", subjects)
	case have.NoAck:
		return errors.New("it does not acknowledge (no_ack)")
	case have.Sealed:
		return errors.New("it is sealed")
	}
	return nil
}

// concerns lists in words what about an existing stream costs consumers
// something.
func concerns(have, want jetstream.StreamConfig, paired bool) []string {
	var list []string
	warn := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, "stream "+want.Name+" "+fmt.Sprintf(format, args...))
		}
	}
	warn(paired || have.AllowBatchPublish, "does not allow batches (allow_batched, nats-server "+batchServer+"): changes go one at a time")
	warn(!paired || have.AllowAtomicPublish, "does not allow atomic batches (allow_atomic, nats-server "+batchServer+"): changes of a pair go one at a time")
	warn(have.Storage == jetstream.FileStorage, "is kept in memory: a restart of the servers empties it")
	warn(have.Retention == jetstream.LimitsPolicy, "has retention %v: changes vanish when consumed", have.Retention)
	warn(have.MaxMsgsPerSubject <= 0, "keeps only %d changes per subject", have.MaxMsgsPerSubject)
	warn(have.Discard == jetstream.DiscardOld, "refuses new changes when it is full (discard new)")
	warn(have.MaxAge == want.MaxAge, "keeps changes for %v (0s: without limit), the configuration says %v", have.MaxAge, want.MaxAge)
	warn(have.MaxBytes == want.MaxBytes, "keeps %d bytes (-1: without limit), the configuration says %d", have.MaxBytes, want.MaxBytes)
	warn(have.Replicas >= want.Replicas, "has %d replicas, the configuration says %d", have.Replicas, want.Replicas)
	return list
}

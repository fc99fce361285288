package journal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/simbind/simbind/binding"
)

// sweepEvery is how many forgotten changes are deleted together: each deletion
// leaves a range tombstone that later reads have to step over.
const sweepEvery = 4096

// OutboxNotify is signalled after a Commit that carried changes, and when the
// outbox can be read again after a failure. One signal may stand for several.
func (j *Journal) OutboxNotify() <-chan struct{} { return j.notify }

// OutboxRange names the undelivered changes: first to last, none if first is
// last+1.
func (j *Journal) OutboxRange() (first, last uint64) {
	first = j.trimmed.Load() + 1
	return first, max(j.committed.Load(), first-1)
}

// ReadOutbox returns changes with Seq > after in order, at most limit of them,
// and none if there are none. It shows only what is durable: a change whose
// Commit has not returned nil might otherwise be published and then, after a
// power loss, its number be given to another. It fails while the store is down.
func (j *Journal) ReadOutbox(after uint64, limit int) ([]binding.Change, error) {
	var list []binding.Change
	err := j.use(func(s *store) error {
		upto := j.committed.Load() // before the view of the store is taken
		if after >= upto || limit <= 0 {
			return nil
		}
		it, err := newOutboxIter(s.db)
		if err != nil {
			return err
		}
		after = max(after, j.trimmed.Load()) // afterwards
		list, err = readGroups(it, after, upto, limit)
		if e := it.Close(); err == nil {
			err = e
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", err)
	}
	return list, nil
}

func newOutboxIter(db *pebble.DB) (*pebble.Iterator, error) {
	return db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindOutbox}, UpperBound: []byte{kindOutbox + 1}})
}

// readGroups collects the changes after+1 to upto, at most limit of them.
func readGroups(it *pebble.Iterator, after, upto uint64, limit int) ([]binding.Change, error) {
	var list []binding.Change
	next := after + 1
	// The group that holds next is the last one that starts at or before it.
	for ok := it.SeekLT(appendOutboxKey(nil, next+1)); ok && next <= upto && len(list) < limit; ok = it.Next() {
		first, err := outboxFirst(it.Key())
		if err != nil {
			return nil, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		n := len(list)
		if list, err = decodeGroup(list, first, value, next-1, upto, limit-n); err != nil {
			return nil, fmt.Errorf("decode group %d: %w", first, err)
		}
		if len(list) == n || list[n].Seq != next {
			break
		}
		next = list[len(list)-1].Seq + 1
	}
	if err := it.Error(); err != nil {
		return nil, err
	}
	if next <= upto && len(list) < limit {
		return nil, fmt.Errorf("change %d is missing: %w", next, errMalformed)
	}
	return list, nil
}

// TrimOutbox forgets changes with Seq <= upto. They are not read any more,
// though a power loss or a kill may bring the last of them back. After an error
// they are forgotten as well, until the process ends.
func (j *Journal) TrimOutbox(upto uint64) error {
	j.trimMu.Lock()
	defer j.trimMu.Unlock()
	upto = min(upto, j.committed.Load())
	if upto <= j.trimmed.Load() {
		return nil
	}
	j.trimmed.Store(upto)
	if err := j.use(func(s *store) error { return j.trim(s, upto) }); err != nil {
		return fmt.Errorf("trim outbox: %w", err)
	}
	return nil
}

// trim must hold trimMu.
func (j *Journal) trim(s *store, upto uint64) error {
	w := writer{batch: s.db.NewBatch(), key: keyTrimmed, value: appendTrimmed(nil, upto)}
	w.put()
	sweep := upto-j.swept >= sweepEvery
	if sweep {
		end, err := sweepEnd(s.db, upto)
		if err != nil {
			return err
		}
		w.key, w.value = []byte{kindOutbox}, appendOutboxKey(nil, end)
		w.dropRange()
	}
	err := w.err
	if err == nil {
		err = s.db.Apply(w.batch, pebble.NoSync)
	}
	if cause := s.failed(); cause != nil {
		err = cause
	}
	if err != nil {
		return err
	}
	if sweep {
		j.swept = upto
	}
	return w.batch.Close()
}

// sweepEnd is the start of the first group that holds a change beyond upto.
func sweepEnd(db *pebble.DB, upto uint64) (uint64, error) {
	it, err := newOutboxIter(db)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.SeekLT(appendOutboxKey(nil, upto+1)) {
		return upto + 1, it.Error()
	}
	first, err := outboxFirst(it.Key())
	if err != nil {
		return 0, err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, err
	}
	n, _, err := decodeCount(value)
	if err != nil {
		return 0, err
	}
	if first+n-1 > upto {
		return first, nil
	}
	return upto + 1, nil
}

package journal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/simbind/simbind/binding"
)

// Load replays the state as it is at the call: nodes, APNs, domains,
// subscribers, blocks and remains before the first session, memos after the last; sessions
// in the order of their keys. It stops at the first error of fn, at a row that cannot be
// decoded, and with ErrClosed when Close is called. Commits go on meanwhile. A
// row handed to fn is reused after the call; fn may commit, but not load or use
// the outbox.
func (j *Journal) Load(fn binding.Loader) error {
	j.loads.Add(1) // before the store is looked at, see reopen
	defer j.loads.Add(-1)
	return j.use(func(s *store) error {
		it, err := s.db.NewIter(nil)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		l := loading{it: it, closing: j.closing.Load}
		err = l.all(fn)
		if e := it.Close(); err == nil {
			err = e
		}
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		return nil
	})
}

// A loading is one replay over one consistent view of the store.
type loading struct {
	it      *pebble.Iterator
	closing func() bool
}

func (l loading) all(fn binding.Loader) error {
	if err := l.names(fn); err != nil {
		return err
	}
	err := each(l, kindSubscriber, "subscriber",
		func(_, value []byte, r *binding.SubscriberRow) error { return decodeSubscriberRow(value, r) }, fn.Subscriber)
	if err != nil {
		return err
	}
	if err := each(l, kindBlock, "block", decodeBlock, fn.Block); err != nil {
		return err
	}
	if err := each(l, kindForgotten, "remains", decodeForgotten, fn.Forgotten); err != nil {
		return err
	}
	if err := each(l, kindSession, "session", decodeSession, fn.Session); err != nil {
		return err
	}
	return each(l, kindMemo, "memo", decodeMemo, fn.Memo)
}

func (l loading) names(fn binding.Loader) error {
	if err := each(l, kindNode, "node", decodeNode, fn.Node); err != nil {
		return err
	}
	err := each(l, kindAPN, "APN",
		func(key, value []byte, r *binding.NameRow) error { return decodeName(kindAPN, key, value, r) }, fn.APN)
	if err != nil {
		return err
	}
	return each(l, kindDomain, "domain",
		func(key, value []byte, r *binding.NameRow) error { return decodeName(kindDomain, key, value, r) }, fn.Domain)
}

// Rows are decoded ahead of the Loader: while it works on one group, another
// goroutine reads the next.
const (
	aheadRows   = 512
	aheadGroups = 3
)

// each decodes and hands over every row of one kind.
func each[R any](l loading, kind byte, what string, decode func(key, value []byte, r *R) error, hand func(*R) error) error {
	full, free := make(chan []R, aheadGroups), make(chan []R, aheadGroups)
	for range aheadGroups {
		free <- make([]R, 0, aheadRows)
	}
	quit, read := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(full)
		read <- readAhead(l, kind, what, decode, free, full, quit)
	}()
	err := func() error {
		for rows := range full {
			for i := range rows {
				if l.closing() {
					return ErrClosed
				}
				if err := hand(&rows[i]); err != nil {
					return err
				}
			}
			free <- rows[:0]
		}
		return nil
	}()
	close(quit)
	ended := <-read // the iterator is ours again
	if err == nil {
		err = ended
	}
	return err
}

// readAhead decodes the rows of one kind into groups from free and sends them
// to full, until there are no more or quit is closed. What it decoded before an
// error is sent.
func readAhead[R any](l loading, kind byte, what string, decode func(key, value []byte, r *R) error, free, full chan []R, quit chan struct{}) error {
	var rows []R
	next := func() bool {
		if len(rows) > 0 {
			full <- rows // there are no more groups than it has room for
		}
		select {
		case rows = <-free:
			return true
		case <-quit:
			return false
		}
	}
	if !next() {
		return nil
	}
	defer func() { full <- rows }()
	for ok := l.it.SeekGE([]byte{kind}); ok && l.it.Key()[0] == kind; ok = l.it.Next() {
		value, err := l.it.ValueAndErr()
		if err != nil {
			return err
		}
		if len(rows) == cap(rows) && !next() {
			rows = nil
			return nil
		}
		rows = rows[:len(rows)+1]
		if err := decode(l.it.Key(), value, &rows[len(rows)-1]); err != nil {
			rows = rows[:len(rows)-1]
			return fmt.Errorf("decode %s: %w", what, err)
		}
	}
	return l.it.Error()
}

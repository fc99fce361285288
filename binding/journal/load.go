package journal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/simbind/simbind/binding"
)

// Load replays the state as it is at the call: nodes, APNs, domains,
// subscribers and blocks before the first session; sessions in the order of
// their keys. It stops at the first error of fn, at a row that cannot be
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
	var sub binding.SubscriberRow
	err := l.each(kindSubscriber, "subscriber",
		func(_, value []byte) error { return decodeSubscriberRow(value, &sub) },
		func() error { return fn.Subscriber(&sub) })
	if err != nil {
		return err
	}
	var block binding.BlockRow
	err = l.each(kindBlock, "block",
		func(key, value []byte) error { return decodeBlock(key, value, &block) },
		func() error { return fn.Block(&block) })
	if err != nil {
		return err
	}
	var session binding.SessionRow
	return l.each(kindSession, "session",
		func(key, value []byte) error { return decodeSession(key, value, &session) },
		func() error { return fn.Session(&session) })
}

func (l loading) names(fn binding.Loader) error {
	var node binding.NodeRow
	err := l.each(kindNode, "node",
		func(key, value []byte) error { return decodeNode(key, value, &node) },
		func() error { return fn.Node(&node) })
	if err != nil {
		return err
	}
	var name binding.NameRow
	err = l.each(kindAPN, "APN",
		func(key, value []byte) error { return decodeName(kindAPN, key, value, &name) },
		func() error { return fn.APN(&name) })
	if err != nil {
		return err
	}
	return l.each(kindDomain, "domain",
		func(key, value []byte) error { return decodeName(kindDomain, key, value, &name) },
		func() error { return fn.Domain(&name) })
}

// each decodes and hands over every row of one kind.
func (l loading) each(kind byte, what string, decode func(key, value []byte) error, hand func() error) error {
	for ok := l.it.SeekGE([]byte{kind}); ok && l.it.Key()[0] == kind; ok = l.it.Next() {
		if l.closing() {
			return ErrClosed
		}
		value, err := l.it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := decode(l.it.Key(), value); err != nil {
			return fmt.Errorf("decode %s: %w", what, err)
		}
		if err := hand(); err != nil {
			return err
		}
	}
	return l.it.Error()
}

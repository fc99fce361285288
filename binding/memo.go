package binding

// Recall lets fn have, while Run loads the journal, the memo of each session
// that goes on, so that its source knows it again. It is called before Run.
func (r *Registry) Recall(fn func(source Source, memo []byte)) { r.recall = fn }

// remember keeps the memo of an event beside its session.
func (a *arbiter) remember(id uint32, f *fact) {
	if len(f.Memo) == 0 || len(f.Memo) > MaxMemo {
		return
	}
	a.update(id, func(s *session) { s.flags |= flagMemo })
	s := a.m.session(id)
	a.batch.Memos = append(a.batch.Memos, MemoRow{Key: s.rowKey(), Source: f.Source, Memo: f.Memo})
}

// forgetMemo deletes the memo of a session that ends.
func (a *arbiter) forgetMemo(id uint32) {
	s := a.m.session(id)
	if s.flags&flagMemo == 0 {
		return
	}
	a.update(id, func(s *session) { s.flags &^= flagMemo })
	a.batch.Memos = append(a.batch.Memos, MemoRow{Key: s.rowKey(), Gone: true})
}

// Memo gives a loaded memo to whoever recalls, if its session goes on.
func (l *loader) Memo(r *MemoRow) error {
	if err := l.finish(); err != nil { // sessions are gathered
		return err
	}
	id, ok := l.a.m.findSession(r.Key.words())
	if !ok || l.a.m.session(id).flags&flagEnded != 0 {
		return nil
	}
	l.a.update(id, func(s *session) { s.flags |= flagMemo })
	if l.recall != nil {
		l.recall(r.Source, r.Memo)
	}
	return nil
}

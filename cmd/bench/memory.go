package main

import "context"

// runMemory tells the daemon's resident memory for each session, all in, and
// without what an empty daemon of the same capacity takes.
func runMemory(ctx context.Context, s *stage) ([]result, error) {
	t, err := s.site(ctx)
	if err != nil {
		return nil, err
	}
	n := float64(s.sessions)
	return []result{
		figure("resident memory a session, all in", "B", []float64{t.full / n}, atMost(250)).
			noted("%d sessions with one IPv4 address each, %s; resident %.0f MB after a rest of %v", s.sessions, t.fill, t.full/1e6, rest),
		figure("the same without that of an empty daemon", "B", []float64{(t.full - t.empty) / n}, nil).
			noted("an empty daemon of the same capacity has %.0f MB", t.empty/1e6),
	}, nil
}

package numverify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/simbind/simbind/numverify/authz"
	"github.com/simbind/simbind/numverify/state"
)

// openState is this process's memory, or that of all behind the balancer.
func (s *Service) openState() (*state.Store, func(), error) {
	n := s.cfg.NATS
	if n.URL == "" {
		return state.NewMemory(s.now), func() {}, nil
	}
	opts := []nats.Option{nats.Name("numverify"), nats.MaxReconnects(-1), nats.Timeout(5 * time.Second)}
	if n.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(n.CredsFile))
	}
	if n.CAFile != "" {
		opts = append(opts, nats.RootCAs(n.CAFile))
	}
	nc, err := nats.Connect(n.URL, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("state in NATS: %w", err)
	}
	store, err := state.NewNATS(nc, n.Bucket, n.Replicas, s.now)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return store, nc.Close, nil
}

const consentTime = 2 * time.Second

// consent asks the operator's consent service: a POST of the question, answered
// by {"consent": true} or false.
func (s *Service) consent() func(context.Context, authz.ConsentQuestion) (bool, error) {
	if s.cfg.ConsentURL == "" {
		return nil
	}
	client := &http.Client{Timeout: consentTime}
	return func(ctx context.Context, q authz.ConsentQuestion) (bool, error) {
		body, err := json.Marshal(q)
		if err != nil {
			return false, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.ConsentURL, bytes.NewReader(body))
		if err != nil {
			return false, err
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		if err != nil {
			return false, err
		}
		var answer struct {
			Consent *bool `json:"consent"`
		}
		if err := json.Unmarshal(text, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Consent == nil {
			return false, fmt.Errorf("consent service: %s", resp.Status)
		}
		return *answer.Consent, nil
	}
}

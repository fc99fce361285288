package config

import (
	"time"

	"go.yaml.in/yaml/v3"
)

// A Remote says how other sites are asked about addresses that are not ours.
type Remote struct {
	Timeout time.Duration
	// MaxAge and NegativeAge are how long answers count, zero: none is kept.
	MaxAge, NegativeAge time.Duration
	Entries             int
}

// Defaults of Remote.
const (
	defaultRemoteTimeout = 200 * time.Millisecond
	defaultRemoteAge     = 10 * time.Second
	maxNegativeAge       = time.Second
)

// remoteOff is the time-out of a section that is switched off.
const remoteOff = "off"

type remoteSection struct {
	Timeout string      `yaml:"timeout"`
	Cache   remoteCache `yaml:"cache"`
}

type remoteCache struct {
	Entries     *int   `yaml:"entries"`
	MaxAge      string `yaml:"max_age"`
	NegativeAge string `yaml:"negative_age"`
}

// UnmarshalYAML takes "on" or "off" alone, or the keys.
func (s *remoteSection) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		var on bool
		err := n.Decode(&on)
		if !on {
			s.Timeout = remoteOff
		}
		return err
	}
	type keys remoteSection
	return n.Decode((*keys)(s))
}

func (s *remoteSection) check(p place) *Remote {
	if s == nil || s.Timeout == remoteOff {
		return nil
	}
	r := &Remote{Timeout: defaultRemoteTimeout, MaxAge: defaultRemoteAge, NegativeAge: maxNegativeAge}
	if d := p.key("timeout").duration(s.Timeout); d != 0 {
		r.Timeout = d
	}
	at := p.key("cache")
	if s.Cache.MaxAge != "" {
		r.MaxAge = at.key("max_age").durationOrZero(s.Cache.MaxAge)
	}
	if s.Cache.NegativeAge != "" {
		r.NegativeAge = at.key("negative_age").durationOrZero(s.Cache.NegativeAge)
	}
	if r.NegativeAge > maxNegativeAge {
		at.key("negative_age").failf("at most %v: who has just attached would not be found", maxNegativeAge)
	}
	r.Entries = at.key("entries").count(s.Cache.Entries, maxEntries)
	return r
}

package config

import (
	"path"

	"github.com/simbind/simbind/bpf"
)

func (s *tapSection) check(p place) *bpf.Config {
	before := len(p.problems)
	cfg := &bpf.Config{
		Interfaces:  s.Interfaces,
		Ports:       bpf.Ports(s.Ports),
		SnapLength:  int(p.key("snap_length").size(s.SnapLength)),
		RingBuffer:  int(p.key("ring_buffer").size(s.RingBuffer)),
		Promiscuous: s.Promiscuous,
		Mode:        p.key("mode").oneOf(s.Mode, bpf.ModeAuto, bpf.ModeTCX, bpf.ModePacket),
	}
	if len(s.Interfaces) == 0 {
		p.key("interfaces").failf("is required")
	}
	for i, pattern := range s.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			p.key("interfaces").item(i).failf("%q is neither a name nor a pattern; write it as eth0 or ens*", pattern)
		}
	}
	if len(p.problems) == before {
		p.check(cfg.Check())
	}
	return cfg
}

// marksOnLoss reports whether lost news of the wire only marks the nodes.
func (s *tapSection) marksOnLoss(p place) bool {
	return p.key("on_loss").oneOf(s.OnLoss, "stale", "mark") == "mark"
}

package config

import (
	"path"

	"github.com/simbind/simbind/bpf"
	"github.com/simbind/simbind/bpf/accounting"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/radius"
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
		Accounting:  accounting.Options{Clients: s.clients(p.key("clients"))},
		MSISDNStrip: s.MSISDNStrip,
		Groups:      s.groups(p.key("groups")),
		Silence:     p.key("silence").durationOrZero(s.Silence),
	}
	if s.Silence != "" && cfg.Silence == 0 {
		cfg.Silence = -1 // never
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

// groups are senders that stand for each other.
func (s *tapSection) groups(p place) sender.Groups {
	var list sender.Groups
	for i, g := range s.Groups {
		at, before := p.item(i), len(p.problems)
		group := sender.Group{Name: g.Name}
		for j, address := range g.Addresses {
			group.Addresses = append(group.Addresses, at.key("addresses").item(j).prefix(address))
		}
		if len(p.problems) > before {
			continue
		}
		// Each with those before it, so that what is not unique has its line.
		list = append(list, group)
		if !at.check(list.Check()) {
			break
		}
	}
	return list
}

// clients are those of the accounting that is observed: clients of the edge
// without what only an edge can do.
func (s *tapSection) clients(p place) []radius.Client {
	var written []radiusClient
	for _, c := range s.Clients {
		written = append(written, radiusClient{
			Name:                        c.Name,
			Group:                       c.Group,
			Prefix:                      c.Prefix,
			Secret:                      c.Secret,
			SecretFile:                  c.SecretFile,
			RequireMessageAuthenticator: c.RequireMessageAuthenticator,
			MSISDNStrip:                 c.MSISDNStrip,
			Nodes:                       c.Nodes,
			BlindDelay:                  c.BlindDelay,
		})
	}
	return clients(p, written, func(list []radius.Client) error { return accounting.Options{Clients: list}.Check() })
}

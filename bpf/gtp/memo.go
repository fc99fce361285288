package gtp

import (
	"net/netip"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
)

// maxHandles bounds the handles of a session that a memo may name.
const maxHandles = 64

// memo is what is needed to recognise a session's end after a restart of the
// program.
func (f *Follower) memo(s *entry) []byte {
	d, table := &s.Data, f.table(s)
	m := pairing.NewMemo()
	m.PutUint(uint64(d.version))
	m.PutString(s.Node)
	m.PutString(s.ID)
	m.PutUint(uint64(d.contexts)<<1 | bit(d.direct))
	m.PutUint(uint64(d.imsi))
	m.PutUint(uint64(len(d.addrs)))
	for _, a := range d.addrs {
		m.PutAddress(a)
	}
	m.PutUint(uint64(len(d.sets)))
	for _, set := range d.sets {
		m.PutUint(set)
	}
	m.PutAddr(d.served)
	// The gateway's own endpoint comes first, then that of its peer, then pairs
	// of accesses, then the others.
	named := []pairing.Handle{d.gateway, d.client}
	if d.client == (pairing.Handle{}) {
		named[1] = d.gateway
	}
	for _, a := range d.accesses {
		named = append(named, a.server, a.client)
	}
	table.PutHandles(m, named)
	table.PutHandles(m, s.Handles())
	f.putCounter(m, d.server)
	return m.Bytes()
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// putCounter writes the gateway's restart counter, so that a restart which is
// not seen shows itself later.
func (f *Follower) putCounter(m *pairing.Memo, gateway netip.Addr) {
	if p := f.peers.byAddr[gateway]; p != nil && p.counter.ok {
		m.PutUint(uint64(p.counter.value) + 1)
		return
	}
	m.PutUint(0)
}

// Recall takes back the memo of a session that the journal kept.
func (f *Follower) Recall(source binding.Source, memo []byte) bool {
	if source != binding.SourceGTPv1 && source != binding.SourceGTPv2 {
		return false
	}
	m := pairing.ReadMemo(memo)
	version := m.Count(2)
	if version == 0 {
		return false
	}
	table := f.sessions[version-1]
	s := &entry{Node: m.String(), ID: m.String()}
	d := &s.Data
	d.version = uint8(version)
	flags := m.Uint()
	d.direct, d.contexts = flags&1 == 1, uint16(flags>>1)
	d.imsi = binding.IMSI(m.Uint())
	for range m.Count(8) {
		d.addrs = append(d.addrs, m.Address())
	}
	for range m.Count(maxSets) {
		d.sets = append(d.sets, m.Uint())
	}
	d.served = m.Addr()
	named := table.GetHandles(m, 2+2*maxAccesses)
	handles := table.GetHandles(m, maxHandles)
	value := m.Count(256)
	if !m.Read() || len(named) < 2 || len(named)%2 != 0 || d.source() != source {
		return false
	}
	d.gateway, d.client, d.server = named[0], named[1], table.Addr(named[0])
	for i := 2; i < len(named); i += 2 {
		d.accesses = append(d.accesses, access{named[i], named[i+1]})
	}
	table.Add(s)
	for _, h := range handles {
		table.Call(s, h)
	}
	f.recallGateway(d, value)
	return true
}

func (f *Follower) recallGateway(d *session, value int) {
	f.peers.gateway(d.server, d.version)
	if p := f.peers.byAddr[d.server]; p != nil && value > 0 && !p.counter.ok {
		p.counter = counter{uint8(value - 1), true}
	}
}

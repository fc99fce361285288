package pfcp

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/pairing"
)

// maxHandles bounds the handles of a session that a memo may name.
const maxHandles = 16

// memo is what is needed to recognise a session's end, and the end of its
// addresses, after a restart of the program.
func (f *Follower) memo(s *entry) []byte {
	d := &s.Data
	m := pairing.NewMemo()
	m.PutString(s.Node)
	m.PutString(s.ID)
	m.PutAddr(d.cp)
	m.PutAddr(d.up)
	m.PutUint(uint64(d.who.MSISDN))
	m.PutUint(uint64(d.who.IMSI))
	m.PutUint(uint64(d.who.IMEI))
	m.PutUint(uint64(len(d.sets)))
	for _, set := range d.sets {
		m.PutUint(set)
	}
	f.sessions.PutHandles(m, s.Handles())
	m.PutUint(uint64(len(d.held)))
	for _, h := range d.held {
		m.PutUint(uint64(h.rule))
		m.PutUint(uint64(len(h.addrs)))
		for _, a := range h.addrs {
			m.PutAddress(a)
		}
	}
	p := f.peers[d.cp]
	if p == nil || !p.known {
		p = &peer{}
	}
	m.PutUint(uint64(p.recovery))
	m.PutString(d.owner)
	m.PutUint(bit(d.taken))
	return m.Bytes()
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// Recall takes back the memo of a session that the journal kept.
func (f *Follower) Recall(source binding.Source, memo []byte) bool {
	if source != binding.SourcePFCP {
		return false
	}
	m := pairing.ReadMemo(memo)
	s := &entry{Node: m.String(), ID: m.String()}
	d := &s.Data
	d.told, d.cp, d.up = true, m.Addr(), m.Addr()
	d.who = binding.Subscriber{MSISDN: binding.MSISDN(m.Uint()), IMSI: binding.IMSI(m.Uint()), IMEI: binding.IMEI(m.Uint())}
	for range m.Count(maxSets) {
		d.sets = append(d.sets, m.Uint())
	}
	handles := f.sessions.GetHandles(m, maxHandles)
	for range m.Count(maxRules) {
		h := held{rule: uint16(m.Count(1<<16 - 1))}
		for range m.Count(maxAddresses) {
			h.addrs = append(h.addrs, m.Address())
		}
		d.held = append(d.held, h)
	}
	recovery := uint32(m.Count(1<<32 - 1))
	if m.More() { // earlier memos had no owner, and the Registry knows of none either
		d.owner, d.taken = m.String(), m.Count(1) == 1
	}
	if !m.Read() || s.Node == "" || s.ID == "" {
		return false
	}
	f.sessions.Add(s)
	for _, h := range handles {
		f.sessions.Call(s, h)
	}
	f.controls(d.cp, nodeOf(s))
	if p := f.peer(d.cp); p != nil && !p.known {
		p.recovery, p.known = recovery, recovery != 0
		p.name = s.Node
	}
	return true
}

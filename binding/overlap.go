package binding

// overlapped reports that a wider address around the one in v is claimed for
// another SIM, and that its node did not give out the narrower one after it:
// rules T5 and T11. The longest prefix wins where one node hands out a part of
// what it handed out before. Where the wider one is the later, the end of the
// narrower was missed; where it is another node's, the two disagree.
func (m *memory) overlapped(v *sighting, now int64, t *times) bool {
	key := v.key
	for key.Meta&0xFF > 1 {
		wide, value, ref, ok := m.addrs.Longest(domainOf(key), uint8(key.Meta>>8), key.Hi, key.Lo, uint8(key.Meta)-1)
		if !ok {
			return false
		}
		h := unpackHolding(value)
		disagrees := h.state != holdBlocked && m.disagrees(&h, v, now, t)
		switch {
		case !m.addrs.Valid(ref):
			continue // it changed while we looked
		case disagrees:
			return true
		}
		key = wide
	}
	return false
}

// disagrees reports a live claim of the wider holding for another SIM than that
// of v, or one of which its site cannot tell whose it is.
func (m *memory) disagrees(wide *holding, v *sighting, now int64, t *times) (found bool) {
	var holder Subscriber
	m.eachClaimant(&v.h, func(id uint32) {
		s := m.session(id)
		who := m.identity(&s)
		holder.MSISDN, holder.IMSI = max(holder.MSISDN, who.MSISDN), max(holder.IMSI, who.IMSI)
	})
	m.eachClaimant(wide, func(id uint32) {
		c := m.session(id)
		if l, _ := m.judge(&c, now, t); l >= lifeExpired || agree(m.identity(&c), holder) && c.doubt() != ReasonConflict {
			return
		}
		// The node gave out the narrower address later; another site has judged
		// that already.
		after := false
		m.eachClaimant(&v.h, func(id uint32) {
			s := m.session(id)
			after = after || s.node == c.node && (before(c.start, s.start) || m.node(s.node).source == SourceFeed)
		})
		found = found || !after
	})
	return found
}

// eachClaimant calls fn with every session that claims a holding.
func (m *memory) eachClaimant(h *holding, fn func(id uint32)) {
	if !h.shared {
		fn(h.owner)
		return
	}
	c := h.claim
	for range maxClaims {
		if c == 0 {
			return
		}
		cl := m.claim(c)
		fn(cl.session)
		c = cl.nextOfAddress
	}
}

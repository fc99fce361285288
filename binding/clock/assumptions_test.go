package clock

import "slices"

// against are the words, by index, with which a history fails A4: words after
// which enough in a row were not on time, settings that their first words do not
// show, and words that hide a step. They mend it if they are on time.
func (h *history) against() []int {
	return slices.Concat(h.notOnTime(), h.notShown(), h.hidden())
}

// heard is whether a message is one of the stamped words that we hear.
func (m *told) heard() bool { return m.Stamped && !m.missed }

// notOnTime are the words that are one too many in a row without one on time.
func (h *history) notOnTime() []int {
	var bad []int
	run := 0
	for i := range h.words {
		m := &h.words[i]
		if !m.heard() || m.Delay != 0 {
			continue
		}
		if run++; m.onTime() && !m.wrong {
			run = 0
		}
		if run == inARow {
			bad = append(bad, i)
			run = 0
		}
	}
	return bad
}

// notShown are the first words of settings that none of their first words shows.
// A wrong stamp is a setting of its own, which the first word of that event has
// to show.
func (h *history) notShown() []int {
	type setting struct {
		first, words int
		shown        bool
	}
	settings, wrong := map[int]*setting{}, map[int]*setting{}
	var all []*setting
	for i := range h.words {
		m := &h.words[i]
		if !m.heard() {
			continue
		}
		of, key, enough := settings, m.setting, inARow
		if m.wrong {
			of, key, enough = wrong, m.event, 1
		}
		s := of[key]
		if s == nil {
			s = &setting{first: i}
			of[key] = s
			all = append(all, s)
		}
		if m.Delay != 0 && !m.wrong {
			continue
		}
		if s.words++; s.words == 1 {
			s.first = i
		}
		s.shown = s.shown || s.words <= enough && m.onTime()
	}
	var bad []int
	for _, s := range all {
		if !s.shown {
			bad = append(bad, s.first)
		}
	}
	return bad
}

// hidden are the late words that come before any word on time of their setting,
// and look as if the clock had not been set ahead: as some setting that one of
// the last words before was of would have them look, on time or late.
func (h *history) hidden() []int {
	var bad []int
	shown := map[int]bool{}
	least, most := h.offsets()
	var last [inARow]int
	words := 0
	for i := range h.words {
		m := &h.words[i]
		if !m.heard() {
			continue
		}
		if !shown[m.setting] && !m.wrong && !m.onTime() && m.transit() > coarse {
			own := h.clock.offset(m.stampAt)
			for _, s := range last[:min(words, inARow)] {
				if s < m.setting && most[s] > own && least[s] <= m.looks()+float64(coarse) {
					bad = append(bad, i)
					break
				}
			}
		}
		shown[m.setting] = shown[m.setting] || m.onTime() && !m.wrong
		if m.Delay == 0 {
			last[words%inARow] = m.setting
			words++
		}
	}
	return bad
}

// offsets are the least and the greatest offset of each setting, as stamps show
// it.
func (h *history) offsets() (least, most map[int]float64) {
	least, most = map[int]float64{}, map[int]float64{}
	shift := 0.0
	if h.clock.rounding {
		shift = -500
	}
	for i, p := range h.clock.pieces {
		end := h.end + hour
		if i+1 < len(h.clock.pieces) {
			end = h.clock.pieces[i+1].from
		}
		a, b := p.at, p.at+p.rate*float64(end-p.from)
		if _, ok := least[p.setting]; !ok {
			least[p.setting], most[p.setting] = a+shift, a
		}
		least[p.setting] = min(least[p.setting], a+shift, b+shift)
		most[p.setting] = max(most[p.setting], a, b)
	}
	return least, most
}

// setBackBefore reports whether, against A7, the clock was set back or a stamp
// was wrong between MaxDelay before the first word and the moment until.
func (h *history) setBackBefore(until int64) bool {
	from := h.words[0].Arrived - h.limits.MaxDelay
	for i := 1; i < len(h.clock.pieces); i++ {
		p, q := h.clock.pieces[i-1], h.clock.pieces[i]
		before := p.at + p.rate*float64(q.from-p.from)
		if q.setting != p.setting && q.at > before && q.from >= from && q.from <= until {
			return true
		}
	}
	return slices.ContainsFunc(h.words, func(m told) bool { return m.wrong && m.sent <= until })
}

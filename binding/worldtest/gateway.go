package worldtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/simbind/simbind/binding"
)

// A gateway gives addresses to SIMs and tells of it by one or more voices.
type gateway struct {
	id        int
	voices    []*voice
	clean     bool // its lines are perfect
	restarted tick // when last
}

// A voice is a gateway as one source knows it.
type voice struct {
	id     int
	gw     *gateway
	source binding.Source
	owner  string
	name   string
	alias  string // its second name
	ways   int    // by which it comes
	agent  bool   // those are not it itself
	manner manner
	clock  *clock // nil if it tells no stamps

	// Of ordered transports.
	wire   *wire
	queue  []*Word // not answered when the connection was lost
	recent []*Word // the last few sent
	slip   tick    // the next stamp is wrong by so much

	originState uint32
	lastState   tick // when it last changed
	nextID      int
	sent        int      // messages
	freed       []string // ids of sessions that ended
	byID        map[string]*leg

	// What its line did so far.
	dirty   bool
	pending int  // sent and not heard yet
	lastDue tick // of a perfect line, which keeps the order

	lastHeard tick // the true time of the youngest word heard
	heardAt   tick // when it was last heard
	settled   int  // words heard since the clock was last set
	settledAt tick // when those were eight

	liesOf *voice // the honest node whose name it uses
}

// A wire is an ordered transport: a connection, or a capture that several
// voices are overheard by.
type wire struct {
	link    uint64 // zero while it is down
	lastDue tick
	capture bool
}

// A manner is how a voice words what it says.
type manner struct {
	stamps, rounded, fresh, delays, ages bool
	imsi, number                         bool
	nameless                             float64
	bare, bareStart                      float64
	complete                             bool
	stopAddrs                            bool
	loss, late, repeat, double           float64
}

// limit is how late a word of the voice may be heard.
func (v *voice) limit() tick {
	if v.manner.stamps || v.manner.delays {
		return maxDelay
	}
	return blindDelay
}

// refreshes reports whether the voice tells of a session that merely goes on.
func (v *voice) refreshes() bool {
	return v.source == binding.SourceRADIUS || v.source == binding.SourceGx
}

func (w *world) newGateway(id int) *gateway {
	gw := &gateway{id: id, clean: w.r.Float64() < w.p.Channel.Clean, restarted: never}
	sources := w.p.Telling[w.r.IntN(len(w.p.Telling))]
	for _, source := range sources {
		gw.voices = append(gw.voices, w.newVoice(gw, source))
	}
	w.gateways = append(w.gateways, gw)
	return gw
}

func (w *world) newVoice(gw *gateway, source binding.Source) *voice {
	v := &voice{
		id: len(w.voices), gw: gw, source: source, byID: map[string]*leg{},
		lastState: never, lastDue: never, lastHeard: never, heardAt: never, settledAt: never,
	}
	w.voices = append(w.voices, v)
	v.manner = w.newManner(source, gw.clean)
	switch source {
	case binding.SourceRADIUS:
		v.owner, v.name = fmt.Sprintf("client%d", gw.id), w.name("nas", gw)
		if w.r.Float64() < w.p.Words.Alias {
			v.alias = netip.AddrFrom4([4]byte{192, 0, 2, byte(gw.id + 1)}).String()
		}
	case binding.SourceGx:
		v.owner = fmt.Sprintf("peer%d", gw.id)
		v.name = w.name("pgw", gw) + ".example"
		v.wire = &wire{lastDue: never}
		v.originState = uint32(1 + w.r.IntN(1000))
	case binding.SourceGTPv2, binding.SourceGTPv1:
		v.name = netip.AddrFrom4([4]byte{198, 51, 100, byte(gw.id + 1)}).String()
		v.wire = w.tap
	case binding.SourcePFCP:
		v.owner = netip.AddrFrom4([4]byte{203, 0, 113, byte(gw.id + 1)}).String()
		v.name = w.name("upf", gw) + ".example"
		v.wire = w.tap
	}
	if v.wire != nil && v.wire.link == 0 {
		w.connect(v.wire)
	}
	w.arrange(v)
	if v.manner.stamps {
		offset := tick(0)
		if far := w.p.Clocks.Offset; far > 0 {
			offset = tick(w.r.Int64N(int64(2*far))) - far
		}
		v.clock = newClock(len(w.clocks), offset, w.p.Clocks.Wander)
		v.clock.steady = w.r.Float64() < w.p.Clocks.Steady
		w.clocks = append(w.clocks, v.clock)
	}
	return v
}

// name is what a gateway calls itself, others perhaps as well.
func (w *world) name(kind string, gw *gateway) string {
	if w.p.Words.Namesakes {
		return kind
	}
	return fmt.Sprintf("%s%d", kind, gw.id)
}

// connect brings an ordered transport up under a number of its own.
func (w *world) connect(wr *wire) {
	w.links++
	wr.link = w.links
}

func (w *world) newManner(source binding.Source, clean bool) manner {
	r, p := w.r, w.p
	m := manner{
		imsi: true, number: true, complete: r.IntN(2) == 0,
		nameless: p.Words.Nameless, bare: p.Words.Bare * float64(r.IntN(2)),
	}
	if r.Float64() < p.Words.Partial {
		m.imsi = r.IntN(2) == 0
		m.number = !m.imsi
	}
	if !clean {
		m.loss, m.late = r.Float64()*p.Channel.Loss, r.Float64()*p.Channel.Late
		m.repeat, m.double = r.Float64()*p.Channel.Repeat, r.Float64()*p.Channel.Double
	}
	switch source {
	case binding.SourceRADIUS:
		switch draw(r, p.Timing.StampsAndDelay, p.Timing.Stamps, p.Timing.Delay, p.Timing.None) {
		case 0:
			m.stamps, m.delays, m.fresh = true, true, r.Float64() < p.Timing.Fresh
		case 1:
			m.stamps = true
		case 2:
			m.delays = true
		}
		m.bareStart = m.bare / 2
		m.ages = r.Float64() < p.Timing.Age
		m.stopAddrs = r.IntN(3) > 0
	case binding.SourceGx:
		m.stamps = draw(r, p.Timing.StampsAndDelay+p.Timing.Stamps, 0, 0, p.Timing.None+p.Timing.Delay) == 0
	case binding.SourcePFCP:
		m.imsi, m.number, m.bare = false, false, 0.9
	case binding.SourceGTPv1, binding.SourceGTPv2:
		m.bare = 0.9
	}
	m.rounded = m.stamps && r.Float64() < p.Timing.Rounded
	return m
}

// draw picks an index by relative weight; the last one of any weight if rounding
// leaves nothing.
func draw(r *rand.Rand, weights ...float64) int {
	var sum float64
	for _, x := range weights {
		sum += x
	}
	x, last := r.Float64()*sum, 0
	for i, weight := range weights {
		if weight <= 0 {
			continue
		}
		if x -= weight; x < 0 {
			return i
		}
		last = i
	}
	return last
}

package bpf

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// A filterModel is the kernel's filter once more, in Go and by the letter of
// the protocols rather than of tap.c.
type filterModel struct {
	cfg   Config
	known map[string]bool // datagrams of which the first fragment was selected
}

func newFilterModel(cfg Config) *filterModel {
	return &filterModel{cfg: cfg.withDefaults(), known: map[string]bool{}}
}

// A datagram is what IP carries.
type datagram struct {
	protocol int
	payload  []byte // as far as it is there
	length   int    // as the IP header says
	key      string // of the fragment, empty if it is whole
	later    bool
}

func (m *filterModel) decide(s sample) tapOutcome {
	ethertype, packet, ok := stripEthernet(s.frame)
	if !ok {
		return tapOutcomeMALFORMED
	}
	var d datagram
	var o tapOutcome
	switch ethertype {
	case typeIPv4:
		d, o = read4(packet)
	case typeIPv6:
		d, o = read6(packet)
	default:
		return tapOutcomeOTHER_LINK
	}
	if o != tapOutcomeMATCHED {
		return o
	}
	if d.later {
		if m.known[d.key] {
			return tapOutcomeDELIVERED
		}
		return tapOutcomeOTHER_FRAGMENT
	}
	switch d.protocol {
	case protoUDP:
		o = m.udp(d, s.segs > 1)
	case protoTCP:
		o = m.tcp(d)
	case protoSCTP:
		o = m.sctp(d, s.segs > 1)
	default:
		return tapOutcomeOTHER_TRANSPORT
	}
	if o == tapOutcomeDELIVERED && d.key != "" {
		m.known[d.key] = true
	}
	return o
}

func stripEthernet(f []byte) (ethertype int, packet []byte, ok bool) {
	ethertype, packet = int(binary.BigEndian.Uint16(f[12:])), f[14:]
	for tags := 0; tags < 3 && (ethertype == typeVLAN || ethertype == typeQinQ || ethertype == 0x9100); tags++ {
		if len(packet) < 4 {
			return 0, nil, false
		}
		ethertype, packet = int(binary.BigEndian.Uint16(packet[2:])), packet[4:]
	}
	return ethertype, packet, true
}

func read4(p []byte) (d datagram, o tapOutcome) {
	if len(p) < 20 || p[0]>>4 != 4 || p[0]&15 < 5 {
		return d, tapOutcomeMALFORMED
	}
	header, total := int(p[0]&15)*4, int(binary.BigEndian.Uint16(p[2:]))
	if total == 0 {
		total = len(p)
	}
	if total < header {
		return d, tapOutcomeMALFORMED
	}
	word := binary.BigEndian.Uint16(p[6:])
	d = datagram{protocol: int(p[9]), length: total - header, later: word&0x1FFF != 0, payload: p[min(header, len(p)):]}
	if word&0x3FFF != 0 {
		d.key = string(slices.Concat([]byte("4"), p[4:6], p[9:10], p[12:20]))
	}
	return d, tapOutcomeMATCHED
}

func read6(p []byte) (d datagram, o tapOutcome) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return d, tapOutcomeMALFORMED
	}
	addresses := string(p[8:40])
	d = datagram{protocol: int(p[6]), length: int(binary.BigEndian.Uint16(p[4:])), payload: p[40:]}
	if d.length == 0 {
		d.length = len(d.payload)
	}
	for range 8 {
		h := d.payload
		size := 0
		switch d.protocol {
		case 0, 43, 60:
			if len(h) >= 8 {
				size = (int(h[1]) + 1) * 8
			}
		case 51:
			if len(h) >= 8 {
				size = (int(h[1]) + 2) * 4
			}
		case 44:
			if len(h) >= 8 && d.key == "" {
				size = 8
				word := binary.BigEndian.Uint16(h[2:])
				d.later = word>>3 != 0
				if word&0xFFF9 != 0 {
					d.key = "6" + addresses + string(h[4:8])
				}
			}
		default:
			return d, tapOutcomeMATCHED
		}
		if size == 0 {
			return d, tapOutcomeMALFORMED
		}
		d.protocol, d.payload, d.length = int(h[0]), h[min(size, len(h)):], d.length-size
		if d.later {
			return d, tapOutcomeMATCHED
		}
	}
	return d, tapOutcomeOTHER_TRANSPORT
}

func (m *filterModel) ours(list []uint16, p []byte) bool {
	return slices.Contains(list, binary.BigEndian.Uint16(p)) || slices.Contains(list, binary.BigEndian.Uint16(p[2:]))
}

func (m *filterModel) udp(d datagram, joined bool) tapOutcome {
	p := d.payload
	if len(p) < 4 {
		return tapOutcomeMALFORMED
	}
	gtp, pfcp := m.ours(m.cfg.Ports.GTP, p), m.ours(m.cfg.Ports.PFCP, p)
	switch {
	case !gtp && !pfcp && !m.ours(m.cfg.Ports.RADIUS, p):
		return tapOutcomeOTHER_PORT
	case joined:
		return tapOutcomeDELIVERED
	case min(d.length, len(p)) < 10 && d.key != "":
		return tapOutcomeDELIVERED
	case min(d.length, len(p)) < 10:
		return tapOutcomeMALFORMED
	}
	selected := radiusCodes
	kind := p[9]
	switch version := p[8] >> 5; {
	case gtp && version == 1 && kind == 255:
		return tapOutcomeUSER_PLANE
	case gtp && version == 1:
		selected = gtpv1Types
	case gtp && version == 2 && p[8]&0x10 != 0:
		return tapOutcomeDELIVERED
	case gtp && version == 2:
		selected = gtpv2Types
	case gtp:
		return tapOutcomeOTHER_MESSAGE
	case pfcp && p[8]&4 != 0:
		return tapOutcomeDELIVERED
	case pfcp:
		selected = pfcpTypes
	default:
		kind = p[8]
	}
	if !slices.Contains(selected, kind) {
		return tapOutcomeOTHER_MESSAGE
	}
	return tapOutcomeDELIVERED
}

func (m *filterModel) tcp(d datagram) tapOutcome {
	p := d.payload
	switch {
	case len(p) < 14:
		return tapOutcomeMALFORMED
	case !m.ours(m.cfg.Ports.Diameter, p):
		return tapOutcomeOTHER_PORT
	case d.length > int(p[12]>>4)*4, p[13]&(fin|syn|rst) != 0:
		return tapOutcomeDELIVERED
	}
	return tapOutcomeEMPTY
}

func (m *filterModel) sctp(d datagram, joined bool) tapOutcome {
	p := d.payload
	switch {
	case len(p) < 4:
		return tapOutcomeMALFORMED
	case !m.ours(m.cfg.Ports.Diameter, p):
		return tapOutcomeOTHER_PORT
	case joined:
		return tapOutcomeDELIVERED
	case min(d.length, len(p)) < 16 && d.key != "":
		return tapOutcomeDELIVERED
	case min(d.length, len(p)) < 16:
		return tapOutcomeMALFORMED
	}
	size := (int(binary.BigEndian.Uint16(p[14:])) + 3) / 4 * 4
	alone := d.length-12-size < 4
	if p[12] >= 3 && p[12] <= 5 && alone && d.key == "" {
		return tapOutcomeEMPTY
	}
	return tapOutcomeDELIVERED
}

// A generator makes packets of all kinds, whole and broken.
type generator struct{ *rand.Rand }

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) sample() sample {
	protocol, payload := g.transport()
	ethertype, packet := typeIPv4, frame(nil)
	if g.IntN(2) == 0 {
		packet = g.packet4(protocol, payload)
	} else {
		ethertype, packet = typeIPv6, g.packet6(protocol, payload)
	}
	for range pick(g, 0, 0, 0, 1, 2, 4) {
		packet, ethertype = tag(g.IntN(4096), ethertype, packet), pick(g, typeVLAN, typeQinQ, 0x9100)
	}
	if g.IntN(30) == 0 {
		ethertype = pick(g, 0x0806, typeIPv4, typeIPv6)
	}
	f := ether(ethertype, packet)
	if g.IntN(8) == 0 {
		f = join(f, make([]byte, g.IntN(20)))
	}
	if g.IntN(6) == 0 { // broken somewhere behind the addresses
		f[12+g.IntN(min(len(f)-12, 80))] = byte(g.Uint32())
	}
	if g.IntN(8) == 0 {
		f = f[:14+g.IntN(len(f)-13)]
	}
	if len(f) < 14+40 {
		f = tagged(int(f[12])<<8|int(f[13]), f[14:])
	}
	return sample{frame: f, segs: pick[uint32](g, 0, 0, 0, 0, 0, 3)}
}

func (g *generator) transport() (protocol byte, payload frame) {
	ports := []int{2123, 8805, 1813, 3868, 53, 2152, 40000}
	from, to := pick(g, ports...), pick(g, ports...)
	kinds := []byte{1, 4, 5, 16, 32, 33, 50, 54, 56, 130, 255, byte(g.Uint32())}
	body := append(pick(g, gtpv1(pick(g, kinds...)), gtpv2(pick(g, kinds...)), pfcp(pick(g, kinds...)), radius(pick(g, kinds...))), g.bytes(g.IntN(40))...)
	switch g.IntN(4) {
	case 0:
		return protoTCP, tcp(from, to, byte(g.Uint32()), body[:pick(g, 0, 0, len(body))]...)
	case 1:
		chunks := chunk(byte(g.IntN(7)), g.bytes(g.IntN(20))...)
		if g.IntN(2) == 0 {
			chunks = join(chunks, chunk(0, body...))
		}
		return protoSCTP, sctp(from, to, chunks...)
	case 2:
		if g.IntN(6) == 0 {
			return byte(g.Uint32()), body
		}
	}
	return protoUDP, udp(from, to, body...)
}

func (g *generator) packet4(protocol byte, payload frame) frame {
	switch g.IntN(6) {
	case 0:
		return withOptions(ip4(protocol, payload))
	case 1:
		return ip4fragment(protocol, g.IntN(6), pick(g, 0, 0, 8, 16), g.IntN(2) == 0, payload)
	}
	return ip4(protocol, payload)
}

func (g *generator) packet6(protocol byte, payload frame) frame {
	for range pick(g, 0, 0, 1, 2, 9) {
		switch kind := pick[byte](g, 0, 43, 60, 51, 44); kind {
		case 51:
			protocol, payload = kind, authentication(protocol, pick(g, 12, 16, 24), payload)
		case 44:
			protocol, payload = kind, fragment6(protocol, g.IntN(6), pick(g, 0, 0, 8, 16), g.IntN(2) == 0, payload)
		default:
			protocol, payload = kind, extension(protocol, pick(g, 8, 16, 24), payload)
		}
	}
	return ip6(protocol, payload)
}

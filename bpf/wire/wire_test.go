package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var (
	start = time.Unix(1700000000, 0)
	from4 = netip.MustParseAddrPort("10.1.2.3:2123")
	to4   = netip.MustParseAddrPort("10.4.5.6:2123")
	from6 = netip.MustParseAddrPort("[2001:db8::1]:8805")
	to6   = netip.MustParseAddrPort("[2001:db8::2]:8805")
)

func udp(src, dst netip.AddrPort, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// piece4 is an IPv4 packet that holds data at an offset of its datagram.
func piece4(id uint16, offset int, more bool, data []byte) []byte {
	b := make([]byte, 20, 20+len(data))
	b[0], b[8], b[9] = 0x45, 64, ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(data)))
	binary.BigEndian.PutUint16(b[4:], id)
	flags := uint16(offset / 8)
	if more {
		flags |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], flags)
	src, dst := from4.Addr().As4(), to4.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	return append(b, data...)
}

// packet6 is an IPv6 packet with the extension headers given, each with its
// own number in front.
func packet6(data []byte, next byte, extensions ...[]byte) []byte {
	var chain []byte
	first := next
	for i := len(extensions) - 1; i >= 0; i-- {
		e := bytes.Clone(extensions[i])
		number := e[0]
		e[0] = first
		first, chain = number, append(e, chain...)
	}
	data = append(chain, data...)
	b := make([]byte, 40, 40+len(data))
	b[0], b[6], b[7] = 0x60, first, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(data)))
	src, dst := from6.Addr().As16(), to6.Addr().As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, data...)
}

func ether(kind uint16, data []byte) []byte {
	b := append(make([]byte, 12), byte(kind>>8), byte(kind))
	return append(b, data...)
}

func tag(next uint16, data []byte) []byte {
	return append([]byte{0x20, 0x64, byte(next >> 8), byte(next)}, data...)
}

// decode gives the payloads that frames yield.
func decode(d *Decoder, frames ...Frame) (packets []Packet) {
	for i := range frames {
		d.Decode(&frames[i], func(p *Packet) {
			q := *p
			q.Payload = bytes.Clone(p.Payload)
			packets = append(packets, q)
		})
	}
	return packets
}

func TestFramesOfEveryLinkTypeYieldTheirDatagram(t *testing.T) {
	payload := []byte("a message of the control plane")
	v4 := piece4(1, 0, false, udp(from4, to4, payload))
	v6 := packet6(udp(from6, to6, payload), ProtoUDP)
	for name, c := range map[string]struct {
		link LinkType
		data []byte
	}{
		"Ethernet":                    {LinkEthernet, ether(etherIPv4, v4)},
		"Ethernet with padding":       {LinkEthernet, append(ether(etherIPv4, v4), make([]byte, 20)...)},
		"VLAN":                        {LinkEthernet, ether(etherVLAN, tag(etherIPv4, v4))},
		"QinQ":                        {LinkEthernet, ether(etherQinQ, tag(etherVLAN, tag(etherIPv6, v6)))},
		"MPLS":                        {LinkEthernet, ether(etherMPLS, append([]byte{0, 1, 0, 64, 0, 1, 1, 64}, v4...))},
		"PPPoE":                       {LinkEthernet, ether(etherPPPoE, append([]byte{0x11, 0, 0, 1, 0, 0, 0, 0x57}, v6...))},
		"Linux cooked capture":        {LinkLinuxSLL, append(append(make([]byte, 14), 8, 0), v4...)},
		"Linux cooked capture 2":      {LinkLinuxSLL2, append(append([]byte{0x86, 0xdd}, make([]byte, 18)...), v6...)},
		"raw IPv4":                    {LinkRaw, v4},
		"raw IPv6":                    {LinkRaw, v6},
		"IPv4 only":                   {LinkIPv4, v4},
		"IPv6 only":                   {LinkIPv6, v6},
		"BSD loopback":                {LinkNull, append([]byte{2, 0, 0, 0}, v4...)},
		"PPP":                         {LinkPPP, append([]byte{0xff, 3, 0, 0x21}, v4...)},
		"IPv6 with extension headers": {LinkRaw, packet6(udp(from6, to6, payload), ProtoUDP, ext(nextHopByHop, 8), ext(nextDestination, 16), auth(), ext(nextFragment, 8))},
	} {
		t.Run(name, func(t *testing.T) {
			got := decode(NewDecoder(), Frame{Time: start, Link: c.link, Data: c.data})
			if len(got) != 1 || !bytes.Equal(got[0].Payload, payload) || got[0].Cut {
				t.Fatalf("got %+v", got)
			}
			if p := got[0]; p.Src != from4 && p.Src != from6 || p.Dst != to4 && p.Dst != to6 || !p.Time.Equal(start) {
				t.Errorf("addresses or time are wrong: %+v", p)
			}
		})
	}
}

func ext(number byte, size int) []byte {
	b := make([]byte, size)
	b[0] = number
	if number != nextFragment {
		b[1] = byte(size/8 - 1)
	}
	return b
}

func auth() []byte {
	b := make([]byte, 24)
	b[0], b[1] = nextAuth, 4
	return b
}

func TestACutPayloadIsMarked(t *testing.T) {
	whole := ether(etherIPv4, piece4(1, 0, false, udp(from4, to4, make([]byte, 100))))
	got := decode(NewDecoder(), Frame{Link: LinkEthernet, Data: whole[:80], Length: len(whole)})
	if len(got) != 1 || !got[0].Cut || len(got[0].Payload) != 80-14-28 {
		t.Fatalf("got %+v", got)
	}
}

func TestASuperPacketComesWhole(t *testing.T) {
	b := piece4(1, 0, false, udp(from4, to4, bytes.Repeat([]byte("x"), 300)))
	binary.BigEndian.PutUint16(b[2:], 0)
	binary.BigEndian.PutUint16(b[24:], 0)
	if got := decode(NewDecoder(), Frame{Link: LinkRaw, Data: b}); len(got) != 1 || len(got[0].Payload) != 300 || got[0].Cut {
		t.Fatalf("got %+v", got)
	}
}

// cutUp makes fragments of a datagram.
func cutUp(id uint16, datagram []byte, size int) (frames []Frame) {
	for at := 0; at < len(datagram); at += size {
		end := min(at+size, len(datagram))
		frames = append(frames, Frame{Time: start, Link: LinkRaw, Data: piece4(id, at, end < len(datagram), datagram[at:end])})
	}
	return frames
}

func cutUp6(id uint32, datagram []byte, size int) (frames []Frame) {
	for at := 0; at < len(datagram); at += size {
		end := min(at+size, len(datagram))
		h := ext(nextFragment, 8)
		more := uint16(0)
		if end < len(datagram) {
			more = 1
		}
		binary.BigEndian.PutUint16(h[2:], uint16(at)|more)
		binary.BigEndian.PutUint32(h[4:], id)
		frames = append(frames, Frame{Time: start, Link: LinkRaw, Data: packet6(datagram[at:end], ProtoUDP, h)})
	}
	return frames
}

func TestFragmentsInAnyOrderBecomeTheDatagram(t *testing.T) {
	payload := make([]byte, 4000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range payload {
		payload[i] = byte(rng.Uint32())
	}
	for range 50 {
		frames := cutUp(9, udp(from4, to4, payload), 8*(1+rng.IntN(120)))
		frames = append(frames, cutUp6(9, udp(from6, to6, payload), 8*(1+rng.IntN(120)))...)
		if len(frames) > 120 {
			continue // more gaps than are kept
		}
		frames = append(frames[:len(frames)-1:len(frames)-1], frames[0], frames[len(frames)-1]) // one is repeated
		rng.Shuffle(len(frames), func(i, j int) { frames[i], frames[j] = frames[j], frames[i] })
		got := decode(NewDecoder(), frames...)
		if len(got) != 2 || !bytes.Equal(got[0].Payload, payload) || !bytes.Equal(got[1].Payload, payload) {
			t.Fatalf("%d fragments gave %d datagrams", len(frames), len(got))
		}
	}
}

func TestOverlappingFragmentsSpoilTheirDatagram(t *testing.T) {
	datagram := udp(from4, to4, bytes.Repeat([]byte("abcdefgh"), 10))
	frames := []Frame{
		{Time: start, Link: LinkRaw, Data: piece4(1, 0, true, datagram[:32])},
		{Time: start, Link: LinkRaw, Data: piece4(1, 24, false, datagram[24:])},
	}
	d := NewDecoder()
	got := decode(d, frames...)
	forged := bytes.Clone(frames[0].Data)
	forged[40] ^= 1
	got = append(got, decode(d, append(cutUp(2, datagram, 32)[:1], Frame{Time: start, Link: LinkRaw, Data: forged})...)...)
	if len(got) != 0 {
		t.Fatalf("got %+v", got)
	}
	decode(d, Frame{Time: start.Add(time.Minute), Link: LinkRaw, Data: piece4(3, 0, true, datagram[:32])})
	if d.Counts().FragmentsLost == 0 {
		t.Error("nothing was counted")
	}
}

func TestWaitingFragmentsAreBounded(t *testing.T) {
	d := NewDecoder()
	for i := range 1 << 16 {
		decode(d, Frame{Time: start, Link: LinkRaw, Data: piece4(uint16(i), 1024, true, make([]byte, 512))})
		if d.fragments.bytes > d.fragments.maxBytes+maxDatagram || len(d.fragments.byKey) > d.fragments.maxDatagrams {
			t.Fatalf("%d bytes in %d datagrams wait", d.fragments.bytes, len(d.fragments.byKey))
		}
	}
	if n := d.Counts().FragmentsLost; n == 0 {
		t.Error("nothing was counted")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(uint32(LinkEthernet), ether(etherVLAN, tag(etherIPv4, piece4(1, 0, false, udp(from4, to4, []byte("x"))))), 0)
	f.Add(uint32(LinkRaw), packet6(udp(from6, to6, []byte("x")), ProtoUDP, ext(nextHopByHop, 8), ext(nextFragment, 8)), 100)
	for _, frame := range cutUp(1, udp(from4, to4, make([]byte, 64)), 32) {
		f.Add(uint32(frame.Link), frame.Data, 0)
	}
	d := NewDecoder()
	f.Fuzz(func(t *testing.T, link uint32, data []byte, length int) {
		d.Decode(&Frame{Time: start, Link: LinkType(link), Data: data, Length: length}, func(p *Packet) {
			if !p.Src.IsValid() || len(p.Header) < 8 {
				t.Errorf("half a packet: %+v", p)
			}
		})
	})
}

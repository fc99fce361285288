package gx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/diameter/diametertest"
)

// Tags of the directions, by the end that sends; SCTP has no client.
var tags = map[netip.AddrPort]uint32{sctpPCEF: 0xAAAA0001, sctpPCRF: 0xBBBB0002}

var (
	sctpPCEF = netip.AddrPortFrom(pcef.Addr(), 3868)
	sctpPCRF = pcrf
)

// chunk is a chunk of SCTP with its padding (RFC 9260 section 3.2).
func chunk(typ, flags byte, value []byte) []byte {
	b := append([]byte{typ, flags, byte((len(value) + 4) >> 8), byte(len(value) + 4)}, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// dataChunk is a DATA chunk (RFC 9260 section 3.3.1).
func dataChunk(flags byte, tsn uint32, stream, sequence uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = binary.BigEndian.AppendUint16(b, sequence)
	return chunk(0, flags, append(binary.BigEndian.AppendUint32(b, 46), data...))
}

// An sctpPacket is what one end sends at a time.
type sctpPacket struct {
	src, dst netip.AddrPort
	tag      uint32
	chunks   []byte
}

// header is the common header, with the checksum of the whole packet.
func (p *sctpPacket) header() []byte {
	h := binary.BigEndian.AppendUint16(nil, p.src.Port())
	h = binary.BigEndian.AppendUint16(h, p.dst.Port())
	h = append(binary.BigEndian.AppendUint32(h, p.tag), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(h[8:], crc32.Checksum(slices.Concat(h, p.chunks), crc32.MakeTable(crc32.Castagnoli)))
	return h
}

func (r *rig) packet(p sctpPacket) {
	chunks := slices.Clone(p.chunks)
	r.Packet(&wire.Packet{Time: r.now, Src: p.src, Dst: p.dst, Proto: wire.ProtoSCTP, Header: p.header(), Payload: chunks})
	for i := range chunks {
		chunks[i] = 0xAA
	}
	r.now = r.now.Add(time.Millisecond)
}

// An sctpSender makes the packets of a conversation.
type sctpSender struct {
	tsn       [2]uint32
	sequences [2][4]uint16
	packets   []sctpPacket
}

// newSender begins with the handshake.
func newSender() *sctpSender {
	s := &sctpSender{tsn: [2]uint32{0xFFFFFFF0, 500}}
	hello := func(typ byte, src, dst netip.AddrPort, tag, back, tsn uint32) {
		value := binary.BigEndian.AppendUint32(nil, back)
		value = append(binary.BigEndian.AppendUint32(value, 65536), 0, 10, 0, 10)
		s.packets = append(s.packets, sctpPacket{src, dst, tag, chunk(typ, 0, binary.BigEndian.AppendUint32(value, tsn))})
	}
	hello(1, sctpPCEF, sctpPCRF, 0, tags[sctpPCRF], s.tsn[1])
	hello(2, sctpPCRF, sctpPCEF, tags[sctpPCRF], tags[sctpPCEF], s.tsn[0])
	return s
}

// send puts a message into chunks of at most size octets, and each chunk into a
// packet of its own.
func (s *sctpSender) send(m message, stream uint16, unordered bool, size int) {
	src, dst, side := sctpPCRF, sctpPCEF, 0
	if m.asked {
		src, dst, side = sctpPCEF, sctpPCRF, 1
	}
	flags := byte(2)
	for rest := m.octets; len(rest) > 0; flags = 0 {
		n := min(size, len(rest))
		if n == len(rest) {
			flags |= 1
		}
		if unordered {
			flags |= 4
		}
		c := dataChunk(flags, s.tsn[side], stream, s.sequences[side][stream], rest[:n])
		s.packets = append(s.packets, sctpPacket{src, dst, tags[src], c})
		s.tsn[side]++
		rest = rest[n:]
	}
	if !unordered {
		s.sequences[side][stream]++
	}
}

// conversation sends all messages in random streams and parts.
func (s *sctpSender) conversation(rng *rand.Rand, all []message) {
	for _, m := range all {
		size := len(m.octets)
		if rng.IntN(2) == 0 {
			size = 100 + rng.IntN(300)
		}
		s.send(m, uint16(rng.IntN(4)), rng.IntN(2) == 0, size)
	}
}

// bundle puts packets that the same end sends in a row into one.
func bundle(rng *rand.Rand, packets []sctpPacket) (bundled []sctpPacket) {
	for i, p := range packets {
		if last := len(bundled) - 1; i > 2 && bundled[last].src == p.src && rng.IntN(3) == 0 {
			bundled[last].chunks = slices.Concat(bundled[last].chunks, p.chunks)
			continue
		}
		bundled = append(bundled, p)
	}
	return bundled
}

func TestMagmaOverSCTP(t *testing.T) {
	requests := magma(t)
	s := newSender()
	for i := range requests {
		s.send(message{true, requests[i]}, uint16(i%4), i%3 == 0, 128)
		s.send(message{false, cca(t, requests[i], diametertest.Success)}, uint16(i%4), i%2 == 0, 64)
	}
	r := newRig(t, Options{})
	for _, p := range s.packets {
		r.packet(p)
	}
	checkMagma(t, r.events)
	r.counted(newsLost, 0)
}

func TestDamagedConversationsOverSCTP(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, round))
		all := converse(t, rng)
		s := newSender()
		s.conversation(rng, all)
		packets := bundle(rng, s.packets)
		lossy, lost := rng.IntN(3) > 0, false
		sent := packets[:2:2]
		for _, p := range packets[2:] {
			switch n := rng.IntN(25); {
			case n == 0 && lossy:
				lost = true
			case n < 3:
				sent = append(sent, p, p)
			default:
				sent = append(sent, p)
			}
		}
		for range rng.IntN(len(sent)) {
			i := 2 + rng.IntN(len(sent)-2)
			j := min(i+rng.IntN(5), len(sent)-1)
			sent[i], sent[j] = sent[j], sent[i]
		}
		r := newRig(t, Options{})
		for _, p := range sent {
			r.packet(p)
		}
		r.Advance(r.now.Add(10 * time.Second))
		judge(t, fmt.Sprintf("seed %d round %d", seed, round), r.events, truth(t, all), lost)
	}
}

// TestTsharkReadsTheSame holds our view of crafted packets against an
// independent one: tshark reads as many messages in them as we do.
func TestTsharkReadsTheSame(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	switch {
	case err == nil:
	case os.Getenv("SIMBIND_CI") != "":
		t.Fatal("tshark is missing: it comes with Debian's tshark")
	default:
		t.Skip("tshark is not installed: it comes with Debian's tshark")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	all := converse(t, rng)
	s := newSender()
	s.conversation(rng, all)
	packets := bundle(rng, s.packets)
	file := filepath.Join(t.TempDir(), "gx.pcap")
	if err := os.WriteFile(file, captureOf(t, packets), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(tshark, "-r", file, "-Y", "diameter", "-T", "fields", "-E", "occurrence=a", "-e", "diameter.cmd.code", "-e", "diameter.Session-Id")
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := command.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	var codes []string
	for line := range strings.Lines(string(out)) {
		list, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		codes = append(codes, strings.Split(list, ",")...)
	}
	r := newRig(t, Options{})
	for _, p := range packets {
		r.packet(p)
	}
	if n := int(r.counts[messages].Load()); len(codes) != len(all) || n != len(all) {
		t.Errorf("tshark reads %d messages and we %d, of %d", len(codes), n, len(all))
	}
}

// captureOf is a pcap file of packets in Ethernet and IPv4.
func captureOf(t *testing.T, packets []sctpPacket) []byte {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for i, p := range packets {
		buffer := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4},
			&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolSCTP, SrcIP: p.src.Addr().AsSlice(), DstIP: p.dst.Addr().AsSlice()},
			gopacket.Payload(slices.Concat(p.header(), p.chunks)))
		if err != nil {
			t.Fatal(err)
		}
		frame := buffer.Bytes()
		info := gopacket.CaptureInfo{Timestamp: began.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(frame), Length: len(frame)}
		if err := w.WritePacket(info, frame); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

// FuzzSCTP shows two packets of chunks, and each again.
func FuzzSCTP(f *testing.F) {
	request := ccr(f, session(1), initial, 0, 7)
	answer := cca(f, request, 2001)
	f.Add(dataChunk(3, 1, 0, 0, request), dataChunk(3, 1, 0, 0, answer))
	f.Add(slices.Concat(dataChunk(2, 1, 0, 0, request[:100]), dataChunk(1, 2, 0, 0, request[100:])), dataChunk(7, 1, 0, 0, answer))
	f.Fuzz(func(t *testing.T, asked, answered []byte) {
		r := newRig(t, Options{Pending: 4, Connections: 2})
		for range 2 {
			r.packet(sctpPacket{sctpPCEF, sctpPCRF, tags[sctpPCEF], asked})
			r.packet(sctpPacket{sctpPCRF, sctpPCEF, tags[sctpPCRF], answered})
		}
		r.Advance(r.now.Add(10 * time.Second))
		for _, ev := range r.events {
			checkEvent(t, ev)
		}
	})
}

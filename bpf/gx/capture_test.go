package gx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/diameter/diametertest"
)

// captured is a capture of others, which lies beside the repository where
// somebody has put it.
func captured(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/captures", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no captures beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCapturesWithoutAddressesBindNothing: one is of Gy, the other partly
// malformed.
func TestCapturesWithoutAddressesBindNothing(t *testing.T) {
	for _, name := range []string{"ndpi_diameter.pcap", "arkime_diameter_synthetic.pcap"} {
		t.Run(name, func(t *testing.T) {
			file := captured(t, name)
			r := newRig(t, Options{})
			decoder := wire.NewDecoder()
			packets := 0
			for rest := file[24:]; len(rest) >= 16; { // a plain pcap file of a little-endian machine
				length := binary.LittleEndian.Uint32(rest[8:])
				frame := wire.Frame{Time: r.now, Link: wire.LinkType(file[20]), Data: rest[16 : 16+length]}
				decoder.Decode(&frame, func(p *wire.Packet) {
					packets++
					r.Packet(p)
				})
				rest, r.now = rest[16+length:], r.now.Add(time.Second)
			}
			r.Advance(r.now.Add(time.Minute))
			for _, ev := range r.events {
				if len(ev.Addrs) > 0 {
					t.Errorf("%+v", ev)
				}
			}
			if packets == 0 {
				t.Error("no packet was read")
			}
		})
	}
}

// magma are the requests of a real PCEF.
func magma(t *testing.T) (requests [][]byte) {
	for stream := captured(t, "magma_gx_ccr_04.diam"); len(stream) > 0; {
		n, err := diameter.FrameLength(stream)
		if err != nil {
			t.Fatal(err)
		}
		requests = append(requests, stream[:n:n])
		stream = stream[n:]
	}
	return requests
}

// checkMagma: 32 UEs come and go.
func checkMagma(t *testing.T, events []binding.Event) {
	t.Helper()
	held := map[binding.Address]binding.IMSI{}
	starts, stops := 0, 0
	for _, ev := range events {
		if len(ev.Addrs) != 1 {
			t.Fatalf("%+v", ev)
		}
		switch ev.Kind {
		case binding.SessionStart:
			if starts++; ev.MSISDN == 0 || ev.IMSI == 0 {
				t.Errorf("%+v", ev)
			}
			held[ev.Addrs[0]] = ev.IMSI
		case binding.SessionStop:
			if stops++; held[ev.Addrs[0]] != ev.IMSI {
				t.Errorf("%+v", ev)
			}
			delete(held, ev.Addrs[0])
		}
	}
	if starts != 32 || stops != 32 || len(held) != 0 {
		t.Errorf("%d starts and %d stops, and %d are held", starts, stops, len(held))
	}
}

func TestMagmaOverTCP(t *testing.T) {
	requests := magma(t)
	r := newRig(t, Options{})
	r.shake()
	for i := 0; i < len(requests); i += 2 {
		r.ask(requests[i][:100])
		r.ask(requests[i][100:], requests[i+1])
		r.answer(cca(t, requests[i], diametertest.Success), cca(t, requests[i+1], diametertest.Success))
	}
	checkMagma(t, r.events)
}

// TestMagmaOfTwoSendersOfOneName has every other UE of the capture at a second
// gateway that calls itself the same and started earlier.
func TestMagmaOfTwoSendersOfOneName(t *testing.T) {
	requests := magma(t)
	r := newRig(t, Options{})
	const host = "string"
	state, earlier := []byte{0x60, 0x92, 0x08, 0x84}, []byte{0x60, 0x92, 0x00, 0x01}
	talks := []*talk{r.dial(pcef), r.dial(netip.MustParseAddrPort("192.0.2.11:40000"))}
	talks[0].tell(commandCapabilities, host, binary.BigEndian.Uint32(state))
	talks[1].tell(commandCapabilities, host, binary.BigEndian.Uint32(earlier))
	at := map[binding.IMSI]int{}
	for _, request := range requests {
		decoded, err := diameter.Decode(request, diameter.Origin{Arrived: r.now})
		if err != nil {
			t.Fatal(err)
		}
		who := decoded.Event.IMSI
		if _, known := at[who]; !known {
			at[who] = len(at) % 2
		}
		if at[who] == 1 {
			request = bytes.Replace(request, state, earlier, 1)
		}
		talks[at[who]].ask(request)
		talks[at[who]].answer(cca(t, request, diametertest.Success))
	}
	checkMagma(t, r.events)
	for _, ev := range r.events {
		want := []binding.Event{
			{Owner: "192.0.2.10", OriginState: binary.BigEndian.Uint32(state)}, {Owner: "192.0.2.11",
				OriginState: binary.BigEndian.Uint32(earlier)},
		}[at[ev.IMSI]]
		if ev.Owner != want.Owner || ev.OriginState != want.OriginState || ev.Node != host {
			t.Errorf("%+v", ev)
		}
	}
	r.counted(restarts, 0)
	r.counted(contradictions, 0)
}

package observe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/capture"
)

// captures is where recordings of other networks lie on machines that have
// them.
const captures = "../../../shared/captures"

// replay gives the events of a capture.
func replay(t *testing.T, name string) (events []binding.Event, st *Standard) {
	t.Helper()
	path := filepath.Join(captures, name)
	file, err := os.Open(path)
	if err != nil {
		t.Skipf("%s is not here", path)
	}
	defer file.Close()
	r, err := capture.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	st = NewStandard(func(ev binding.Event) error { events = append(events, ev); return nil }, Settings{})
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, st
		}
		if err != nil {
			t.Fatal(err)
		}
		st.Frame(&f)
	}
}

// line is an event in one line.
func line(ev binding.Event) string {
	s := fmt.Sprintf("%s %s %s", ev.Kind, ev.Source, ev.Node)
	for _, a := range ev.Addrs {
		s += " " + a.String()
	}
	if ev.IMSI != 0 {
		s += " imsi " + ev.IMSI.String()
	}
	if ev.MSISDN != 0 {
		s += " msisdn " + ev.MSISDN.String()
	}
	if ev.APN != "" {
		s += " apn " + ev.APN
	}
	return s
}

func TestCapturesOfOtherNetworksYieldWhatTheyHold(t *testing.T) {
	for name, want := range map[string][]string{
		"ndpi_gtp_c.pcap": {
			"session-start gtpv2 10.102.0.2 33.23.23.1 imsi 987654112233445 msisdn +896745214365 apn internet",
			"session-stop gtpv2 10.102.0.2",
		},
		"zeek_gtp_create_pdp_ctx.pcap": {
			"session-start gtpv1 10.100.200.34 192.168.252.130 imsi 460004100000101 msisdn +8615221000101 apn eetest",
		},
		"zeek_gtp_control_prime.pcap": {
			"session-start gtpv1 127.0.0.1 192.168.0.2 imsi 240010123456789 msisdn +46702123456 apn internet",
		},
		"open5gs_5g-roaming-lbo.pcapng": {
			"session-start pfcp 127.0.1.4 10.45.0.2 2001:db8:cafe:1::/64 imsi 001010000021309 msisdn +491725670014 apn internet",
			"session-stop pfcp 127.0.1.4",
		},
		"ndpi_pfcp.pcapng": nil,
		"scapy_pfcp.pcap":  nil,

		"ndpi_diameter.pcap": nil,
		// Without an address, or without a subscriber, nothing is bound.
		"arkime_diameter_synthetic.pcap": {"session-start gx pcrf.3gpp.com"},
		"arkime_radius.pcap":             {"session-update radius 10.0.0.1 10.0.0.3 apn 001A1E000000"},
	} {
		t.Run(name, func(t *testing.T) {
			events, st := replay(t, name)
			var got []string
			for _, ev := range events {
				got = append(got, line(ev))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q\ncounts %+v\n%+v\n%+v", got, want, st.Counts(), st.GTP.Counts(), st.PFCP.Counts())
			}
		})
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// captures is where recordings of other networks lie on machines that have
// them.
const captures = "../../../shared/captures"

// replayed gives what replay prints about addresses, a line each.
func replayed(t *testing.T, file string, more ...string) (lines []string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not here", file)
	}
	s := newSession(append([]string{"replay", "-o", "json", file}, more...)...)
	if code := s.run(); code != exitYes {
		t.Fatalf("exit %d: %s", code, &s.err)
	}
	for line := range bytes.Lines(s.out.Bytes()) {
		var b struct{ Type, Addr, MSISDN, IMSI, State string }
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch b.Type {
		case "binding":
			lines = append(lines, fmt.Sprintf("%s %s %s %s", b.Addr, b.MSISDN, b.IMSI, b.State))
		case "event":
		default:
			t.Fatalf("a line of type %q", b.Type)
		}
	}
	return lines
}

func TestReplayTellsWhoHeldWhat(t *testing.T) {
	for file, want := range map[string][]string{
		"ndpi_gtp_c.pcap":              {"33.23.23.1 +896745214365 987654112233445 released"},
		"zeek_gtp_create_pdp_ctx.pcap": {"192.168.252.130 +8615221000101 460004100000101 bound"},
		"zeek_gtp_control_prime.pcap":  {"192.168.0.2 +46702123456 240010123456789 bound"},
		"open5gs_5g-roaming-lbo.pcapng": {
			"10.45.0.2 +491725670014 001010000021309 released",
			"2001:db8:cafe:1::/64 +491725670014 001010000021309 released",
		},
		"ndpi_pfcp.pcapng":               nil,
		"scapy_pfcp.pcap":                nil,
		"ndpi_diameter.pcap":             nil,
		"arkime_diameter_synthetic.pcap": nil,
		"arkime_radius.pcap":             nil,
	} {
		t.Run(file, func(t *testing.T) {
			if got := replayed(t, filepath.Join(captures, file)); !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

func TestReplayReadsDiameterMessages(t *testing.T) {
	got := replayed(t, filepath.Join(captures, "magma_gx_ccr_04.diam"))
	if len(got) != 32 || !slices.Contains(got, "172.17.202.47 +1234567837 999991234567837 released") {
		t.Errorf("%d addresses: %q", len(got), got)
	}
}

func TestReplayKeepsToTheConfiguredPools(t *testing.T) {
	config := filepath.Join(t.TempDir(), "simbindd.yaml")
	text := "site: lab\ndomains:\n  - {name: internet, apns: [\"*\"], pools: [10.0.0.0/8]}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(captures, "zeek_gtp_create_pdp_ctx.pcap")
	if got := replayed(t, file, "--config", config); len(got) != 0 {
		t.Errorf("got %q of addresses outside the pools", got)
	}
}

func TestReplayRefusesWhatIsNoCapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	for _, content := range []string{"", "hello, this is a text and no capture at all", "\x01\x00\x00\x05 a Diameter message of five octets"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := newSession("replay", file); s.run() != exitNo || s.err.Len() == 0 {
			t.Errorf("%q: %s", content, &s.err)
		}
	}
}

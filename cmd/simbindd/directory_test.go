package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simbind/simbind/diameter/diametertest"
)

// reportIMSI starts a session that brings no number.
func (p *pcef) reportIMSI(n int) {
	p.t.Helper()
	p.reportOfIMSI(diametertest.Initial, 0, n)
}

// reportOfIMSI reports on a session that brings no number.
func (p *pcef) reportOfIMSI(typ diametertest.RequestType, number uint32, n int) {
	p.t.Helper()
	s := diametertest.Session{ID: fmt.Sprintf("%s;1;%d", p.node.Host, n), IMSI: fmt.Sprintf("00101%010d", n), APN: "internet", IPv4: testAddr(n)}
	answer, err := p.peer.Exchange(p.t.Context(), s.Request(typ, number, p.node, diametertest.Node{Realm: "lab"}))
	if err != nil || answer.Result() != 2001 {
		p.t.Fatalf("%v, %v", answer, err)
	}
}

// TestNumbersFromAnExport: a session that brings only an IMSI has the export's
// number, and another one when the export changes.
func TestNumbersFromAnExport(t *testing.T) {
	h := newGxHome(t)
	export := filepath.Join(h.dir, "numbers.csv")
	write := func(n int, number string) {
		t.Helper()
		text := fmt.Sprintf("imsi,msisdn\n00101%010d,%s\n", n, number)
		if err := os.WriteFile(export+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(export+".new", export); err != nil {
			t.Fatal(err)
		}
	}
	write(1, testNumber(1))
	h.configure(t, h.gxYAML("127.0.0.1:0")+fmt.Sprintf("directory: {file: {path: %q}, negative_ttl: 100ms}\n", export))
	d := h.start(t)
	gx := d.pcef(t, "pgw1.lab")
	gx.reportIMSI(1)
	gx.reportIMSI(2)
	verdict := func(n, of int) string { return d.verdict(t, testAddr(n).String(), testNumber(of)) }
	eventually(t, "the export's number is the SIM's", func() bool { return verdict(1, 1) == "match bound" })
	if got := verdict(2, 2); got != "unknown no-msisdn" {
		t.Errorf("of a SIM that is not in the export: %s", got)
	}
	write(1, testNumber(9))
	d.hup <- os.Interrupt // whatever it is, it means reload
	eventually(t, "the new export's number is", func() bool { return verdict(1, 9) == "match bound" })
	if got := verdict(1, 1); got != "mismatch other-number" {
		t.Errorf("the former number: %s", got)
	}
	write(2, testNumber(2))
	d.hup <- os.Interrupt
	eventually(t, "who is in the export has a number", func() bool { return verdict(2, 2) == "match bound" })
	eventually(t, "who is not any more has none", func() bool { return verdict(1, 9) == "unknown no-msisdn" })
	n, err := d.client(t).Number(t.Context(), "001010000000002")
	if err != nil || n.MSISDN != testNumber(2) || n.Source != "file" {
		t.Errorf("%+v, %v", n, err)
	}
	state, err := d.client(t).Directory(t.Context())
	if err != nil || len(state.Sources) != 2 || state.Sources[1].Rows != 1 {
		t.Errorf("%+v, %v", state, err)
	}
	if _, metrics := d.get(t, "/metrics"); !strings.Contains(metrics, "simbindd_directory_file_rows 1\n") || strings.Contains(metrics, testNumber(2)[1:]) {
		t.Error("/metrics does not tell of the export, or tells a number")
	}
}

// TestNumbersThatWereLearned: what Gx said of a SIM serves a session that says
// less.
func TestNumbersThatWereLearned(t *testing.T) {
	h := newGxHome(t)
	h.configure(t, h.gxYAML("127.0.0.1:0")+"directory: {learned: true}\n")
	d := h.start(t)
	gx := d.pcef(t, "pgw1.lab")
	gx.report(diametertest.Initial, 0, 1, 1)
	gx.report(diametertest.Termination, 1, 1, 1)
	next := d.pcef(t, "pgw2.lab")
	next.reportIMSI(1)
	number := uint32(0)
	// Until it surely spoke after the other node's session had ended, it may have
	// been the former one.
	eventually(t, "what it says counts", func() bool {
		number++
		next.reportOfIMSI(diametertest.Update, number, 1)
		return d.verdict(t, testAddr(1).String(), testNumber(1)) == "match bound"
	})
}

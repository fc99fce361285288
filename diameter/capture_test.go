package diameter

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/simbind/simbind/binding"
)

// The requests of a real PCEF, which others captured, lie beside the
// repository where somebody has put them.
const captured = "../../shared/captures/magma_gx_ccr_04.diam"

func TestCapturedRequestsOfMagma(t *testing.T) {
	stream, err := os.ReadFile(captured)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no captures beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	sims := map[string]binding.Event{} // by session
	starts, stops := 0, 0
	for len(stream) > 0 {
		n, err := FrameLength(stream)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Decode(stream[:n], vectorOrigin)
		if err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
		ev := r.Event
		if len(ev.Addrs) != 1 || !ev.Addrs[0].Is4() || ev.IMSI == 0 || r.Notes&^NoteBadIMEI != 0 { // they have no real IMEI
			t.Fatalf("%s", describe(r, nil))
		}
		switch ev.Kind {
		case binding.SessionStart:
			starts++
			if ev.MSISDN == 0 {
				t.Errorf("an initial request without a number: %s", describe(r, nil))
			}
			sims[ev.Session] = ev
		case binding.SessionStop:
			stops++
			if start := sims[ev.Session]; start.IMSI != ev.IMSI || start.Addrs[0] != ev.Addrs[0] {
				t.Errorf("%v ends what %v began", ev, start)
			}
		}
	}
	if starts != 32 || stops != 32 || len(sims) != 32 {
		t.Errorf("%d starts and %d stops of %d sessions, want 32 each", starts, stops, len(sims))
	}
}

package diameter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/dict"
)

// A hostile message is one that go-diameter panics on, or allocates without
// bound for.
type hostile struct {
	claim   string
	message []byte
	// panics: go-diameter v4.1.0 panics on it.
	panics bool
	// event: it is harmless here, and says what it says.
	event bool
}

// withAVP is an initial request with one more AVP, of these octets. Its length
// is made a multiple of 4.
func withAVP(raw ...byte) []byte {
	b := appendHeader(nil, flagRequest|flagProxiable, cmdCreditControl, appGx, 7, 9)
	b = appendAVP(b, avpSessionID, "s;1")
	b = appendAVP(b, avpOriginHost, "pgw1.lab")
	b = appendUint32(b, avpRequestType, requestInitial)
	return endMessage(append(b, raw...), 0)
}

func rawAVP(code uint32, flags byte, length int, data ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, code)
	b = binary.BigEndian.AppendUint32(b, uint32(flags)<<24|uint32(length))
	return append(b, data...)
}

func hostileShapes() []hostile {
	return []hostile{
		{claim: "an AVP of a length below 8", message: withAVP(rawAVP(avpOriginRealm, avpMandatory, 7)...), panics: true},
		{claim: "an AVP longer than the message", message: withAVP(rawAVP(avpOriginRealm, avpMandatory, 100, 1, 2, 3, 4)...), panics: true},
		{claim: "the V bit with a length below 12", message: withAVP(rawAVP(1032, avpVendor|avpMandatory, 8, 0, 0, 0x28, 0xAF)...), panics: true},
		{claim: "octets after the last AVP", message: withAVP(1, 2, 3, 4), panics: true},
		{claim: "a group with a malformed AVP", message: withAVP(appendAVP(nil, avpSubscriptionID, rawAVP(avpSubscriptionType, avpMandatory, 3))...), panics: true},
		{claim: "a number of 8 octets", message: withAVP(appendAVP(nil, avpRequestNumber, make([]byte, 8))...), panics: true},
		{claim: "an IPv4-mapped address in an Address", message: withAVP(appendAVP(nil, avpHostIPAddress, append([]byte{0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 192, 0, 2, 1))...), event: true},
		{claim: "an AVP of an unknown vendor with a code of the base", message: withAVP(rawAVP(avpOriginHost, avpVendor|avpMandatory, 16, 0, 0, 0xFF, 0xFF, 'a', 'b', 'c', 'd')...), event: true},
	}
}

func TestHostileShapesAreRefusedOrHarmless(t *testing.T) {
	for _, h := range hostileShapes() {
		t.Run(h.claim, func(t *testing.T) {
			got, err := Decode(h.message, vectorOrigin)
			if h.event {
				if err != nil || got.Event.Session != "s;1" || got.Event.Node != "pgw1.lab" {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			var fault *fault
			if !errors.As(err, &fault) || fault.code != resultInvalidAVPLength {
				t.Errorf("got %v", err)
			}
			checkFault(t, err)
		})
	}
}

// The shapes are those of the library: if it learns to read them, this test
// says so.
func TestGoDiameterStillPanicsOnTheShapes(t *testing.T) {
	for _, h := range hostileShapes() {
		panicked := func() (p bool) {
			defer func() { p = recover() != nil }()
			_, _ = diam.ReadMessage(bytes.NewReader(h.message), dict.Default)
			return
		}()
		if h.panics && !panicked {
			t.Errorf("%s: no panic any more", h.claim)
		}
	}
}

func TestLengthsThatCannotBe(t *testing.T) {
	header := func(length int) []byte {
		b := appendHeader(nil, flagRequest, cmdCreditControl, appGx, 7, 9)
		b[1], b[2], b[3] = byte(length>>16), byte(length>>8), byte(length)
		return b
	}
	version := header(20)
	version[0] = 9
	for _, c := range []struct {
		claim string
		head  []byte
		want  error
	}{
		{"the header alone", header(20), nil},
		{"the longest", header(MaxMessage), nil},
		{"below the header", header(16), errLength},
		{"zero", header(0), errLength},
		{"19", header(19), errLength},
		{"no multiple of 4", header(21), errLength},
		{"above the limit", header(MaxMessage + 4), errLength},
		{"16 MiB", header(1<<24 - 4), errLength},
		{"another version", version, errVersion},
	} {
		t.Run(c.claim, func(t *testing.T) {
			if n, err := FrameLength(c.head); !errors.Is(err, c.want) || (err == nil) != (n != 0) {
				t.Errorf("FrameLength = %d, %v, want %v", n, err, c.want)
			}
			if c.want != nil && !errors.Is(c.want, ErrMalformed) {
				t.Error("the error is not ErrMalformed")
			}
		})
	}
}

// A message of nested groups costs go-diameter the square of its length.
func TestNestedGroupsCostTheirLength(t *testing.T) {
	var nested []byte
	for len(nested) < MaxMessage-200 {
		// Each group holds the one before: 8 octets of header.
		nested = append(rawAVP(avpSubscriptionID, avpMandatory, 8+len(nested)), nested...)
	}
	m := withAVP(nested...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	_, err := Decode(m, vectorOrigin)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Errorf("%v", err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<10 || took > time.Second {
		t.Errorf("%d octets were allocated in %v", spent, took)
	}
}

func TestTooManyAVPs(t *testing.T) {
	var many []byte
	for range maxAVPs {
		many = append(many, rawAVP(9999, 0, 8)...)
	}
	var fault *fault
	if _, err := Decode(withAVP(many...), vectorOrigin); !errors.As(err, &fault) || fault.code != resultUnableToComply {
		t.Errorf("got %v", err)
	}
}

func TestWalkDoesNotNestDeeplyForever(t *testing.T) {
	w := newWalk()
	if err := w.each(nil, maxDepth+1, nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

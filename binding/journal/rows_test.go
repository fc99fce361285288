package journal

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

// A rowCodec is the codec of one kind of row, for tests that treat all alike.
type rowCodec struct {
	name   string
	sample func(h *history) any
	encode func(any) (key, value []byte)
	decode func(key, value []byte) (any, error)
}

func codecs() []rowCodec {
	return []rowCodec{
		sessionCodec(), nodeCodec(), nameCodec(), subscriberCodec(), forgottenCodec(), groupCodec(), memoCodec(),
		formerSessionCodec(), formerNodeCodec(), blockCodec(),
	}
}

func sessionCodec() rowCodec {
	return rowCodec{"session",
		func(h *history) any { return h.session() },
		func(x any) (key, value []byte) {
			r := x.(binding.SessionRow)
			return appendSessionKey(nil, &r.Key), appendSession(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.SessionRow
			err := decodeSession(key, value, &r)
			return r, err
		}}
}

func nodeCodec() rowCodec {
	return rowCodec{"node",
		func(h *history) any { return h.node(uint16(h.Uint32())) },
		func(x any) (key, value []byte) {
			r := x.(binding.NodeRow)
			return appendIDKey(nil, kindNode, r.ID), appendNode(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.NodeRow
			err := decodeNode(key, value, &r)
			return r, err
		}}
}

func nameCodec() rowCodec {
	return rowCodec{"apn",
		func(h *history) any {
			return binding.NameRow{ID: uint16(h.Uint32()), Name: h.word("internet", "", "ims")}
		},
		func(x any) (key, value []byte) {
			r := x.(binding.NameRow)
			return appendIDKey(nil, kindAPN, r.ID), appendName(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.NameRow
			err := decodeName(kindAPN, key, value, &r)
			return r, err
		}}
}

func subscriberCodec() rowCodec {
	return rowCodec{"subscriber",
		func(h *history) any {
			return binding.SubscriberRow{Subscriber: h.subscriber(), SIMSince: h.Int64N(1 << 31), DeviceSince: h.Int64N(1 << 31)}
		},
		func(x any) (key, value []byte) {
			r := x.(binding.SubscriberRow)
			return appendSubscriberKey(nil, &r.Subscriber), appendSubscriberRow(nil, &r)
		},
		func(_, value []byte) (any, error) {
			var r binding.SubscriberRow
			err := decodeSubscriberRow(value, &r)
			return r, err
		}}
}

func forgottenCodec() rowCodec {
	return rowCodec{"forgotten",
		func(h *history) any { return h.forgotten() },
		func(x any) (key, value []byte) {
			r := x.(binding.ForgottenRow)
			return appendForgottenKey(nil, &r), appendForgotten(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.ForgottenRow
			err := decodeForgotten(key, value, &r)
			return r, err
		}}
}

func groupCodec() rowCodec {
	return rowCodec{"group",
		func(h *history) any {
			first := 1 + h.Uint64N(1<<40)
			list := []binding.Change{}
			for i := range 1 + h.Uint64N(5) {
				list = append(list, h.change(first+i))
			}
			return list
		},
		func(x any) (key, value []byte) {
			list := x.([]binding.Change)
			return appendOutboxKey(nil, list[0].Seq), appendGroup(nil, list)
		},
		func(key, value []byte) (any, error) {
			first, err := outboxFirst(key)
			if err != nil {
				return nil, err
			}
			return decodeGroup(nil, first, value, first-1, first+groupMax, groupMax)
		}}
}

func memoCodec() rowCodec {
	return rowCodec{"memo",
		func(h *history) any { return h.memo(h.session().Key) },
		func(x any) (key, value []byte) {
			r := x.(binding.MemoRow)
			return appendMemoKey(nil, &r.Key), appendMemo(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.MemoRow
			err := decodeMemo(key, value, &r)
			return r, err
		}}
}

func TestRowsSurvive(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory(7)
			for range 2000 {
				want := c.sample(h)
				key, value := c.encode(want)
				got, err := c.decode(key, value)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
				}
				// What was decoded must not alias Pebble's memory.
				for i := range key {
					key[i] = 0xFF
				}
				for i := range value {
					value[i] = 0xFF
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v changed with the buffer it was decoded from", got)
				}
			}
		})
	}
}

func TestExtremeSessionSurvives(t *testing.T) {
	const most = 1<<64 - 1
	want := binding.SessionRow{
		Key: binding.SessionKey{0xFF}, Node: 0xFFFF, Restarts: 0xFFFF, BegunFrom: most, BegunBy: 0, HeldAt: 1 << 63, Last: 1, After: most,
		Seen: -1 << 63, Lease: 0xFFFFFFFF, Age: 0xFFFFFFFF, Order: 0xFFFFFFFF, Contexts: 0xFFFF, Ended: true, Stopped: true, Reused: true, Again: true,
		MSISDN: 999_999_999_999_999, IMSI: 0x001010000000001F, IMEI: 0x3569380356438091, APN: 0xFFFF, RAT: 0xFF, Listed: 0xFF,
		Via: 0xFFFF, Doubt: binding.ReasonMultiSIM, EndedBy: 0xFF, Directory: true,
		Holds: []binding.HoldRow{{
			Domain: 0xFFFF, Since: 1<<63 - 1, Version: most, Told: binding.ReasonMultiSIM, Shared: true, Given: true, Contested: true, HeldBy: most, HeldAt: 0,
		}},
	}
	var got binding.SessionRow
	err := decodeSession(appendSessionKey(nil, &want.Key), appendSession(nil, &want), &got)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestEveryStateSurvives(t *testing.T) {
	h := newHistory(3)
	var want []binding.Change
	for reason := binding.ReasonBound; reason.Valid(); reason++ {
		c := h.change(uint64(len(want)) + 1)
		c.State, c.Reason = binding.State(h.IntN(5)), reason
		want = append(want, c)
	}
	got, err := decodeGroup(nil, 1, appendGroup(nil, want), 0, uint64(len(want)), len(want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestUnknownFlagsOfANodeAreErrors(t *testing.T) {
	value := appendNode(nil, &binding.NodeRow{Source: binding.SourceGx, Name: "n"})
	value[2] |= 0x80
	var got binding.NodeRow
	if err := decodeNode([]byte{kindNode, 0, 7}, value, &got); err == nil {
		t.Errorf("a flag that means nothing passes: %+v", got)
	}
}

func TestSessionRowIsSmall(t *testing.T) {
	r := sampleSession(12_345, nil)
	n := len(appendSessionKey(nil, &r.Key)) + len(appendSession(nil, &r))
	if n > 105 {
		t.Errorf("%d bytes for a session with one IPv4 address", n)
	}
	t.Logf("%d bytes", n)
}

func TestMalformedRowsAreErrors(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			key, value := c.encode(c.sample(newHistory(3)))
			for n := range value {
				if _, err := c.decode(key, value[:n]); err == nil {
					t.Errorf("the first %d of %d bytes pass", n, len(value))
				}
			}
			if _, err := c.decode(key, append(value[:len(value):len(value)], 0)); err == nil {
				t.Error("a byte too many passes")
			}
			newer := append([]byte{formatBounds + 1}, value[1:]...)
			if _, err := c.decode(key, newer); err == nil || !strings.Contains(err.Error(), "format 3") {
				t.Errorf("a newer format: %v", err)
			}
			if c.name == "subscriber" {
				return // has no use for its key
			}
			if _, err := c.decode(key[:len(key)-1], value); err == nil {
				t.Error("a short key passes")
			}
		})
	}
}

// TestGolden notices every change of the formats. After a deliberate one, raise
// format, keep a decoder of the old one, and run with UPDATE_GOLDEN=1.
func TestGolden(t *testing.T) {
	const file = "testdata/rows.golden"
	h := newHistory(42)
	var b strings.Builder
	b.WriteString("# kind, key, value: what the samples of TestGolden are stored as\n")
	for _, c := range codecs() {
		for range 5 {
			key, value := c.encode(c.sample(h))
			fmt.Fprintf(&b, "%s %x %x\n", c.name, key, value)
		}
	}
	fmt.Fprintf(&b, "state %x %x\n", keyState, appendState(nil, 1<<40, heartbeat{3, 1_790_000_000_000}))
	fmt.Fprintf(&b, "trimmed %x %x\n", keyTrimmed, appendTrimmed(nil, 1<<40))
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the stored format has changed:\n%s", b.String())
	}
}

// goldenSeeds gives a fuzz target the golden rows of its kind.
func goldenSeeds(f *testing.F, kind string) {
	text, err := os.ReadFile("testdata/rows.golden")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != kind {
			continue
		}
		key, _ := hex.DecodeString(fields[1])
		value, _ := hex.DecodeString(fields[2])
		f.Add(key, value)
	}
}

// fuzzRow demands that whatever decodes is something that encodes and decodes
// to itself.
func fuzzRow(f *testing.F, kind string) {
	goldenSeeds(f, kind)
	for _, c := range codecs() {
		if c.name != kind {
			continue
		}
		f.Fuzz(func(t *testing.T, key, value []byte) {
			x, err := c.decode(key, value)
			if err != nil {
				return
			}
			again, err := c.decode(c.encode(x))
			if err != nil || !reflect.DeepEqual(again, x) {
				t.Fatalf("%+v became %+v, %v", x, again, err)
			}
		})
	}
}

func FuzzSession(f *testing.F)    { fuzzRow(f, "session") }
func FuzzNode(f *testing.F)       { fuzzRow(f, "node") }
func FuzzName(f *testing.F)       { fuzzRow(f, "apn") }
func FuzzSubscriber(f *testing.F) { fuzzRow(f, "subscriber") }
func FuzzForgotten(f *testing.F)  { fuzzRow(f, "forgotten") }
func FuzzMemo(f *testing.F)       { fuzzRow(f, "memo") }
func FuzzGroup(f *testing.F)      { fuzzRow(f, "group") }

package journal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
)

// The encoders of format 1, as programs of before the bounds had them. What
// those kept and nobody reads any more is written as anything.

func appendFormerSession(b []byte, r *binding.SessionRow) []byte {
	var flags byte
	for flag, is := range map[byte]bool{
		formerEnded: r.Ended, formerContexts: r.Contexts != 0, formerFollowed: r.Via != 0 || r.Doubt != 0, formerDirectory: r.Directory,
	} {
		if is {
			flags |= flag
		}
	}
	for i := range r.Holds {
		if r.Holds[i].Told != 0 {
			flags |= formerTold
		}
	}
	b = append(b, format, flags)
	b = binary.AppendUvarint(b, uint64(r.Node))
	b = binary.AppendUvarint(b, uint64(r.Former.Epoch))
	b = binary.AppendVarint(b, r.Former.Start)
	b = binary.AppendVarint(b, r.Former.Last-r.Former.Start)
	b = binary.AppendVarint(b, r.Seen-r.Former.Last)
	b = binary.AppendUvarint(b, uint64(r.Lease))
	if flags&formerContexts != 0 {
		b = binary.AppendUvarint(b, uint64(r.Contexts))
	}
	if flags&formerFollowed != 0 {
		b = append(binary.AppendUvarint(b, uint64(r.Via)), byte(r.Doubt))
	}
	b = appendSubscriber(b, &binding.Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI, IMEI: r.IMEI})
	b = binary.AppendUvarint(b, uint64(r.APN))
	b = append(b, byte(r.RAT))
	b = binary.AppendUvarint(b, uint64(len(r.Holds)))
	for i := range r.Holds {
		h := &r.Holds[i]
		b = binary.AppendUvarint(b, uint64(h.Domain))
		b = appendAddress(b, &h.Addr)
		b = binary.AppendVarint(b, h.Since-r.Former.Start)
		b = binary.AppendUvarint(b, h.Version)
		switch {
		case h.Shared:
			b = binary.AppendVarint(b, formerShared)
		case h.Ending:
			b = binary.AppendVarint(b, 1_790_000_030_000) // until when
		default:
			b = append(b, 0)
		}
		if flags&formerTold != 0 {
			b = append(b, byte(h.Told))
		}
	}
	return b
}

func appendFormerNode(b []byte, r *binding.NodeRow) []byte {
	source := byte(r.Source) | formerForgot
	if r.Observed {
		source |= formerObserved
	}
	doubted := r.Down != 0 || r.Trust != 0
	if doubted {
		source |= formerDoubted
	}
	b = append(b, format, source)
	b = binary.AppendUvarint(b, r.Restarts%1000+1) // its epoch
	b = binary.AppendVarint(b, r.Restart)
	b = binary.AppendUvarint(b, r.Restarts)
	if doubted {
		b = binary.AppendVarint(b, r.Down)
		b = binary.AppendVarint(b, r.Trust)
	}
	b = binary.AppendVarint(b, 1_790_000_000_000) // of a stop that was forgotten
	return appendString(b, r.Name)
}

func appendBlock(b []byte, r *binding.BlockRow) []byte {
	b = binary.AppendVarint(append(b, format), r.Since)
	return binary.AppendVarint(b, 1_790_000_030_000) // until when
}

func formerSessionCodec() rowCodec {
	return rowCodec{"former-session",
		func(h *history) any {
			r := binding.SessionRow{
				Key: h.sessionKey(), Node: uint16(h.IntN(1 << 16)), Seen: h.millis(), Lease: h.Uint32() >> uint(h.IntN(32)),
				Ended: h.IntN(4) == 0, Directory: h.IntN(4) == 0,
				Former: &binding.FormerTimes{Start: h.millis(), Last: h.millis(), Epoch: h.Uint32() >> uint(h.IntN(32))},
			}
			if h.IntN(2) == 0 {
				r.Contexts = uint16(h.IntN(1 << 16))
			}
			if h.IntN(4) == 0 {
				r.Via, r.Doubt = uint16(h.IntN(1<<16)), binding.Reason(h.IntN(int(binding.ReasonSiteUnreachable)+1))
			}
			h.describe(&r)
			for range h.IntN(4) {
				hold := binding.HoldRow{Domain: uint16(h.IntN(300)), Addr: h.address(), Since: h.millis(), Version: h.Uint64() >> uint(h.IntN(64))}
				switch h.IntN(4) {
				case 0:
					hold.Ending, hold.Told = true, binding.ReasonEnding
				case 1:
					hold.Shared = true
				}
				r.Holds = append(r.Holds, hold)
			}
			return r
		},
		func(x any) (key, value []byte) {
			r := x.(binding.SessionRow)
			if r.Former == nil { // of the fuzzer: a row of today
				return appendSessionKey(nil, &r.Key), appendSession(nil, &r)
			}
			return appendSessionKey(nil, &r.Key), appendFormerSession(nil, &r)
		},
		sessionCodec().decode}
}

func formerNodeCodec() rowCodec {
	return rowCodec{"former-node",
		func(h *history) any {
			r := h.node(uint16(h.Uint32()))
			return binding.NodeRow{
				ID: r.ID, Source: r.Source, Name: r.Name, Restarts: r.Restarts, Restart: r.Restart,
				Observed: r.Observed, Down: r.Down, Trust: r.Trust, Former: true,
			}
		},
		func(x any) (key, value []byte) {
			r := x.(binding.NodeRow)
			if r.Former && reflect.DeepEqual(r, formerPart(r)) {
				return appendIDKey(nil, kindNode, r.ID), appendFormerNode(nil, &r)
			}
			return appendIDKey(nil, kindNode, r.ID), appendNode(nil, &r)
		},
		nodeCodec().decode}
}

// formerPart is what of a node's row a journal of before the bounds could keep.
func formerPart(r binding.NodeRow) binding.NodeRow {
	return binding.NodeRow{
		ID: r.ID, Source: r.Source & 0x1F, Name: r.Name, Restarts: r.Restarts, Restart: r.Restart,
		Observed: r.Observed, Down: r.Down, Trust: r.Trust, Former: true,
	}
}

func blockCodec() rowCodec {
	return rowCodec{"block",
		func(h *history) any {
			return binding.BlockRow{Domain: uint16(h.Uint32()), Addr: h.address(), Since: h.millis()}
		},
		func(x any) (key, value []byte) {
			r := x.(binding.BlockRow)
			return appendBlockKey(nil, r.Domain, &r.Addr), appendBlock(nil, &r)
		},
		func(key, value []byte) (any, error) {
			var r binding.BlockRow
			err := decodeBlock(key, value, &r)
			return r, err
		}}
}

func FuzzFormerSession(f *testing.F) { fuzzRow(f, "former-session") }
func FuzzFormerNode(f *testing.F)    { fuzzRow(f, "former-node") }
func FuzzBlock(f *testing.F)         { fuzzRow(f, "block") }

// TestRowsOfFormat1AreRead: testdata/former.golden are rows as the last program
// of before the bounds wrote them; those encoders had the same samples.
func TestRowsOfFormat1AreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/former.golden")
	if err != nil {
		t.Fatal(err)
	}
	byName, read := map[string]rowCodec{}, 0
	for _, c := range codecs() {
		byName[c.name] = c
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		c, known := byName["former-"+fields[0]]
		if !known {
			c, known = byName[fields[0]]
		}
		if !known || len(fields) != 3 {
			continue // of the journal itself
		}
		key, _ := hex.DecodeString(fields[1])
		value, _ := hex.DecodeString(fields[2])
		x, err := c.decode(key, value)
		if err != nil {
			t.Errorf("%s %s: %v", fields[0], fields[1], err)
			continue
		}
		if again, err := c.decode(c.encode(x)); err != nil || !reflect.DeepEqual(again, x) {
			t.Errorf("%+v became %+v, %v", x, again, err)
		}
		read++
	}
	if read < 35 {
		t.Errorf("only %d rows were read", read)
	}
}

// openFormer opens a copy of the journal in testdata/former, which the last
// program of before the bounds wrote. testdata/former.txt is what that program
// read out of it.
func openFormer(t *testing.T) *Journal {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.CopyFS(dir, os.DirFS("testdata/former")); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func TestJournalOfBeforeTheBoundsIsReadWhole(t *testing.T) {
	var got strings.Builder
	j := openFormer(t)
	m := j.Meta()
	fmt.Fprintln(&got, "meta", m.Incarnation, m.Seq, m.Alive.UnixMilli())
	if err := j.Load(dump{&got}); err != nil {
		t.Fatal(err)
	}
	changes, err := j.ReadOutbox(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		fmt.Fprintf(&got, "change %d %v %v %v -> %v %v %v %s\n", c.Seq, c.Kind, c.Addr, c.Was.MSISDN, c.Now.MSISDN, c.State, c.Reason, c.Why)
	}
	want, err := os.ReadFile("testdata/former.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestJournalOfBeforeTheBoundsIsConverted(t *testing.T) {
	j := openFormer(t)
	rows := newModel()
	before := &gathering{modelLoader: modelLoader{m: rows}}
	if err := j.Load(before); err != nil {
		t.Fatal(err)
	}
	b := &binding.Batch{Alive: j.Meta().Alive.UnixMilli() + 1}
	for _, r := range rows.sessions {
		if r.Former == nil {
			t.Fatalf("session %x has bounds", r.Key)
		}
		r.HeldAt, r.Former = clockWord(r.Seen), nil
		for i := range r.Holds {
			r.Holds[i].Ending = false
		}
		b.Sessions = append(b.Sessions, r)
	}
	for _, r := range rows.nodes {
		r.Former, r.Owner = false, "gateways"
		b.Nodes = append(b.Nodes, r)
	}
	for _, r := range before.blocks {
		r.Gone = true
		b.Blocks = append(b.Blocks, r)
	}
	if len(b.Sessions) != 19 || len(b.Nodes) != 6 || len(b.Blocks) != 6 {
		t.Fatalf("%d sessions, %d nodes, %d blocks", len(b.Sessions), len(b.Nodes), len(b.Blocks))
	}
	mustCommit(t, j, b)
	rows.apply(b)
	var err error
	if rows.changes, err = j.ReadOutbox(0, 1000); err != nil {
		t.Fatal(err)
	}
	if d := rows.diff(j); d != "" {
		t.Error(d)
	}
}

func clockWord(ms int64) uint64 { return uint64(ms) << 24 }

// gathering is a modelLoader that has blocks too.
type gathering struct {
	modelLoader
	blocks []binding.BlockRow
}

func (l *gathering) Block(r *binding.BlockRow) error {
	l.at(4, "block")
	l.blocks = append(l.blocks, *r)
	return nil
}

// dump writes rows as the program of before the bounds has them in
// testdata/former.txt.
type dump struct{ w io.Writer }

func (d dump) line(format string, args ...any) error {
	_, err := fmt.Fprintf(d.w, format+"\n", args...)
	return err
}

func (d dump) Node(r *binding.NodeRow) error {
	return d.line("node %d %v %s restarts %d at %d observed %v down %d trust %d",
		r.ID, r.Source, r.Name, r.Restarts, r.Restart, r.Observed, r.Down, r.Trust)
}

func (d dump) APN(r *binding.NameRow) error    { return d.line("apn %d %s", r.ID, r.Name) }
func (d dump) Domain(r *binding.NameRow) error { return d.line("domain %d %s", r.ID, r.Name) }

func (d dump) Subscriber(r *binding.SubscriberRow) error {
	return d.line("subscriber %s %s %s since %d %d", r.MSISDN, r.IMSI, r.IMEI, r.SIMSince, r.DeviceSince)
}

func (d dump) Block(r *binding.BlockRow) error {
	return d.line("block %d %v since %d", r.Domain, r.Addr, r.Since)
}

func (d dump) Forgotten(r *binding.ForgottenRow) error { return d.line("remains %+v", *r) }

func (d dump) Session(r *binding.SessionRow) error {
	f := r.Former
	err := d.line("session %x node %d epoch %d start %d last %d seen %d lease %d contexts %d ended %v %s %s %s apn %d rat %d via %d doubt %v directory %v",
		r.Key, r.Node, f.Epoch, f.Start, f.Last, r.Seen, r.Lease, r.Contexts, r.Ended, r.MSISDN, r.IMSI, r.IMEI, r.APN, r.RAT, r.Via, r.Doubt, r.Directory)
	for _, h := range r.Holds {
		err = d.line("\thold %d %v since %d version %d told %v ending %v shared %v", h.Domain, h.Addr, h.Since, h.Version, h.Told, h.Ending, h.Shared)
	}
	return err
}

func (d dump) Memo(r *binding.MemoRow) error { return d.line("memo %x %v %q", r.Key, r.Source, r.Memo) }

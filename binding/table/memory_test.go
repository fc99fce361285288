package table

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
	"github.com/simbind/simbind/binding/index"
)

// now is a moment of the tests in unix ms.
const now = 1_700_000_000_000

// newMemory is an empty one of nodes 1 and 2 of RADIUS, 3 of Gx and 4, another
// site.
func newMemory(t testing.TB) *Memory {
	t.Helper()
	s := Sizes{Sessions: 32, Addresses: 64}
	m := New(s, make([]uint64, Words(s)))
	names := NodeNames{{}}
	for i, source := range []binding.Source{binding.SourceRADIUS, binding.SourceRADIUS, binding.SourceGx,
		binding.SourceFeed} {
		m.SetNode(uint16(i+1), NodeWhat, uint64(source))
		names = append(names, NodeName{Source: source, Name: string(rune('a' + i))})
	}
	m.NodeNames.Store(&names)
	m.Domains.Store(NewDomains([]binding.Domain{{Name: "default", APNs: []string{"*"}}},
		func(string) uint16 { return 1 }, map[uint16]string{1: "default"}))
	return m
}

var times = Times{Lease: 3600_000, Grace: 600_000, Linger: 30_000, Loss: 300_000, TrustGap: 60_000, Silent: 5_000}

// sub makes a subscriber's record.
func (m *Memory) sub(t testing.TB, who binding.Subscriber) uint32 {
	t.Helper()
	if id, ok := m.FindSubscriber(who); ok {
		return id
	}
	id, ok := m.Subs.Alloc()
	if !ok {
		t.Fatal("no room for a subscriber")
	}
	m.PutSubscriber(id, &Subscriber{Subscriber: who})
	m.ByNumber.Insert(NumberHash(who), id)
	m.ByIMSI.Insert(Mix(uint64(who.IMSI)), id)
	return id
}

// at is a bound so many seconds from now, by our clock alone.
func at(s int64) clock.Bound { return clock.Bound{Our: now + s*1000} }

// by is a bound by a node's clock in one of its epochs too.
func by(s, node int64, epoch uint8) clock.Bound {
	return clock.Bound{Our: now + s*1000, Node: now + node*1000, Epoch: epoch}
}

func key(t testing.TB, s string) index.Key {
	t.Helper()
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a := netip.MustParseAddr(s)
		p = netip.PrefixFrom(a, a.BitLen())
	}
	keys := Keys(1, binding.Address{Prefix: p})
	if len(keys) != 1 {
		t.Fatalf("%s has %d keys", s, len(keys))
	}
	return keys[0]
}

func TestASessionsRecordKeepsWhatIsPutIntoIt(t *testing.T) {
	m := newMemory(t)
	id, _ := m.Sessions.Alloc()
	s := Session{
		Key:       [2]uint64{1 << 63, 77},
		BegunFrom: at(-100), BegunBy: by(-99, -50, 1), HeldAt: by(-20, 30, 2), Last: at(-10), After: at(-5),
		Doubt: binding.ReasonEnding, EndedBy: binding.SourceSet(0).Add(binding.SourceGx).Add(binding.SourcePFCP),
		IMSI: 0x001010000000001F, Sub: 9, Next: 10, Prev: 11, Claim: 12, Age: 1<<31 + 1, Order: 1<<32 - 1,
		Seen: now, Lease: MaxLease, Node: 3, APN: 1<<16 - 1, Contexts: 1 << 15, Restarts: 1<<16 - 1, RAT: 200, Listed: 7,
		Flags: Memo | Reused | Again | Stopped | MultiSIM,
	}
	m.PutSession(id, &s)
	if got := m.Session(id); got != s {
		t.Errorf("%+v, want %+v", got, s)
	}
	s.Flags |= Ended
	s.Age, s.Older, s.Newer = 0, 20, 21
	m.PutSession(id, &s)
	if got := m.Session(id); got != s {
		t.Errorf("one that ended: %+v, want %+v", got, s)
	}
	if got := m.Session(0); got != (Session{}) {
		t.Errorf("of no record: %+v", got)
	}
	if got := m.Session(1 << 30); got != (Session{}) {
		t.Errorf("beyond all: %+v", got)
	}
}

func TestBoundsOfAnEpochWhoseSlotMeansAnotherByNowSayLess(t *testing.T) {
	m := newMemory(t)
	id, _ := m.Sessions.Alloc()
	s := Session{Key: [2]uint64{1, 1}, Node: 1, HeldAt: by(-20, -10, 2)}
	m.PutSession(id, &s)
	m.SetSlotSince(1, 2, now-10_000)
	if got := m.Session(id).HeldAt; got != at(-20) {
		t.Errorf("%+v", got)
	}
	hold := m.HoldOf(&Claim{Hold: Hold{By: by(-5, 0, 2), At: by(-20, -10, 2)}}, 1)
	if hold.At != at(-20) || hold.By != by(-5, 0, 2) {
		t.Errorf("%+v", hold)
	}
}

func TestIncarnationsAreToldApartByNumber(t *testing.T) {
	m := newMemory(t)
	key := [2]uint64{5, 64}
	var ids [3]uint32
	for n := range ids {
		ids[n], _ = m.Sessions.Alloc()
		m.PutSession(ids[n], &Session{Key: [2]uint64{key[0], key[1] ^ uint64(n)}, Node: 1})
		m.BySession.Insert(key[0], ids[n])
	}
	if got := m.FindIncarnations(key); got != (Incarnations{ids[0], ids[1], ids[2], 0}) {
		t.Errorf("%v, want %v", got, ids)
	}
	if id, ok := m.FindSession([2]uint64{key[0], key[1] ^ 2}); !ok || id != ids[2] {
		t.Errorf("the third is %d", id)
	}
	if _, ok := m.FindSession([2]uint64{key[0], key[1] ^ 3}); ok {
		t.Error("there is a fourth")
	}
}

func TestTheNameOfASessionTellsItsNodesApart(t *testing.T) {
	keys := map[[2]uint64]string{}
	for _, n := range []NodeName{
		{Source: binding.SourceRADIUS, Name: "a"}, {Source: binding.SourceGx, Name: "a"},
		{Source: binding.SourceRADIUS, Name: "as"},
		{Source: binding.SourceRADIUS, Owner: "o", Name: "a"}, {Source: binding.SourceRADIUS, Owner: "p", Name: "a"},
	} {
		for _, id := range []string{"s1", "1"} {
			k := NewSessionKey(&n, id)
			if was, twice := keys[k]; twice {
				t.Errorf("%+v %s has the key of %s", n, id, was)
			}
			keys[k] = n.Owner + "/" + n.Name + "/" + id
			if k[0] == 0 {
				t.Error("a first word is zero")
			}
		}
	}
	plain := NodeName{Source: binding.SourceRADIUS, Name: "a"}
	owned := NodeName{Source: binding.SourceRADIUS, Owner: "o", Name: "a", Plain: true}
	if NewSessionKey(&plain, "x") != NewSessionKey(&owned, "x") {
		t.Error("a node that was known before owners were has other names by now")
	}
}

func TestAClaimsRecordKeepsWhatIsPutIntoIt(t *testing.T) {
	m := newMemory(t)
	for _, k := range []index.Key{key(t, "10.0.0.1"), key(t, "2001:db8:1::/56"), key(t, "2001:db8::1/128"),
		key(t, "2001:db8:0:1:2::/80")} {
		want := Claim{Session: 3, Key: k, Hold: Hold{By: by(-3, 4, 1), At: at(-9)}, NextOfSession: 7, NextOfAddress: 8}
		id, ok := m.NewClaim(want)
		if !ok {
			t.Fatal("no room")
		}
		if got := m.Claim(id); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		m.SetGiven(id, true)
		m.SetNextOfSession(id, 70)
		m.SetNextOfAddress(id, 80)
		m.SetHold(id, Hold{By: at(1), At: at(0)})
		want.Given, want.NextOfSession, want.NextOfAddress, want.Hold = true, 70, 80, Hold{By: at(1), At: at(0)}
		if got := m.Claim(id); got != want {
			t.Errorf("changed: %+v, want %+v", got, want)
		}
		m.SetGiven(id, false)
		if m.Claim(id).Given || m.Claim(id).Key != k {
			t.Errorf("taken back: %+v", m.Claim(id))
		}
		m.FreeClaim(id)
	}
	if n := m.Claims.Len(); n != 0 {
		t.Errorf("%d claims are left", n)
	}
}

func TestAHoldingKeepsWhatIsPackedInIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		h := Holding{
			MSISDN: binding.MSISDN(r.Uint64N(1e15)), State: State(r.IntN(4)), Told: binding.Reason(r.IntN(23)),
			Shared:  r.IntN(2) == 1,
			Version: r.Uint64(), Since: r.Int64(), Claim: r.Uint32(), Owner: r.Uint32(), Contested: uint16(r.Uint32()),
			Inner: uint16(r.Uint32()),
		}
		if got := UnpackHolding(h.Pack()); got != h {
			t.Fatalf("%+v, want %+v", got, h)
		}
	}
}

func TestSingleWordsOfANodeAndOfAll(t *testing.T) {
	m := newMemory(t)
	m.SetTrust(binding.SourceGx, now)
	m.SetOverheard(now+1, now+2)
	m.SetRefusedSince(now + 3)
	if trust, loss := m.Overheard(); m.Trust(binding.SourceGx) != now || m.Trust(binding.SourceRADIUS) != 0 ||
		trust != now+1 || loss != now+2 || m.RefusedSince() != now+3 {
		t.Errorf("%d %d %d %d", m.Trust(binding.SourceGx), trust, loss, m.RefusedSince())
	}
	for _, offset := range []int64{0, -3_600_000, 86_400_000} {
		m.SetOffset(1, offset, true)
		nodes := NewReader(m, &times, func() time.Time { return time.UnixMilli(now) }).Nodes()
		if got := nodes[0]; !got.OffsetKnown || got.Offset.Milliseconds() != offset {
			t.Errorf("an offset of %d reads as %v", offset, got.Offset)
		}
	}
	m.SetOffset(1, 5, false)
	if NewReader(m, &times, func() time.Time { return time.UnixMilli(now) }).Nodes()[0].OffsetKnown {
		t.Error("an offset that is not known is told")
	}
}

func TestARefusalIsToldForAWhile(t *testing.T) {
	m := newMemory(t)
	k := key(t, "10.0.0.1")
	m.Refuse(k, now)
	for _, c := range []struct {
		k     index.Key
		after int64
		want  bool
	}{{k, 0, true}, {k, 9, true}, {k, 11, false}, {key(t, "10.0.0.2"), 0, false}} {
		if got := m.refused(c.k, now+c.after*1000, 10); got != c.want {
			t.Errorf("%v after %d s: %v", AddressOf(c.k), c.after, got)
		}
	}
}

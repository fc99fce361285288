package pairing

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/simbind/simbind/binding"
)

var node1, node2 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")

func call(t *testing.T, ss *Sessions[int], s *Session[int], addr netip.Addr, id uint64) Handle {
	t.Helper()
	h, ok := ss.Handle(addr, id, 0)
	if !ok {
		t.Fatalf("no handle at %s", addr)
	}
	ss.Call(s, h)
	return h
}

func TestAHandleNamesTheSessionThatHadItLast(t *testing.T) {
	ss := NewSessions(10, func(*Session[int]) { t.Error("given up") })
	a, b := &Session[int]{Data: 1}, &Session[int]{Data: 2}
	ss.Add(a)
	ss.Add(b)
	call(t, ss, a, node1, 7)
	kept := call(t, ss, a, node2, 7)
	h := call(t, ss, b, node1, 7)
	if ss.Find(node1, 7, 0) != b || ss.Find(node2, 7, 0) != a || ss.Find(node1, 8, 0) != nil || ss.Find(netip.MustParseAddr("192.0.2.9"), 7, 0) != nil {
		t.Error("a handle names another session")
	}
	if !slices.Equal(a.Handles(), []Handle{kept}) {
		t.Errorf("the former one still has %v", a.Handles())
	}
	ss.Remove(a)
	if ss.Find(node2, 7, 0) != nil || ss.Find(node1, 7, 0) != b || a.Live() || ss.Len() != 1 {
		t.Error("what was removed is still there, or what was not is gone")
	}
	ss.Uncall(b, h)
	if ss.Find(node1, 7, 0) != nil || !b.Live() {
		t.Error("a handle that was taken away is still there")
	}
	if _, ok := ss.Handle(netip.Addr{}, 1, 0); ok {
		t.Error("a handle at no address")
	}
}

func TestWhoWasUnheardOfForTheLongestMakesRoom(t *testing.T) {
	var gone []int
	ss := NewSessions(2, func(s *Session[int]) { gone = append(gone, s.Data) })
	list := []*Session[int]{{Data: 0}, {Data: 1}, {Data: 2}}
	ss.Add(list[0])
	ss.Add(list[1])
	ss.Touch(list[0])
	ss.Add(list[2])
	if !slices.Equal(gone, []int{1}) || ss.Len() != 2 || ss.Full() != 1 {
		t.Errorf("%v had to go, %d are left", gone, ss.Len())
	}
	var seen []int
	ss.All(func(s *Session[int]) { seen = append(seen, s.Data); ss.Remove(s) })
	if !slices.Equal(seen, []int{0, 2}) || ss.Len() != 0 {
		t.Errorf("saw %v, %d are left", seen, ss.Len())
	}
}

func TestAMemoIsReadAsItWasWrittenOrNotAtAll(t *testing.T) {
	from := NewSessions(10, func(*Session[int]) {})
	s := &Session[int]{}
	from.Add(s)
	call(t, from, s, node2, 1<<63)
	call(t, from, s, node1, 5)
	prefix, err := binding.NewAddress(netip.MustParsePrefix("2001:db8:1::/56"))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMemo()
	m.PutUint(300)
	m.PutString("smf.example")
	m.PutAddr(netip.Addr{})
	m.PutAddress(prefix)
	from.PutHandles(m, s.Handles())
	written := bytes.Clone(m.Bytes())

	to := NewSessions(10, func(*Session[int]) {}) // numbers its addresses anew
	read := func(b []byte) (ok bool) {
		b = bytes.Clone(b)
		m := ReadMemo(b)
		n, text, none, addr := m.Uint(), m.String(), m.Addr(), m.Address()
		handles := to.GetHandles(m, 4)
		clear(b) // nothing that was read may alias it
		return m.Read() && n == 300 && text == "smf.example" && !none.IsValid() && addr == prefix && len(handles) == 2 &&
			to.Addr(handles[0]) == node2 && handles[0].ID == 1<<63 && to.Addr(handles[1]) == node1
	}
	if !read(written) {
		t.Error("it was not read")
	}
	for n := range written {
		if read(written[:n]) {
			t.Errorf("the first %d of %d octets were read", n, len(written))
		}
	}
	if read(append(bytes.Clone(written), 0)) {
		t.Error("more than was written was read")
	}
	m.PutBytes(make([]byte, binding.MaxMemo))
	if m.Bytes() != nil {
		t.Error("a memo that the journal does not take")
	}
}

func TestAnEarlyAnswerWaitsForAMoment(t *testing.T) {
	var vain, done int
	now := time.Unix(1_790_000_000, 0)
	e := NewEarly[int](func() { vain++ })
	e.Put(now, 1, func() { done++ })
	e.Put(now, 2, func() { done++ })
	e.Asked(1)
	e.Asked(1)
	e.Asked(3)
	e.Expire(now.Add(earlyFor))
	e.Asked(2)
	if done != 1 || vain != 1 || e.Len() != 0 {
		t.Errorf("%d done, %d in vain, %d wait", done, vain, e.Len())
	}
	for n := range 2 * earlyMax {
		e.Put(now, n, func() {})
	}
	if e.Len() != earlyMax {
		t.Errorf("%d wait", e.Len())
	}
}

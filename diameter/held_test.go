package diameter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"log/slog"

	"github.com/simbind/simbind/binding"
)

// request is a Credit-Control-Request with more AVPs.
func bigRequest(more []byte) frame {
	b := appendHeader(nil, flagRequest|flagProxiable, cmdCreditControl, appGx, 1, 1)
	b = appendAVP(b, avpSessionID, "s;1")
	b = appendAVP(appendAVP(b, avpOriginHost, "pgw1.lab"), avpOriginRealm, "lab")
	b = appendUint32(appendUint32(b, avpRequestType, requestInitial), avpRequestNumber, 0)
	return frame(endMessage(append(b, more...), 0))
}

// What is echoed in an answer is held until the commit, so it is bounded in
// octets too.
func TestOpenRequestsHoldBoundedMemory(t *testing.T) {
	s := New(Config{OriginHost: "simbind.lab", OriginRealm: "lab"}, func(binding.Event) error { return nil }, slog.New(slog.DiscardHandler))
	c := &conn{server: s, out: newOutbox(), peer: &peer{}}
	open := newOpenRequests(c, 4096)
	big := bigRequest(appendAVP(nil, avpProxyInfo, make([]byte, 60<<10)))
	var f fields
	if err := f.collect(big); err != nil {
		t.Fatal(err)
	}
	var tokens []uint64
	for {
		token, ok := open.begin(big, &f)
		if !ok {
			break
		}
		tokens = append(tokens, token)
	}
	if n := len(tokens); n == 0 || n > maxHeld/len(big)+1 || open.waiting() != n {
		t.Fatalf("%d requests are open, %d waiting", n, open.waiting())
	}
	for _, token := range tokens {
		c.out.take(nil)
		if !open.settle(token, resultSuccess) {
			t.Fatal("not settled")
		}
	}
	if open.held != 0 || open.waiting() != 0 {
		t.Errorf("%d octets, %d requests are left", open.held, open.waiting())
	}
	for i := range open.slots {
		if cap(open.slots[i].answer) > keptFrame {
			t.Fatalf("slot %d keeps %d octets", i, cap(open.slots[i].answer))
		}
	}
}

func TestForwardedRequestsHoldBoundedMemory(t *testing.T) {
	p := &pending{limit: 4096}
	big := bigRequest(make([]byte, 60<<10))
	var ids []uint32
	for {
		id, ok := p.begin(&forwarded{message: big})
		if !ok {
			break
		}
		ids = append(ids, id)
	}
	if n := len(ids); n == 0 || n > maxHeld/len(big) {
		t.Fatalf("%d requests are pending", n)
	}
	for _, id := range ids[1:] {
		p.end(id)
	}
	p.take(func(*forwarded) bool { return true })
	if p.held != 0 || p.waiting() != 0 {
		t.Errorf("%d octets, %d requests are left", p.held, p.waiting())
	}
}

// Names are kept for long, so that one that is no name is refused.
func TestNamesOfAbsurdLengthAreRefused(t *testing.T) {
	long := bytes.Repeat([]byte{'a'}, maxSession+1)
	for _, code := range []uint32{avpOriginHost, avpOriginRealm, avpCalledStationID, avpSessionID} {
		b := appendHeader(nil, flagRequest, cmdCreditControl, appGx, 1, 1)
		_, err := Decode(endMessage(appendAVP(b, code, long), 0), Origin{Arrived: time.Now()})
		var f *fault
		if !errors.As(err, &f) || f.code != resultInvalidValue {
			t.Errorf("AVP %d: %v", code, err)
		}
	}
}

package diameter

import "testing"

// A node made with go-diameter answers a request whose Hop-by-Hop Identifier is
// zero with a random one, so that nobody would hear the answer.
func TestNoRequestIsForwardedAsNumberZero(t *testing.T) {
	p := &pending{limit: 1}
	seen := map[uint32]bool{}
	for range 3 << (32 - slotBits) {
		id, ok := p.begin(&forwarded{})
		if !ok || id == 0 {
			t.Fatalf("identifier %d, %v", id, ok)
		}
		seen[id] = true
		p.end(id)
		if p.waiting() != 0 {
			t.Fatalf("identifier %d is still pending", id)
		}
	}
	if n := len(seen); n != 1<<(32-slotBits)-1 {
		t.Errorf("%d identifiers were used", n)
	}
}

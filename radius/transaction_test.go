package radius

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// A tableRig drives a table with requests that are numbers.
type tableRig struct {
	*transactions
	client *client
	now    time.Time
}

func newTableRig(capacity int) *tableRig {
	x := newTransactions(capacity, 30*time.Second)
	return &tableRig{x, &client{counts: &clientCounts{}}, x.began}
}

func (r *tableRig) begin(n uint32, waits int) (uint64, verdict) {
	var k requestKey
	*(*uint32)(unsafe.Pointer(&k.auth)) = n
	k.id = byte(n)
	p := packet{codeAccountingRequest, byte(n), 0, headerLen, headerLen - 1: 0}
	return r.transactions.begin(&k, &local{}, r.client, p, waits, false, r.now)
}

func (r *tableRig) settle(token uint64, o outcome) *transaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, _ := r.transactions.settle(completion{token, o}, r.now)
	return t
}

// beginEach is begin of a request that counts each time it comes.
func (r *tableRig) beginEach(n uint32) (uint64, verdict) {
	var k requestKey
	*(*uint32)(unsafe.Pointer(&k.auth)) = n
	p := packet{codeAccountingRequest, 0, 0, headerLen, headerLen - 1: 0}
	return r.transactions.begin(&k, &local{}, r.client, p, 1, true, r.now)
}

func TestATransactionIsTwoCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(transaction{}); size > 128 {
		t.Errorf("a transaction has %d octets", size)
	}
}

func TestTransactions(t *testing.T) {
	t.Run("a repetition of an open request is open", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.begin(1, 1)
		if again, v := r.begin(1, 1); v != open || again != token {
			t.Error(again, v)
		}
	})
	t.Run("a repetition of an answered request is answered", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.begin(1, 1)
		if r.settle(token, outcomeDurable) == nil {
			t.Fatal("no answer")
		}
		again, v := r.begin(1, 1)
		if v != answered || r.settle(again, outcomeRepeat) == nil {
			t.Error(v)
		}
	})
	t.Run("what counts each time is fresh again once it was answered, and its answers expire as ever", func(t *testing.T) {
		r := newTableRig(4)
		for range 3 {
			token, v := r.beginEach(1)
			if v != fresh || r.settle(token, outcomeDurable) == nil {
				t.Error(token, v)
			}
		}
		r.now = r.now.Add(30 * time.Second)
		if _, v := r.beginEach(1); v != fresh || r.oldest != 0 || r.opened() != 1 {
			t.Error(v, r.oldest, r.opened())
		}
	})
	t.Run("what counts each time and is open waits for one outcome more", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.beginEach(1)
		if again, v := r.beginEach(1); v != another || again != token {
			t.Error(again, v)
		}
		if r.settle(token, outcomeDurable) != nil || r.settle(token, outcomeDurable) == nil {
			t.Error("the answer did not wait for the second")
		}
	})
	t.Run("after the window it is fresh: a NAS that starts anew repeats itself", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.begin(1, 1)
		r.settle(token, outcomeDurable)
		r.now = r.now.Add(30 * time.Second)
		if _, v := r.begin(1, 1); v != fresh {
			t.Error(v)
		}
	})
	t.Run("after the window it is fresh, however much was answered before it", func(t *testing.T) {
		r := newTableRig(64)
		for n := range uint32(40) {
			token, _ := r.begin(n, 1)
			r.settle(token, outcomeDurable)
		}
		r.now = r.now.Add(30 * time.Second)
		if _, v := r.begin(39, 1); v != fresh {
			t.Error(v)
		}
	})
	t.Run("a request that failed is fresh again", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.begin(1, 1)
		if r.settle(token, outcomeBusy) != nil {
			t.Error("answered")
		}
		if _, v := r.begin(1, 1); v != fresh {
			t.Error(v)
		}
	})
	t.Run("all outcomes are awaited, and one failure is silence", func(t *testing.T) {
		r := newTableRig(4)
		token, _ := r.begin(1, 3)
		if r.settle(token, outcomeDurable) != nil || r.settle(token, outcomeJournal) != nil || r.settle(token, outcomeDurable) != nil {
			t.Error("answered")
		}
		if r.opened() != 0 {
			t.Error("still open")
		}
	})
	t.Run("the oldest answer makes room, an open request never", func(t *testing.T) {
		r := newTableRig(3)
		first, _ := r.begin(1, 1)
		second, _ := r.begin(2, 1)
		r.settle(first, outcomeDurable)
		r.settle(second, outcomeDurable)
		r.begin(3, 1)
		if _, v := r.begin(4, 1); v != fresh {
			t.Error("no room for the fourth", v)
		}
		if _, v := r.begin(2, 1); v != answered {
			t.Error("the second is forgotten", v)
		}
		r.begin(5, 1)
		if _, v := r.begin(6, 1); v != full {
			t.Error("room beyond the capacity", v)
		}
	})
	t.Run("a token of an earlier use of the slot says nothing", func(t *testing.T) {
		r := newTableRig(1)
		token, _ := r.begin(1, 1)
		r.forget(token)
		r.begin(2, 1)
		if r.settle(token, outcomeDurable) != nil || r.opened() != 1 {
			t.Error("the old token settled the new request")
		}
	})
}

// A slow, obvious model: two maps.
func TestTransactionsAgreeWithAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const capacity = 300
	r := newTableRig(capacity)
	openOnes, answers := map[uint32]uint64{}, map[uint32]time.Time{}
	for range 200_000 {
		r.now = r.now.Add(time.Duration(rnd.IntN(200)) * time.Millisecond)
		if rnd.IntN(500) == 0 { // a quiet while
			r.now = r.now.Add(time.Duration(rnd.IntN(40)) * time.Second)
		}
		n := uint32(rnd.IntN(600))
		if token, ok := openOnes[n]; ok && rnd.IntN(2) == 0 {
			delete(openOnes, n)
			if rnd.IntN(4) == 0 {
				r.settle(token, outcomeBusy)
			} else if r.settle(token, outcomeDurable) != nil {
				answers[n] = r.now
			}
			continue
		}
		token, v := r.begin(n, 1)
		_, isOpen := openOnes[n]
		at, isAnswered := answers[n]
		switch {
		case isOpen != (v == open):
			t.Fatalf("%d: verdict %d, open in the model: %v", n, v, isOpen)
		case v == answered && (!isAnswered || r.now.Sub(at) >= 30*time.Second):
			t.Fatalf("%d is answered, in the model %v at %v", n, isAnswered, at)
		case v == full && len(openOnes) < capacity:
			t.Fatalf("full with %d open", len(openOnes))
		case v == fresh:
			openOnes[n] = token
			delete(answers, n)
		}
		if r.opened() != len(openOnes) {
			t.Fatalf("%d open, in the model %d", r.opened(), len(openOnes))
		}
	}
}

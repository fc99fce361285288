package state

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// clock may be turned.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// stores are two views of one memory for each backend.
func stores(t *testing.T) map[string]func(*testing.T, *clock) (a, b *Store) {
	return map[string]func(*testing.T, *clock) (a, b *Store){
		"memory": func(_ *testing.T, c *clock) (*Store, *Store) { s := NewMemory(c.now); return s, s },
		"nats": func(t *testing.T, c *clock) (*Store, *Store) {
			ns, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
			if err != nil {
				t.Fatal(err)
			}
			ns.Start()
			t.Cleanup(ns.Shutdown)
			if !ns.ReadyForConnections(20 * time.Second) {
				t.Fatal("the server does not start")
			}
			two := [2]*Store{}
			for i := range two {
				nc, err := nats.Connect("", nats.InProcessServer(ns))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(nc.Close)
				if two[i], err = NewNATS(nc, "nv", 1, c.now); err != nil {
					t.Fatal(err)
				}
			}
			return two[0], two[1]
		},
	}
}

func each(t *testing.T, f func(t *testing.T, c *clock, a, b *Store)) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			c := &clock{}
			a, b := open(t, c)
			f(t, c, a, b)
		})
	}
}

func TestASecretIsGoodOnce(t *testing.T) {
	each(t, func(t *testing.T, _ *clock, a, b *Store) {
		secret, err := a.Put(t.Context(), Token, "value", time.Minute)
		if err != nil || len(secret) < 43 {
			t.Fatal(secret, err)
		}
		var got string
		if err := b.Take(t.Context(), Code, secret, &got); !errors.Is(err, ErrGone) {
			t.Errorf("as another kind: %v", err)
		}
		if err := b.Take(t.Context(), Token, secret, &got); err != nil || got != "value" {
			t.Errorf("the first time: %q %v", got, err)
		}
		if err := a.Take(t.Context(), Token, secret, &got); !errors.Is(err, ErrGone) {
			t.Errorf("the second time: %v", err)
		}
	})
}

func TestOfTwoHundredAtOnceOneGetsIt(t *testing.T) {
	each(t, func(t *testing.T, _ *clock, a, b *Store) {
		secret, err := a.Put(t.Context(), Code, 7, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var won, first atomic.Int64
		var all sync.WaitGroup
		for i := range 200 {
			s := []*Store{a, b}[i%2]
			all.Go(func() {
				var v int
				switch err := s.Take(context.Background(), Code, secret, &v); {
				case err == nil && v == 7:
					won.Add(1)
				case !errors.Is(err, ErrGone):
					t.Errorf("a loser got %v", err)
				}
				ok, err := s.First(context.Background(), "client", "jti", time.Now().Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if ok {
					first.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || first.Load() != 1 {
			t.Errorf("%d got it, %d were first", won.Load(), first.Load())
		}
	})
}

func TestWhatHasExpiredIsGone(t *testing.T) {
	each(t, func(t *testing.T, c *clock, a, _ *Store) {
		secret, err := a.Put(t.Context(), Token, "value", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		c.ahead.Store(int64(time.Minute))
		var got string
		if err := a.Take(t.Context(), Token, secret, &got); !errors.Is(err, ErrGone) || got != "" {
			t.Errorf("after its life: %q %v", got, err)
		}
	})
}

func TestTheSameIDOfAnotherIsAnotherID(t *testing.T) {
	each(t, func(t *testing.T, c *clock, a, _ *Store) {
		for _, who := range []string{"one", "two"} {
			if ok, err := a.First(t.Context(), who, "jti", c.now().Add(time.Minute)); !ok || err != nil {
				t.Errorf("%s: %v %v", who, ok, err)
			}
		}
	})
}

func TestMemoryIsBoundedAndDropsNothingThatIsGood(t *testing.T) {
	c := &clock{}
	s := NewMemory(c.now)
	s.backend.(*memory).limit = 2
	var kept []string
	for range 2 {
		secret, err := s.Put(t.Context(), Token, 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, secret)
	}
	if _, err := s.Put(t.Context(), Token, 1, time.Minute); !errors.Is(err, ErrFull) {
		t.Errorf("a third: %v", err)
	}
	var v int
	for _, secret := range kept {
		if err := s.Take(t.Context(), Token, secret, &v); err != nil {
			t.Error(err)
		}
	}
	c.ahead.Store(int64(2 * time.Minute))
	if _, err := s.Put(t.Context(), Token, 1, time.Minute); err != nil {
		t.Errorf("after the others expired: %v", err)
	}
}

func TestTheStoreKeepsNeitherSecretsNorNumbers(t *testing.T) {
	s := NewMemory(time.Now)
	secret, err := s.Put(t.Context(), Token, map[string]string{"number": "+447700900001"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range s.backend.(*memory).kept[Token] {
		if strings.Contains(key+string(e.value), secret[:20]) || strings.Contains(string(e.value), "7700900001") {
			t.Error("what is kept can be read without the secret")
		}
	}
}

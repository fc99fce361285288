package feed

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestChangesArriveOnceInOrderAndInFull(t *testing.T) {
	outbox := newFakeOutbox()
	outbox.fill(1, 700)
	f := start(t, embeddedConfig(t), outbox, nil)
	f.awaitDelivered(700)
	outbox.fill(701, 2100)
	f.awaitDelivered(2100)
	wantChanges(t, readAll(t, client(t, f.Addr())), "abc", 1, 2100)
}

func TestADurableConsumerGoesOnWhereItStopped(t *testing.T) {
	outbox := newFakeOutbox()
	f := start(t, embeddedConfig(t), outbox, nil)
	outbox.fill(1, 20)
	f.awaitDelivered(20)

	take := func(n int) (ids []string) {
		js := jetStream(t, client(t, f.Addr()))
		c, err := js.CreateOrUpdateConsumer(t.Context(), DefaultStream, jetstream.ConsumerConfig{
			Durable: "fraud", FilterSubject: "simbind.v1.lab.change.>", AckPolicy: jetstream.AckExplicitPolicy,
		})
		if err != nil {
			t.Fatal(err)
		}
		batch, err := c.Fetch(n)
		if err != nil {
			t.Fatal(err)
		}
		for msg := range batch.Messages() {
			ids = append(ids, msg.Headers().Get("Nats-Msg-Id"))
			if err := msg.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return ids
	}
	first, second := take(12), take(8)
	if len(first) != 12 || len(second) != 8 || first[11] != "lab-abc-12" || second[0] != "lab-abc-13" || second[7] != "lab-abc-20" {
		t.Errorf("got %v and %v", first, second)
	}
}

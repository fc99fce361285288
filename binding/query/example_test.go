package query_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/simbind/simbind/binding/query"
)

// The bodies of these functions are the examples of docs/query-protocol.md;
// they are compiled and not run.

func ExampleClient_Verify() {
	_ = func(ctx context.Context) error {
		c, err := query.Dial(ctx, "/run/simbind/simbind.sock")
		if err != nil {
			return err
		}
		defer c.Close()
		answer, err := c.Verify(ctx, "10.45.0.7", "+491700000007")
		if err != nil {
			return err
		}
		if answer.Verdict == "match" {
			fmt.Println("yes, confirmed", answer.AgeMS, "ms ago")
		}
		return nil
	}
}

func ExampleClient_Verify_goRedis() {
	_ = func(ctx context.Context) error {
		c := redis.NewClient(&redis.Options{Network: "unix", Addr: "/run/simbind/simbind.sock"})
		defer c.Close()
		answer, err := c.Do(ctx, "VERIFY", "10.45.0.7", "+491700000007").Slice()
		if err != nil {
			return err
		}
		fmt.Println(answer[0], answer[1])
		return nil
	}
}

func ExampleClient_Watch() {
	_ = func(ctx context.Context, c *query.Client) error {
		changes, err := c.Watch(ctx, "moved", "domain=internet")
		if err != nil {
			return err
		}
		for change := range changes {
			fmt.Println(change.Addr, change.WasIMSI, "→", change.IMSI)
		}
		return c.Err()
	}
}

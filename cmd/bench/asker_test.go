package main

import (
	"slices"
	"testing"
)

func TestRepliesAreFoundHoweverTheyArrive(t *testing.T) {
	for _, tt := range []struct {
		claim  string
		verify bool
		stream string
		want   []bool // good
	}{
		{"VERIFY", true, "*4\r\n$5\r\nmatch\r\n$5\r\nbound\r\n:1500\r\n:8\r\n" +
			"*4\r\n$8\r\nmismatch\r\n$12\r\nother-number\r\n:1\r\n:9\r\n" + "-LOADING wait\r\n" +
			"*4\r\n$5\r\nmatch\r\n$5\r\nbound\r\n:0\r\n:10\r\n", []bool{true, false, false, true}},
		{"GET", false, "$13\r\n+491700000001\r\n$-1\r\n-ERR no\r\n$13\r\n+491700000002\r\n", []bool{true, false, false, true}},
	} {
		for step := 1; step <= len(tt.stream); step++ {
			r := replyReader{verify: tt.verify}
			var got []bool
			for chunk := range slices.Chunk([]byte(tt.stream), step) {
				for len(chunk) > 0 {
					complete, good, rest, err := r.next(chunk)
					if err != nil {
						t.Fatalf("%s in steps of %d: %v", tt.claim, step, err)
					}
					if complete {
						got = append(got, good)
					}
					chunk = rest
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s in steps of %d: %v, want %v", tt.claim, step, got, tt.want)
			}
		}
	}
}

func TestRepliesOfAnotherShapeAreErrors(t *testing.T) {
	for _, tt := range []struct {
		verify bool
		stream string
	}{{true, "$5\r\n"}, {true, ":1\r\n"}, {false, "*4\r\n"}, {false, "\n"}} {
		r := replyReader{verify: tt.verify}
		if _, _, _, err := r.next([]byte(tt.stream)); err == nil {
			t.Errorf("%q was taken", tt.stream)
		}
	}
}

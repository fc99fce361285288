package query

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

func TestRequests(t *testing.T) {
	big := strings.Repeat("x", maxRequest)
	for _, tt := range []struct {
		claim, data string
		args        []string
		rest        string
		complete    bool
		err         error
	}{
		{"an array of bulk strings", "*2\r\n$3\r\nGET\r\n$1\r\na\r\nmore", []string{"GET", "a"}, "more", true, nil},
		{"an empty array asks nothing", "*0\r\nmore", nil, "more", true, nil},
		{"an empty argument is one", "*1\r\n$0\r\n\r\n", []string{""}, "", true, nil},
		{"an argument may hold line ends", "*1\r\n$2\r\n\r\n\r\n", []string{"\r\n"}, "", true, nil},
		{"a line", "PING\r\nmore", []string{"PING"}, "more", true, nil},
		{"a line may end without CR", "PING\nmore", []string{"PING"}, "more", true, nil},
		{"quotes hold blanks together", "PING \"a b\"\r\n", []string{"PING", "a b"}, "", true, nil},
		{"an empty line asks nothing", "\r\nmore", nil, "more", true, nil},
		{"a negative length is refused", "*1\r\n$-2\r\n", nil, "", false, errProtocol},
		{"a negative count is refused", "*-1\r\n", nil, "", false, errProtocol},
		{"a length is decimal", "*1\r\n$0x3\r\nGET\r\n", nil, "", false, errProtocol},
		{"a length has digits", "*\r\n", nil, "", false, errProtocol},
		{"a length does not go on for ever", "*" + strings.Repeat("0", 10), nil, "", false, errProtocol},
		{"a count ends with CR LF", "*1\r$", nil, "", false, errProtocol},
		{"an argument ends with CR LF", "*1\r\n$3\r\nGETxx", nil, "", false, errProtocol},
		{"an element is a bulk string", "*1\r\n:3\r\n", nil, "", false, errProtocol},
		{"quotes are balanced", "PING \"a\r\n", nil, "", false, errProtocol},
		{"Tile38's protocol is not spoken", "$4 PING\r\n", nil, "", false, errProtocol},
		{"1025 arguments are too many", "*1025\r\n", nil, "", false, errTooLarge},
		{"an argument of 64 KiB is too large", "*1\r\n$65536\r\n", nil, "", false, errTooLarge},
		{"so are several that make 64 KiB together", "*2\r\n$40000\r\n" + big[:40000] + "\r\n$30000\r\n", nil, "", false, errTooLarge},
		{"a line of 1 KiB is too long", big[:maxInline], nil, "", false, errTooLarge},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			args, rest, complete, err := nextRequest([]byte(tt.data), nil)
			if complete != tt.complete || err != tt.err {
				t.Fatalf("complete %v, error %v", complete, err)
			}
			if complete && (!slices.Equal(words(args), tt.args) || string(rest) != tt.rest) {
				t.Errorf("got %q, rest %q", args, rest)
			}
		})
	}
}

func TestARequestIsNotReadBeforeItIsThere(t *testing.T) {
	for _, whole := range []string{
		"*3\r\n$6\r\nVERIFY\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n",
		"VERIFY 10.45.0.7 +491700000007\r\n",
	} {
		for i := range whole[:len(whole)-1] {
			_, rest, complete, err := nextRequest([]byte(whole[:i]), nil)
			if complete || err != nil || string(rest) != whole[:i] {
				t.Fatalf("after %q: complete %v, error %v, rest %q", whole[:i], complete, err, rest)
			}
		}
	}
}

func TestTheLargestRequestFits(t *testing.T) {
	var b []byte
	b = redcon.AppendArray(b, maxArgs)
	for i := range maxArgs {
		b = redcon.AppendBulkString(b, fmt.Sprintf("2001:db8:ffff:ffff:ffff:ffff:ffff:%04x", i))
	}
	args, rest, complete, err := nextRequest(b, nil)
	if len(b) > maxRequest || len(args) != maxArgs || len(rest) > 0 || !complete || err != nil {
		t.Errorf("%d bytes: %d arguments, %d left, complete %v, error %v", len(b), len(args), len(rest), complete, err)
	}
}

func words(args [][]byte) (list []string) {
	for _, a := range args {
		list = append(list, string(a))
	}
	return list
}

// FuzzRequest holds the reader against redcon's, which is the model, where that
// does not panic and our bounds do not apply.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("*3\r\n$6\r\nVERIFY\r\n$9\r\n10.45.0.7\r\n$13\r\n+491700000007\r\n*1\r\n$4\r\nPING\r\n"))
	f.Add([]byte("PING \"a b\"\r\n"))
	f.Add([]byte("*1\r\n$-2\r\n"))
	f.Add([]byte("*0\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := bytes.Clone(data)
		args, rest, complete, err := nextRequest(data, nil)
		if !bytes.Equal(data, kept) {
			t.Fatal("the reader wrote into its input")
		}
		if err != nil && complete || len(args) > maxArgs {
			t.Fatalf("complete %v, error %v, %d arguments", complete, err, len(args))
		}
		if !complete {
			if !bytes.Equal(rest, data) {
				t.Fatal("incomplete, and something was taken")
			}
			if err == nil && len(data) >= maxRequest+64 {
				t.Fatalf("%d bytes and still no request: nothing bounds what is kept", len(data))
			}
			return
		}
		if len(data)-len(rest) > maxRequest {
			t.Fatalf("a request of %d bytes", len(data)-len(rest))
		}
		ok, model, _, modelRest, modelErr := redcon.ReadNextCommand(kept, nil)
		if !ok || modelErr != nil || !slices.Equal(words(args), words(model)) || !bytes.Equal(rest, modelRest) {
			t.Fatalf("got %q, rest %q; redcon reads %q, rest %q, %v, %v", args, rest, model, modelRest, ok, modelErr)
		}
	})
}

// FuzzDispatch executes what it is given: every request has one reply, and
// nothing panics.
func FuzzDispatch(f *testing.F) {
	f.Add([]byte("VERIFY 10.45.0.7 +491700000007\r\nPING\r\n"), true)
	f.Add([]byte("HELLO 3\r\nLOOKUP 10.45.0.7 AT 2026-01-31T11:00:00Z\r\nSTATUS\r\nINFO server\r\nCOMMAND\r\nCOMMAND DOCS get\r\n"), true)
	f.Add([]byte("SESSIONS imsi 001010000000007 LIMIT 3 CURSOR 1\r\nNODES\r\nTRACE x LIMIT 1\r\nCONFIG GET save\r\nMGET 10.45.0.7 x\r\n"), false)
	f.Add([]byte("RELEASE 10.45.0.7 DOMAIN internet REASON x\r\nCLIENT ID\r\nSELECT 0\r\nAUTH x\r\nWATCH moved addr=10.0.0.0/8\r\nQUIT\r\n"), true)
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$9\r\n10.45.0.7\r\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, allowed bool) {
		s, c, _ := offline(t, doubtful())
		if !allowed {
			s.SetRoles(Roles{Admin: Principals{UIDs: []uint32{1}}})
		}
		exchange(t, s, c, data)
	})
}

package diameter

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The messages of the vectors came at this moment.
var vectorOrigin = Origin{Arrived: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}

// describe writes a request as one line: what is not zero, in a fixed order.
func describe(r Request, err error) string {
	var f *fault
	if errors.As(err, &f) {
		return fmt.Sprintf("answer %d failed=%x", f.code, f.failed)
	}
	if err != nil {
		return "error " + err.Error()
	}
	ev := r.Event
	words := []string{ev.Kind.String(), "node=" + ev.Node}
	add := func(name string, value any) {
		switch s := fmt.Sprint(value); s {
		case "", "0", "0s", "[]", "false":
		default:
			words = append(words, name+"="+s)
		}
	}
	add("session", ev.Session)
	if !ev.Time.IsZero() {
		add("time", ev.Time.UTC().Format(time.RFC3339))
	}
	add("msisdn", ev.MSISDN.String())
	add("imsi", ev.IMSI.String())
	add("imei", ev.IMEI.String())
	add("apn", ev.APN)
	add("rat", ev.RAT)
	if r.IPCAN >= 0 {
		add("ipcan", fmt.Sprintf("%02d", r.IPCAN))
	}
	add("addrs", ev.Addrs)
	add("complete", ev.Complete)
	add("gone", ev.Gone)
	add("order", ev.Order)
	add("again", ev.Repeated)
	add("state", ev.OriginState)
	add("realm", r.Realm)
	add("serving", r.ServingNetwork)
	add("notes", r.Notes)
	return strings.Join(words, " ")
}

// A vector is a message and what it says.
type vector struct {
	where   string // file and line
	claim   string
	message []byte
	want    string
}

// readVectors reads a file of comments, messages in hexadecimal, and the line
// that describes each. The last line says how many there are, so that a lost
// one is noticed.
func readVectors(t testing.TB, name string) []vector {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []vector
	var v vector
	counted := false
	in := bufio.NewScanner(file)
	for n := 1; in.Scan(); n++ {
		word, rest, _ := strings.Cut(in.Text(), " ")
		switch word {
		case "#":
			v.claim = strings.TrimSpace(v.claim + " " + rest)
		case "message":
			if v.message, err = hex.DecodeString(strings.ReplaceAll(rest, " ", "")); err != nil {
				t.Fatalf("%s:%d: %v", name, n, err)
			}
			v.where = fmt.Sprintf("%s:%d", name, n)
		case "event":
			v.want = rest
			list = append(list, v)
			v = vector{}
		case "count":
			counted = strconv.Itoa(len(list)) == rest
		}
	}
	if !counted {
		t.Fatalf("%s: %d vectors, which is not what its last line says", name, len(list))
	}
	return list
}

func allVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	var list []vector
	for _, name := range files {
		list = append(list, readVectors(t, name)...)
	}
	return list
}

func TestVectors(t *testing.T) {
	for _, v := range allVectors(t) {
		t.Run(v.claim, func(t *testing.T) {
			if got := describe(Decode(v.message, vectorOrigin)); got != v.want {
				t.Errorf("%s\n got %s\nwant %s", v.where, got, v.want)
			}
		})
	}
}

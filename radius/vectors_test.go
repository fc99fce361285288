package radius

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The packets of the vectors came from 192.0.2.10 at this moment.
var vectorOrigin = Origin{From: netip.MustParseAddr("192.0.2.10"), Arrived: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}

// describe writes a request as one line: what is not zero, in a fixed order.
func describe(r Request, err error) string {
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
	add("also", ev.Also)
	add("session", ev.Session)
	if !ev.Time.IsZero() {
		add("time", ev.Time.Format(time.DateTime))
	}
	if ev.Delayed {
		words = append(words, "delay="+ev.Delay.String())
	}
	if ev.Aged {
		words = append(words, "age="+ev.Age.String())
	}
	add("msisdn", ev.MSISDN.String())
	add("imsi", ev.IMSI.String())
	add("imei", ev.IMEI.String())
	add("apn", ev.APN)
	add("rat", ev.RAT)
	add("addrs", ev.Addrs)
	add("complete", ev.Complete)
	add("gone", ev.Gone)
	add("lease", ev.Lease)
	add("contexts", fmt.Sprintf("%b", ev.Contexts))
	add("last", ev.Last)
	add("home", r.HomeNetwork)
	add("serving", r.ServingNetwork)
	add("notes", r.Notes)
	return strings.Join(words, " ")
}

// A vector is a packet and what it says.
type vector struct {
	where  string // file and line
	claim  string
	packet []byte
	want   string
}

// readVectors reads a file of comments, packets in hexadecimal, and the line
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
		case "packet":
			if v.packet, err = hex.DecodeString(strings.ReplaceAll(rest, " ", "")); err != nil {
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

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, name := range files {
		for _, v := range readVectors(t, name) {
			t.Run(v.claim, func(t *testing.T) {
				if got := describe(Decode(v.packet, vectorOrigin)); got != v.want {
					t.Errorf("%s\n got %s\nwant %s", v.where, got, v.want)
				}
			})
		}
	}
}

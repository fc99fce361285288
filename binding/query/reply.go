package query

import (
	"strconv"
	"time"

	"github.com/tidwall/redcon"
)

// A refusal is the code of an error reply.
type refusal uint8

const (
	refusedNot     refusal = iota
	refusedERR             // the request is wrong, or it could not be done
	refusedNOPERM          // the peer's role does not allow it
	refusedLOADING         // the journal is still being loaded
	refusedBADADDR         // not an address of a session
	refusedBADNUM          // not a number
	refusals
)

// name is by switch, not by table, so that the package has no variables.
func (r refusal) String() string {
	return [refusals]string{"none", "ERR", "NOPERM", "LOADING", "BADADDR", "BADNUM"}[r]
}

// A reply collects the bytes of replies in the peer's version of the protocol.
type reply struct {
	b     []byte
	resp3 bool
	// refused is the code of the last error, for whoever counts.
	refused refusal
}

func (w *reply) array(n int)     { w.b = redcon.AppendArray(w.b, n) }
func (w *reply) bulk(s string)   { w.b = redcon.AppendBulkString(w.b, s) }
func (w *reply) int(n int64)     { w.b = redcon.AppendInt(w.b, n) }
func (w *reply) simple(s string) { w.b = redcon.AppendString(w.b, s) }
func (w *reply) header(c byte, n int) {
	w.b = append(strconv.AppendInt(append(w.b, c), int64(n), 10), '\r', '\n')
}

// uint writes an integer of the protocol, which has 63 bits and a sign.
func (w *reply) uint(n uint64) { w.int(int64(n &^ (1 << 63))) }

func (w *reply) null() {
	if w.resp3 {
		w.b = append(w.b, "_\r\n"...)
		return
	}
	w.b = redcon.AppendNull(w.b)
}

// object starts a map of n fields: in RESP2 a list of names and values.
func (w *reply) object(n int) {
	if w.resp3 {
		w.header('%', n)
		return
	}
	w.array(2 * n)
}

// push starts a message that answers no request.
func (w *reply) push(n int) {
	if w.resp3 {
		w.header('>', n)
		return
	}
	w.array(n)
}

func (w *reply) bool(yes bool) {
	switch {
	case !w.resp3 && yes:
		w.int(1)
	case !w.resp3:
		w.int(0)
	case yes:
		w.b = append(w.b, "#t\r\n"...)
	default:
		w.b = append(w.b, "#f\r\n"...)
	}
}

// verbatim writes a longer text for people.
func (w *reply) verbatim(s string) {
	if !w.resp3 {
		w.bulk(s)
		return
	}
	w.header('=', len(s)+4)
	w.b = append(append(append(w.b, "txt:"...), s...), '\r', '\n')
}

const timeLayout = "2006-01-02T15:04:05.000Z"

// time writes RFC 3339, UTC, milliseconds; "" for the zero time.
func (w *reply) time(t time.Time) {
	if t.IsZero() {
		w.bulk("")
		return
	}
	var buf [40]byte
	w.b = redcon.AppendBulk(w.b, t.UTC().AppendFormat(buf[:0], timeLayout))
}

func (w *reply) words(list []string) {
	w.array(len(list))
	for _, s := range list {
		w.bulk(s)
	}
}

// refuse writes an error: its code and what to do.
func (w *reply) refuse(code refusal, text string) {
	w.b = redcon.AppendError(w.b, code.String()+" "+text)
	w.refused = code
}

// Fields of a map.

func (w *reply) textField(name, v string)           { w.bulk(name); w.bulk(v) }
func (w *reply) timeField(name string, t time.Time) { w.bulk(name); w.time(t) }
func (w *reply) uintField(name string, n uint64)    { w.bulk(name); w.uint(n) }
func (w *reply) intField(name string, n int)        { w.bulk(name); w.int(int64(n)) }
func (w *reply) boolField(name string, yes bool)    { w.bulk(name); w.bool(yes) }
func (w *reply) wordsField(name string, l []string) { w.bulk(name); w.words(l) }

package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/simbind/simbind/binding"
)

// What RFC 3339 can say: the years 1 to 9999.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// Version is the version of the payload, "v".
const Version = 1

// An encoder writes changes as JSON (docs/schema/change.v1.json). It is by
// hand because encoding/json costs several times as much (see the benchmark).
type encoder struct {
	site, incarnation string
	privacy           string
	at, eventTime     second
}

// appendChange appends the payload of c.
func (e *encoder) appendChange(b []byte, c *binding.Change) []byte {
	b = append(b, `{"v":1,"site":"`...)
	b = append(b, e.site...) // one token: nothing to escape
	b = append(b, `","incarnation":"`...)
	b = append(b, e.incarnation...)
	b = append(b, `","seq":`...)
	b = strconv.AppendUint(b, c.Seq, 10)
	b = append(b, `,"kind":"`...)
	b = append(b, c.Kind.String()...)
	b = append(b, '"')
	b = e.at.appendTime(b, `,"at":"`, c.At)
	b = e.eventTime.appendTime(b, `,"event_time":"`, c.EventTime)
	b = appendText(b, `,"domain":`, c.Domain)
	b = appendAddress(b, c.Addr)
	b = e.appendSubscriber(b, ',', c.Now)
	if was := e.appendSubscriber(nil, '{', c.Was); len(was) > 0 {
		b = append(b, `,"was":`...)
		b = append(append(b, was...), '}')
	}
	b = appendText(b, `,"apn":`, c.APN)
	b = appendText(b, `,"rat":`, c.RAT.String())
	b = appendText(b, `,"node":`, c.Node)
	b = appendSources(b, c.Sources)
	b = appendState(b, c)
	b = appendText(b, `,"why":`, c.Why)
	return append(b, '}')
}

// A second is the last one that was written, because most changes fall into
// the same one as the change before, and the calendar costs more than the rest
// of a payload.
type second struct {
	unix int64
	text []byte // "2026-03-01T10:00:00.", empty at first
}

// appendTime writes nothing for a time that RFC 3339 cannot say.
func (s *second) appendTime(b []byte, key string, t time.Time) []byte {
	unix := t.Unix()
	if t.IsZero() || unix < firstSecond || unix > lastSecond {
		return b
	}
	if unix != s.unix || len(s.text) == 0 {
		s.unix, s.text = unix, t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05.")
	}
	ms := t.Nanosecond() / 1e6
	b = append(append(b, key...), s.text...)
	return append(b, '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z', '"')
}

func appendAddress(b []byte, a binding.Address) []byte {
	if !a.Prefix.IsValid() {
		return b
	}
	b = append(b, `,"addr":"`...)
	if a.Prefix.IsSingleIP() {
		b = a.Prefix.Addr().AppendTo(b)
	} else {
		b = a.Prefix.AppendTo(b)
	}
	b = append(b, '"')
	if a.PortLow|a.PortHigh != 0 {
		b = strconv.AppendUint(append(b, `,"ports":[`...), uint64(a.PortLow), 10)
		b = append(strconv.AppendUint(append(b, ','), uint64(a.PortHigh), 10), ']')
	}
	return b
}

// appendSubscriber writes the known identities, the first one after sep.
func (e *encoder) appendSubscriber(b []byte, sep byte, s binding.Subscriber) []byte {
	if s.MSISDN != 0 && e.privacy != None {
		b = append(append(b, sep), `"msisdn":"`...)
		b = append(appendNumber(b, e.privacy, s.MSISDN), '"')
		sep = ','
	}
	if s.IMSI != 0 {
		b = append(append(b, sep), `"imsi":"`...)
		b = append(append(b, s.IMSI.String()...), '"')
		sep = ','
	}
	if s.IMEI != 0 {
		b = append(append(b, sep), `"imei":"`...)
		b = append(append(b, s.IMEI.String()...), '"')
	}
	return b
}

// appendNumber writes a number as the privacy mode wants it.
func appendNumber(b []byte, privacy string, m binding.MSISDN) []byte {
	switch privacy {
	case Clear:
		return m.AppendE164(b)
	case SHA256:
		var buf [16]byte
		sum := sha256.Sum256(m.AppendE164(buf[:0]))
		return hex.AppendEncode(b, sum[:])
	}
	return b
}

func appendSources(b []byte, set binding.SourceSet) []byte {
	b = append(b, `,"sources":[`...)
	first := true
	for s := binding.SourceGx; s <= binding.SourceFeed; s++ {
		if !set.Has(s) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(append(b, '"'), s.String()...), '"')
	}
	return append(b, ']')
}

// appendState writes nothing for what can be relied on, and where no holder is
// named.
func appendState(b []byte, c *binding.Change) []byte {
	if c.State == binding.StateReleased || c.State == binding.StateBound && c.Reason == binding.ReasonBound {
		return b
	}
	b = append(append(b, `,"state":"`...), c.State.String()...)
	b = append(append(b, `","reason":"`...), c.Reason.String()...)
	return append(b, '"')
}

// appendText writes nothing for an empty text.
func appendText(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(append(b, key...), s)
}

const hexDigits = "0123456789abcdef"

// appendString quotes s (RFC 8259 clause 7). What is not UTF-8 becomes U+FFFD,
// so that any bytes from the network make valid JSON.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b = utf8.AppendRune(b, r)
		i += size
	}
	return append(b, '"')
}

func appendASCII(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c < ' ' || c == 0x7F:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
	return append(b, c)
}

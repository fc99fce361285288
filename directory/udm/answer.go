package udm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/directory"
)

// ErrMalformed reports an answer that cannot be read, or says what cannot be.
var ErrMalformed = errors.New("malformed answer")

// An answer is what came back, in full.
type answer struct {
	status     int
	retryAfter string
	body       []byte
}

// Causes of TS 29.503 clause 6.1.7.3 and TS 29.500 clause 5.2.7.2 by which a
// subscriber, or its number, is known not to be there.
const (
	causeNoUser = "USER_NOT_FOUND"
	causeNoData = "DATA_NOT_FOUND"
)

// decode reads the answer about a subscriber. Nothing of its body is kept.
func (a answer) decode(imsi binding.IMSI) (binding.MSISDN, outcome, error) {
	switch a.status {
	case http.StatusOK:
		return decodeResult(a.body, imsi)
	case http.StatusNotFound:
		// Without a cause it is the resource that is not there, not the user.
		switch causeOf(a.body) {
		case causeNoUser:
			return 0, outcomeUnknown, fmt.Errorf("the UDM does not know this SIM: %w", directory.ErrUnknown)
		case causeNoData:
			return 0, outcomeNoNumber, fmt.Errorf("the UDM has no number for this SIM: %w", directory.ErrUnknown)
		}
	}
	return 0, outcomeRefused, fmt.Errorf("the UDM answers with status %d", a.status)
}

// decodeResult reads an IdTranslationResult (TS 29.503 clause 6.1.6.2).
func decodeResult(body []byte, imsi binding.IMSI) (binding.MSISDN, outcome, error) {
	said, err := readResult(body)
	switch {
	case err != nil:
		return 0, outcomeMalformed, err
	case said.supi != "imsi-"+imsi.String():
		return 0, outcomeMalformed, fmt.Errorf("%w: it is about another SUPI", ErrMalformed)
	}
	var msisdn binding.MSISDN
	for _, gpsi := range said.gpsis {
		digits, is := strings.CutPrefix(gpsi, "msisdn-")
		if !is {
			continue // an external identifier
		}
		one, err := binding.ParseMSISDN(digits)
		if err != nil {
			return 0, outcomeMalformed, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if msisdn != 0 && one != msisdn {
			return 0, outcomeSeveral, fmt.Errorf("the UDM has several numbers for this SIM: %w", directory.ErrUnknown)
		}
		msisdn = one
	}
	if msisdn == 0 {
		return 0, outcomeNoNumber, fmt.Errorf("the UDM has no number for this SIM: %w", directory.ErrUnknown)
	}
	return msisdn, outcomeNumber, nil
}

// translation is what an IdTranslationResult says.
type translation struct {
	supi  string
	gpsis []string
}

// maxIdentities bounds additionalGpsis.
const maxIdentities = 64

// readResult reads an object in which no member comes twice: encoding/json
// would take the last, and names in any case.
func readResult(body []byte) (translation, error) {
	var said translation
	seen := map[string]bool{}
	err := eachMember(body, func(name string, value json.RawMessage) (err error) {
		if seen[name] {
			return fmt.Errorf("%q comes twice", name)
		}
		switch name {
		case "supi":
			err = json.Unmarshal(value, &said.supi)
		case "gpsi":
			var gpsi string
			err = json.Unmarshal(value, &gpsi)
			said.gpsis = append(said.gpsis, gpsi)
		case "additionalGpsis":
			var more []string
			if err = json.Unmarshal(value, &more); len(more) > maxIdentities {
				return fmt.Errorf("more than %d identities", maxIdentities)
			}
			said.gpsis = append(said.gpsis, more...)
		default:
			return nil
		}
		seen[name] = true
		return err
	})
	if err != nil {
		return translation{}, err
	}
	return said, nil
}

// eachMember calls take for the members of the object that a body is. Errors
// wrap ErrMalformed, and hold nothing of the values.
func eachMember(body []byte, take func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	for d.More() {
		name, err := d.Token()
		text, isText := name.(string)
		var value json.RawMessage
		if err != nil || !isText || d.Decode(&value) != nil {
			return fmt.Errorf("%w: not a JSON object", ErrMalformed)
		}
		if err := take(text, value); err != nil {
			return fmt.Errorf("%w: a member %.40q cannot be read", ErrMalformed, text)
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than a JSON object", ErrMalformed)
	}
	return nil
}

// causeOf is the cause of a ProblemDetails (TS 29.571 clause 5.2.4.1), or
// nothing.
func causeOf(body []byte) (cause string) {
	err := eachMember(body, func(name string, value json.RawMessage) error {
		if name == "cause" {
			return json.Unmarshal(value, &cause)
		}
		return nil
	})
	if err != nil {
		return ""
	}
	return cause
}

// A Throttled is the error of a UDM that wants to be left alone for a while
// (RFC 6585 section 4, RFC 9110 section 15.6.4). Until then the client asks
// nothing.
type Throttled struct{ After time.Duration }

func (t *Throttled) Error() string {
	return fmt.Sprintf("the UDM is busy, ask again in %v", t.After.Round(time.Second))
}

// RetryAfter is how long to wait.
func (t *Throttled) RetryAfter() time.Duration { return t.After }

const (
	// pauseWithout is how long a UDM is left alone that does not say for how
	// long, pauseMost how long at most.
	pauseWithout = time.Second
	pauseMost    = 5 * time.Minute
)

// throttle leaves the UDM alone for as long as it says.
func (c *Client) throttle(a answer) error {
	now := c.cfg.Now()
	pause := pauseWithout
	if seconds, err := strconv.ParseUint(a.retryAfter, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(a.retryAfter); err == nil {
		pause = at.Sub(now)
	}
	pause = min(max(pause, 0), pauseMost)
	c.quiet.Store(now.Add(pause).UnixNano())
	return &Throttled{After: pause}
}

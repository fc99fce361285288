package sh

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
	"github.com/simbind/simbind/directory"
)

// Values of Experimental-Result-Code (TS 29.329 clause 6.2).
const (
	errorUserUnknown    = 5001
	errorNoSubscription = 5107
)

// ErrMalformed reports an answer that cannot be read, or says what cannot be.
var ErrMalformed = errors.New("malformed Sh message")

// decodeUserData reads a User-Data-Answer (TS 29.329 clause 6.1.2) about a
// subscriber. what is how it is counted. Nothing of the message is kept.
func decodeUserData(m diameter.Message, imsi binding.IMSI) (msisdn binding.MSISDN, what outcome, err error) {
	if err := decodeResult(m); err != nil {
		switch {
		case errors.Is(err, directory.ErrUnknown):
			return 0, outcomeUnknown, err
		case errors.Is(err, ErrMalformed):
			return 0, outcomeMalformed, err
		}
		return 0, outcomeRefused, err
	}
	var data []byte
	if err := m.Each(func(a diameter.AVP) error { return takeData(&data, a) }); err != nil {
		return 0, outcomeMalformed, malformed(err)
	}
	said, err := readData(data)
	switch {
	case err != nil:
		return 0, outcomeMalformed, err
	case said.imsi != 0 && said.imsi != imsi:
		return 0, outcomeMalformed, fmt.Errorf("%w: it is about another IMSI", ErrMalformed)
	case said.several:
		return 0, outcomeSeveral, fmt.Errorf("the HSS has several numbers for this SIM: %w", directory.ErrUnknown)
	case said.msisdn == 0:
		return 0, outcomeNoNumber, fmt.Errorf("the HSS has no number for this SIM: %w", directory.ErrUnknown)
	}
	return said.msisdn, outcomeNumber, nil
}

// decodeResult reads the result of an answer: nil if it is success,
// ErrUnknown of the directory if there is no such user. Result-Code 5001 is
// another thing than Experimental-Result-Code 5001.
func decodeResult(m diameter.Message) error {
	result, err := m.Result()
	switch {
	case err != nil:
		return malformed(err)
	case result == (diameter.Result{}):
		return fmt.Errorf("%w: no result", ErrMalformed)
	case result.Success():
		return nil
	case result == (diameter.Result{Vendor: vendor, Code: errorUserUnknown}):
		return fmt.Errorf("the HSS does not know this SIM: %w", directory.ErrUnknown)
	case result.Vendor != 0:
		return fmt.Errorf("the HSS answers with Experimental-Result-Code %d", result.Code)
	}
	return fmt.Errorf("the HSS answers with Result-Code %d", result.Code)
}

// takeData takes User-Data; a second one must be the same.
func takeData(data *[]byte, a diameter.AVP) error {
	if a.Vendor != vendor || a.Code != avpUserData {
		return nil
	}
	if *data != nil && !bytes.Equal(*data, a.Data) {
		return errors.New("User-Data comes twice")
	}
	*data = a.Data
	return nil
}

func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

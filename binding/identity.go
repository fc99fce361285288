package binding

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
)

// ErrIdentity reports digits that cannot be the identity they are said to be.
var ErrIdentity = errors.New("not a valid identity")

// An MSISDN is a subscriber's number: its E.164 digits, country code first,
// without '+' (3GPP TS 23.003 clause 3.3). Zero means that none is known.
type MSISDN uint64

// ParseMSISDN reads 5 to 15 digits that may follow one '+'. It never guesses a
// country: digits that start with 0 are refused.
func ParseMSISDN(s string) (MSISDN, error) {
	if len(s) > 0 && s[0] == '+' {
		s = s[1:]
	}
	if len(s) < 5 || len(s) > 15 || s[0] == '0' {
		return 0, fmt.Errorf("MSISDN of %d characters: %w", len(s), ErrIdentity)
	}
	var n uint64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, fmt.Errorf("MSISDN with a non-digit: %w", ErrIdentity)
		}
		n = n*10 + uint64(d)
	}
	return MSISDN(n), nil
}

// AppendE164 appends the number as "+" and its digits, or nothing if it is
// unknown.
func (m MSISDN) AppendE164(b []byte) []byte {
	if m == 0 {
		return b
	}
	return strconv.AppendUint(append(b, '+'), uint64(m), 10)
}

// String is the number in clear, "+491700000001", or "" if unknown. Logs go
// through LogValue, which masks it.
func (m MSISDN) String() string { return string(m.AppendE164(nil)) }

// Masked keeps the first five and the last two digits.
func (m MSISDN) Masked() string { return mask(m.String(), 6, 2) }

// LogValue masks the number, so that a log line never carries it by accident.
func (m MSISDN) LogValue() slog.Value { return slog.StringValue(m.Masked()) }

// An IMSI identifies a SIM (3GPP TS 23.003 clause 2.2). Its digits are nibbles,
// most significant first, filled up with 0xF, so that leading zeros survive
// and it fits one word. Zero means that none is known.
type IMSI uint64

// ParseIMSI reads 6 to 15 digits.
func ParseIMSI(s string) (IMSI, error) {
	w, err := packNibbles(s, 6, 15)
	if err != nil {
		return 0, fmt.Errorf("IMSI: %w", err)
	}
	return IMSI(w), nil
}

// String is the IMSI in clear, or "" if unknown.
func (i IMSI) String() string { return unpackNibbles(uint64(i)) }

// Masked keeps MCC and MNC (the first five digits) and the last two.
func (i IMSI) Masked() string { return mask(i.String(), 5, 2) }

// LogValue masks the subscriber part.
func (i IMSI) LogValue() slog.Value { return slog.StringValue(i.Masked()) }

// An IMEI identifies a device: 14 to 16 digits, IMEI or IMEISV (3GPP TS 23.003
// clause 6.2), as nibbles like an [IMSI]. Zero means that none is known.
type IMEI uint64

// ParseIMEI reads 14 to 16 digits.
func ParseIMEI(s string) (IMEI, error) {
	w, err := packNibbles(s, 14, 16)
	if err != nil {
		return 0, fmt.Errorf("IMEI: %w", err)
	}
	return IMEI(w), nil
}

// String is the IMEI in clear, or "" if unknown.
func (i IMEI) String() string { return unpackNibbles(uint64(i)) }

// Masked keeps the type allocation code (the first eight digits).
func (i IMEI) Masked() string { return mask(i.String(), 8, 0) }

// LogValue masks the serial number.
func (i IMEI) LogValue() slog.Value { return slog.StringValue(i.Masked()) }

// Device is the IMEI without check digit or software version, by which two
// values for one device are compared. Zero means unknown.
func (i IMEI) Device() uint64 { return uint64(i) >> 8 }

func packNibbles(s string, low, high int) (uint64, error) {
	if len(s) < low || len(s) > high {
		return 0, fmt.Errorf("%d characters: %w", len(s), ErrIdentity)
	}
	var w uint64
	for i := range 16 {
		d := byte(0xF)
		if i < len(s) {
			if d = s[i] - '0'; d > 9 {
				return 0, fmt.Errorf("a non-digit: %w", ErrIdentity)
			}
		}
		w = w<<4 | uint64(d)
	}
	return w, nil
}

func unpackNibbles(w uint64) string {
	if w == 0 {
		return ""
	}
	b := make([]byte, 0, 16)
	for shift := 60; shift >= 0; shift -= 4 {
		d := byte(w>>shift) & 0xF
		if d > 9 {
			break
		}
		b = append(b, '0'+d)
	}
	return string(b)
}

func mask(s string, head, tail int) string {
	if len(s) <= head+tail {
		if s == "" {
			return ""
		}
		return "***"
	}
	b := []byte(s)
	for i := head; i < len(b)-tail; i++ {
		b[i] = '*'
	}
	return string(b)
}

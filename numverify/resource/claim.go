package resource

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

// A claim is the number that somebody says the SIM has: the hash of +E164.
type claim [sha256.Size]byte

var (
	numberForm = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)
	hashForm   = regexp.MustCompile(`^[a-fA-F0-9]{64}$`)
)

// maxBody is far more than a number needs.
const maxBody = 4 << 10

// readClaim reads the body of POST /verify: one of phoneNumber and
// hashedPhoneNumber, and nothing else.
func readClaim(w http.ResponseWriter, r *http.Request) (claim, *fault) {
	bad := func(why string) (claim, *fault) {
		return claim{}, &fault{http.StatusBadRequest, invalidArgument, why}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return bad("Content-Type must be application/json.")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return bad("The body is too large or was cut off.")
	}
	members, err := object(text)
	if err != nil {
		return bad("The body must be a JSON object: " + err.Error() + ".")
	}
	number, hasNumber := members["phoneNumber"]
	hash, hasHash := members["hashedPhoneNumber"]
	switch {
	case hasNumber == hasHash || len(members) != 1:
		return bad("The body must have exactly one of phoneNumber and hashedPhoneNumber, and nothing else.")
	case hasNumber && !numberForm.MatchString(number):
		return bad("phoneNumber must be in E.164 form with a leading +.")
	case hasHash && !hashForm.MatchString(hash):
		return bad("hashedPhoneNumber must be the SHA-256 of +E164 in 64 hexadecimal digits.")
	case hasNumber:
		return sha256.Sum256([]byte(number)), nil
	}
	var c claim
	if _, err := hex.Decode(c[:], []byte(strings.ToLower(hash))); err != nil {
		return bad("hashedPhoneNumber cannot be read.")
	}
	return c, nil
}

// object reads a JSON object of strings. A member that is there twice is an
// error, as readers differ in which one they take.
func object(text []byte) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it does not begin with {")
	}
	members := map[string]string{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errors.New("it cannot be read")
		}
		key, _ := name.(string)
		if _, twice := members[key]; twice {
			return nil, errors.New("it has a member twice")
		}
		value, err := dec.Token()
		if err != nil {
			return nil, errors.New("it cannot be read")
		}
		member, ok := value.(string)
		if !ok {
			return nil, errors.New("its members are texts")
		}
		members[key] = member
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("it does not end with }")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return members, nil
}

// is compares in constant time.
func (c claim) is(msisdn string) bool {
	sum := sha256.Sum256([]byte(msisdn))
	return msisdn != "" && subtle.ConstantTimeCompare(sum[:], c[:]) == 1
}

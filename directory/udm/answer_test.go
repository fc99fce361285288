package udm

import (
	"errors"
	"fmt"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/directory"
)

// An answer is never a number that it does not state for this SUPI, and keeps
// nothing of the body.
func FuzzDecodeResult(f *testing.F) {
	const imsi = "001010000000001"
	who, err := binding.ParseIMSI(imsi)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{
		`{"supi":"imsi-` + imsi + `","gpsi":"msisdn-491700000001"}`,
		`{"supi":"imsi-` + imsi + `","additionalGpsis":["msisdn-491700000001","msisdn-491700000002"]}`,
		`{"supi":"imsi-` + imsi + `"}`, `{"supi":"imsi-` + imsi + `","gpsi":null,"gpsi":"msisdn-491700000001"}`,
		`{"cause":"USER_NOT_FOUND"}`, `[]`, `{"supi":{}}`, "{\"supi\":\"imsi-\\u0030", `{} {}`,
		`{"access_token":"a","token_type":"Bearer","expires_in":3600}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		msisdn, what, err := decodeResult(body, who)
		if (err == nil) != (msisdn != 0) || (err == nil) != (what == outcomeNumber) {
			t.Fatalf("%v, %v, %v", msisdn, what, err)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, directory.ErrUnknown) {
			t.Fatal(err)
		}
		cause := causeOf(body)
		token, _, tokenErr := decodeToken(body)
		if (tokenErr == nil) != (token != "") {
			t.Fatalf("%q, %v", token, tokenErr)
		}
		before := fmt.Sprint(msisdn, err, cause, token, tokenErr)
		for i := range body {
			body[i] = ^body[i]
		}
		if after := fmt.Sprint(msisdn, err, cause, token, tokenErr); after != before {
			t.Fatalf("%s changed to %s with the buffer", before, after)
		}
	})
}

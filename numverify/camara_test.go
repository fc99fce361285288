package numverify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/simbind/simbind/numverify"
)

func hashOf(number string) string {
	sum := sha256.Sum256([]byte(number))
	return hex.EncodeToString(sum[:])
}

// wantError checks the body that every error has.
func wantError(t *testing.T, status int, body object, wantStatus int, code string) {
	t.Helper()
	message, _ := body["message"].(string)
	if status != wantStatus || body["status"] != float64(wantStatus) || body["code"] != code || message == "" || len(body) != 3 {
		t.Errorf("%d %v, want %d %s", status, body, wantStatus, code)
	}
}

const correlator = "b4333c46-49c0-4f62-80d7-f0ef930f1c46"

// TestCAMARAPhoneNumberVerify is number-verification-phoneNumberVerify.feature,
// scenario by scenario.
func TestCAMARAPhoneNumberVerify(t *testing.T) {
	w := newWorld(t)
	send := func(t *testing.T, token, body string) (int, object) {
		t.Helper()
		status, header, answer := w.call(http.MethodPost, "/verify", token, body, "x-correlator", correlator)
		if header.Get("x-correlator") != correlator {
			t.Errorf("x-correlator %q", header.Get("x-correlator"))
		}
		if header.Get("Content-Type") != "application/json" {
			t.Errorf("Content-Type %q", header.Get("Content-Type"))
		}
		conforms(t, "/verify", status, answer)
		return status, answer
	}
	want := func(t *testing.T, body string, verified bool) {
		t.Helper()
		if status, answer := send(t, w.token(phone, verify), body); status != 200 || answer["devicePhoneNumberVerified"] != verified || len(answer) != 1 {
			t.Errorf("%d %v, want %v", status, answer, verified)
		}
	}
	refused := func(t *testing.T, token, body string, wantStatus int, code string) {
		t.Helper()
		status, answer := send(t, token, body)
		wantError(t, status, answer, wantStatus, code)
	}
	good := `{"phoneNumber":"` + number + `"}`
	t.Run("phone_number_verify_01_generic_success_scenario", func(t *testing.T) { want(t, good, true) })
	t.Run("phone_number_verify.02_validate_phone_number_success_true", func(t *testing.T) { want(t, good, true) })
	t.Run("phone_number_verify.03_validate_phone_number_success_false", func(t *testing.T) {
		want(t, `{"phoneNumber":"+447700900002"}`, false)
	})
	t.Run("phone_number_verify.04_validate_hashed_phone_number_success_true", func(t *testing.T) {
		want(t, `{"hashedPhoneNumber":"`+hashOf(number)+`"}`, true)
	})
	t.Run("phone_number_verify.05_validate_hashed_phone_number_success_false", func(t *testing.T) {
		want(t, `{"hashedPhoneNumber":"`+hashOf("+447700900002")+`"}`, false)
	})
	t.Run("phone_number_verify_400.1_no_request_body", func(t *testing.T) {
		refused(t, w.token(phone, verify), "", 400, "INVALID_ARGUMENT")
	})
	t.Run("phone_number_verify_400.2_empty_request_body", func(t *testing.T) {
		refused(t, w.token(phone, verify), "{}", 400, "INVALID_ARGUMENT")
	})
	t.Run("phone_number_verify_400.3_invalid_request_non_existing_property", func(t *testing.T) {
		refused(t, w.token(phone, verify), `{"additional_property":"foo_value"}`, 400, "INVALID_ARGUMENT")
	})
	t.Run("phone_number_verify_400.4_both_phone_number_and_hashed_in_request", func(t *testing.T) {
		refused(t, w.token(phone, verify), `{"phoneNumber":"`+number+`","hashedPhoneNumber":"`+hashOf(number)+`"}`, 400, "INVALID_ARGUMENT")
	})
	t.Run("phone_number_verify_401.1_no_authorization_header", func(t *testing.T) { refused(t, "", good, 401, "UNAUTHENTICATED") })
	t.Run("phone_number_verify_401.2_expired_access_token", func(t *testing.T) {
		short := newWorldOn(t, w.network, func(c *numverify.Config) { c.TokenLife = 1 })
		token := short.token(phone, verify)
		status, answer := short.verify(token, number)
		wantError(t, status, answer, 401, "UNAUTHENTICATED")
	})
	t.Run("phone_number_verify_401.3_invalid_access_token", func(t *testing.T) { refused(t, "invalid", good, 401, "UNAUTHENTICATED") })
	t.Run("phone_number_verify_403.1_invalid_token_permissions", func(t *testing.T) {
		refused(t, w.token(phone, share), good, 403, "PERMISSION_DENIED")
	})
	t.Run("phone_number_verify_403.2_not_authenticated_using_network_or_sim_based_authentication", func(t *testing.T) {
		// No token of this server comes from anything but the network. It is
		// answered when the network does not vouch for the token any more.
		token := w.token(other, verify)
		w.network.bind(other, "+447700900003", "001010000000003")
		refused(t, token, `{"phoneNumber":"+447700900002"}`, 403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK")
	})
}

// TestCAMARAPhoneNumberShare is number-verification-phoneNumberShare.feature,
// scenario by scenario.
func TestCAMARAPhoneNumberShare(t *testing.T) {
	w := newWorld(t)
	send := func(t *testing.T, token string) (int, object) {
		t.Helper()
		status, header, answer := w.call(http.MethodGet, "/device-phone-number", token, "", "x-correlator", correlator)
		if header.Get("x-correlator") != correlator || header.Get("Content-Type") != "application/json" {
			t.Errorf("headers %v", header)
		}
		conforms(t, "/device-phone-number", status, answer)
		return status, answer
	}
	success := func(t *testing.T) {
		t.Helper()
		if status, answer := send(t, w.token(phone, share)); status != 200 || answer["devicePhoneNumber"] != number || len(answer) != 1 {
			t.Errorf("%d %v", status, answer)
		}
	}
	t.Run("phone_number_share_01_generic_success_scenario", success)
	t.Run("phone_number_share_02_success_scenario", success)
	refused := func(t *testing.T, token string, wantStatus int, code string) {
		t.Helper()
		status, answer := send(t, token)
		wantError(t, status, answer, wantStatus, code)
	}
	t.Run("phone_number_verify_401.1_no_authorization_header", func(t *testing.T) { refused(t, "", 401, "UNAUTHENTICATED") })
	t.Run("phone_number_verify_401.2_expired_access_token", func(t *testing.T) {
		short := newWorldOn(t, w.network, func(c *numverify.Config) { c.TokenLife = 1 })
		status, _, answer := short.call(http.MethodGet, "/device-phone-number", short.token(phone, share), "")
		wantError(t, status, answer, 401, "UNAUTHENTICATED")
	})
	t.Run("phone_number_verify_401.3_invalid_access_token", func(t *testing.T) { refused(t, "invalid", 401, "UNAUTHENTICATED") })
	t.Run("phoneNumberShare_403.1_invalid_token_permissions", func(t *testing.T) {
		refused(t, w.token(phone, verify), 403, "PERMISSION_DENIED")
	})
	t.Run("phoneNumberShare_403.2_not_authenticated_using_network_or_sim_based_authentication", func(t *testing.T) {
		token := w.token(other, share)
		w.network.bind(other, "+447700900003", "001010000000003")
		refused(t, token, 403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK")
	})
}

func TestBodiesAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"a number without +":         `{"phoneNumber":"447700900001"}`,
		"a number with spaces":       `{"phoneNumber":"+44 7700 900001"}`,
		"a number that is no text":   `{"phoneNumber":447700900001}`,
		"a null":                     `{"phoneNumber":null}`,
		"a hash of 63 digits":        `{"hashedPhoneNumber":"` + hashOf(number)[1:] + `"}`,
		"a property too many":        `{"phoneNumber":"` + number + `","x":"y"}`,
		"a property twice":           `{"phoneNumber":"+447700900002","phoneNumber":"` + number + `"}`,
		"another case of a property": `{"phonenumber":"` + number + `"}`,
		"a list":                     `["` + number + `"]`,
		"something behind it":        `{"phoneNumber":"` + number + `"}{}`,
		"no JSON":                    `phoneNumber=` + number,
	} {
		status, _, answer := w.call(http.MethodPost, "/verify", w.token(phone, verify), body)
		if t.Run(name, func(t *testing.T) { wantError(t, status, answer, 400, "INVALID_ARGUMENT") }); t.Failed() {
			t.Log(body)
		}
	}
	upper := []byte(hashOf(number))
	for i, c := range upper {
		if c >= 'a' {
			upper[i] = c - 32
		}
	}
	status, _, answer := w.call(http.MethodPost, "/verify", w.token(phone, verify), `{"hashedPhoneNumber":"`+string(upper)+`"}`)
	if status != 200 || answer["devicePhoneNumberVerified"] != true {
		t.Errorf("a hash in capitals: %d %v", status, answer)
	}
}

func TestCorrelator(t *testing.T) {
	w := newWorld(t)
	status, header, answer := w.call(http.MethodPost, "/verify", "", "{}", "x-correlator", "not allowed!")
	wantError(t, status, answer, 400, "INVALID_ARGUMENT")
	if header.Get("x-correlator") != "" {
		t.Error("what does not have the form came back")
	}
	if _, header, _ = w.call(http.MethodPost, "/verify", "", "{}"); header.Get("x-correlator") != "" {
		t.Error("without one, one came back")
	}
}

func TestATokenIsGoodForOneCall(t *testing.T) {
	w := newWorld(t)
	token := w.token(phone, verify)
	if status, answer := w.verify(token, number); status != 200 || answer["devicePhoneNumberVerified"] != true {
		t.Fatalf("the first call: %d %v", status, answer)
	}
	status, answer := w.verify(token, number)
	wantError(t, status, answer, 401, "UNAUTHENTICATED")
	// A call that fails uses it up as well.
	token = w.token(phone, verify)
	w.verify(token, "nonsense")
	status, answer = w.verify(token, number)
	wantError(t, status, answer, 401, "UNAUTHENTICATED")
}

func TestTheAliasOfWorkInProgress(t *testing.T) {
	w := newWorld(t)
	r, err := http.NewRequest(http.MethodGet, w.issuer+"/number-verification/vwip/device-phone-number", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token(phone, share))
	if status, _, answer := w.do(r); status != 200 || answer["devicePhoneNumber"] != number {
		t.Errorf("%d %v", status, answer)
	}
}

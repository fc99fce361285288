package diameter

import (
	"testing"
)

func observed(flags byte, command, application uint32, avps ...[]byte) []byte {
	b := appendHeader(nil, flags, command, application, 7, 9)
	for _, a := range avps {
		b = append(b, a...)
	}
	return endMessage(b, 0)
}

func TestWhatMayBeTheBeginningOfAMessage(t *testing.T) {
	session, host := appendAVP(nil, avpSessionID, "s;1"), appendAVP(nil, avpOriginHost, "pgw1.lab")
	nested := appendAVP(nil, avpSessionID, observed(flagRequest, cmdCreditControl, appGx, session))
	reserved := appendAVP(nil, avpOriginRealm, "lab1")
	reserved[4] |= 1
	version := observed(flagRequest, cmdCreditControl, appGx, session)
	version[0] = 2
	for _, c := range []struct {
		claim            string
		message          []byte
		plausible, whole bool
	}{
		{"a request of Gx", observed(flagRequest, cmdCreditControl, appGx, session, host), true, true},
		{"an answer of Gx", observed(flagProxiable, cmdCreditControl, appGx, session), true, true},
		{"a watchdog", observed(flagRequest, cmdWatchdog, appBase, host), true, true},
		{"what another message is in", observed(flagRequest, cmdCreditControl, appGx, nested), true, true},
		{"another version", version, false, false},
		{"a reserved bit", observed(flagRequest|1, cmdCreditControl, appGx, session), false, true},
		{"an error that is a request", observed(flagRequest|flagError, cmdCreditControl, appGx, session), false, true},
		{"another application", observed(flagRequest, cmdCreditControl, 4, session), false, true},
		{"no AVP", observed(flagRequest, cmdWatchdog, appBase), true, false},
		{"Session-Id not in its place", observed(flagRequest, cmdCreditControl, appGx, host, session), true, false},
		{"an AVP with a reserved bit", observed(flagRequest, cmdCreditControl, appGx, session, reserved), true, false},
		{"octets after the last AVP", observed(flagRequest, cmdCreditControl, appGx, session, []byte{1, 2, 3, 4}), true, false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			if p, w := Plausible(c.message), Whole(c.message); p != c.plausible || w != c.whole {
				t.Errorf("plausible %v, whole %v", p, w)
			}
		})
	}
}

func TestAPeerTellsItsState(t *testing.T) {
	host, state := appendAVP(nil, avpOriginHost, "pgw1.lab"), appendUint32(nil, avpOriginStateID, 5)
	message := observed(flagRequest, cmdWatchdog, appBase, host, state)
	got, err := DecodePeerState(message)
	clear(message)
	if want := (PeerState{Host: "pgw1.lab", OriginState: 5}); got != want || err != nil {
		t.Errorf("%+v %v", got, err)
	}
	got, err = DecodePeerState(observed(0, cmdWatchdog, appBase, host, appendUint32(nil, avpResultCode, 2001)))
	if want := (PeerState{Host: "pgw1.lab", Success: true}); got != want || err != nil {
		t.Errorf("an answer without a state: %+v %v", got, err)
	}
	if _, err := DecodePeerState(observed(flagRequest, cmdWatchdog, appBase, state)); err == nil {
		t.Error("nobody has a state")
	}
}

func TestAnAnswerNamesItsRequest(t *testing.T) {
	message := observed(0, cmdCreditControl, appGx, appendAVP(nil, avpSessionID, "s;1"), appendUint32(nil, avpResultCode, 2001),
		appendUint32(nil, avpRequestType, 1), appendUint32(nil, avpRequestNumber, 0))
	a, err := DecodeAnswer(message)
	h, _ := DecodeHeader(message)
	clear(message)
	if want := (Answer{HopByHop: 7, EndToEnd: 9, Result: 2001, Session: "s;1", Order: 1}); a != want || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if h.Request || !h.CreditControl() || h.TellsState() || h.HopByHop != 7 || h.EndToEnd != 9 {
		t.Errorf("%+v", h)
	}
}

package shtest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/fiorix/go-diameter/v4/diam"
	"github.com/fiorix/go-diameter/v4/diam/dict"

	"github.com/simbind/simbind/diameter/diametertest"
)

// Sh is the application (TS 29.329 clause 5.3).
const Sh = 16777217

// Command codes (TS 29.329 clause 6.1).
const (
	UserData  = 306
	Subscribe = 308
	Notify    = 309
)

// AVP codes of 3GPP (TS 29.329 clause 6.3, TS 29.229 clause 6.3.2).
const (
	avpPublicIdentity = 601
	avpUserIdentity   = 700
	avpUserData       = 702
	avpDataReference  = 703
)

// The AVPs that go-diameter is to know, of the IETF and of 3GPP.
const (
	ietfAVPs = `User-Name 1 UTF8String, Auth-Application-Id 258 Unsigned32, Vendor-Specific-Application-Id 260 Grouped, Session-Id 263 UTF8String,
Origin-Host 264 DiameterIdentity, Vendor-Id 266 Unsigned32, Result-Code 268 Unsigned32, Auth-Session-State 277 Enumerated, Origin-State-Id 278 Unsigned32,
Error-Message 281 UTF8String, Route-Record 282 DiameterIdentity, Destination-Realm 283 DiameterIdentity, Destination-Host 293 DiameterIdentity,
Origin-Realm 296 DiameterIdentity, Experimental-Result 297 Grouped, Experimental-Result-Code 298 Unsigned32`
	shAVPs = `Public-Identity 601 UTF8String, User-Identity 700 Grouped, MSISDN 701 OctetString, User-Data 702 OctetString, Data-Reference 703 Enumerated,
Subs-Req-Type 705 Enumerated, Identity-Set 708 Enumerated`
)

// newDictionary makes the dictionary of Sh, which go-diameter does not have.
func newDictionary() (*dict.Parser, error) {
	var text strings.Builder
	text.WriteString(`<?xml version="1.0" encoding="UTF-8"?><diameter><application id="0" name="Base">`)
	write := func(avps, vendor string) {
		for avp := range strings.SplitSeq(avps, ",") {
			words := strings.Fields(avp)
			fmt.Fprintf(&text, `<avp name="%s" code="%s" must="M" may="P"%s><data type="%s"/></avp>`, words[0], words[1], vendor, words[2])
		}
	}
	write(ietfAVPs, "")
	const rule = `<rule avp="Session-Id" required="true" max="1"/>`
	fmt.Fprintf(&text, `</application><application id="%d" type="auth" name="Sh"><vendor id="10415" name="TGPP"/>`, Sh)
	for code, name := range map[int]string{UserData: "User-Data", Subscribe: "Subscribe-Notifications", Notify: "Push-Notification"} {
		fmt.Fprintf(&text, `<command code="%[1]d" short="%[2]s" name="%[3]s"><request>%[4]s</request><answer>%[4]s</answer></command>`, code, name[:1]+"N", name, rule)
	}
	write(shAVPs, ` vendor-id="10415"`)
	text.WriteString(`</application></diameter>`)
	parser, err := dict.NewParser()
	if err != nil {
		return nil, err
	}
	return parser, parser.Load(strings.NewReader(text.String()))
}

// parse reads a message of Sh, of which package diametertest has read the
// header only.
func (h *HSS) parse(m diametertest.Message) (diametertest.Message, error) {
	parsed, err := diam.ReadMessage(bytes.NewReader(m.Raw), h.dictionary)
	if err != nil {
		return diametertest.Message{}, fmt.Errorf("%w: %w", diametertest.ErrUnreadable, err)
	}
	return diametertest.Message{Message: parsed, Raw: m.Raw}, nil
}

package sh

import (
	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/diameter"
)

// application is Sh (TS 29.329 clause 5.3).
const application = 16777217

// Command codes (TS 29.329 clause 6.1).
const (
	cmdUserData  = 306
	cmdSubscribe = 308
	cmdNotify    = 309
)

// AVP codes.
const (
	avpUserName       = 1   // RFC 6733 section 8.14
	avpPublicIdentity = 601 // TS 29.229 clause 6.3.2
	avpUserIdentity   = 700 // TS 29.329 clause 6.3.1
	avpUserData       = 702 // TS 29.329 clause 6.3.3
	avpDataReference  = 703 // TS 29.329 clause 6.3.4
	avpSubscribe      = 705 // Subs-Req-Type, TS 29.329 clause 6.3.6
	avpIdentitySet    = 708 // TS 29.329 clause 6.3.10
)

const vendor = diameter.Vendor3GPP

// appendUserData appends what a User-Data-Request says of its own (TS 29.329
// clause 6.1.1).
func (c Config) appendUserData(b []byte, imsi binding.IMSI) []byte {
	b = c.appendSubscriber(b, imsi)
	b = diameter.AppendUint32(b, vendor, avpDataReference, MSISDN)
	return c.appendUserName(b, imsi)
}

// appendSubscription appends what a Subscribe-Notifications-Request says of its
// own (TS 29.329 clause 6.1.5).
func (c Config) appendSubscription(b []byte, imsi binding.IMSI) []byte {
	b = c.appendSubscriber(b, imsi)
	b = diameter.AppendUint32(b, vendor, avpSubscribe, 0)
	b = diameter.AppendUint32(b, vendor, avpDataReference, c.Subscribe)
	if c.Subscribe == IMSPublicIdentity {
		b = diameter.AppendUint32(b, vendor, avpIdentitySet, 0) // ALL_IDENTITIES
	}
	return c.appendUserName(b, imsi)
}

func (c Config) appendSubscriber(b []byte, imsi binding.IMSI) []byte {
	var group []byte
	if c.Identity == FormPublic {
		group = diameter.AppendAVP(nil, vendor, avpPublicIdentity, "sip:"+c.privateIdentity(imsi))
	}
	return diameter.AppendAVP(b, vendor, avpUserIdentity, group)
}

func (c Config) appendUserName(b []byte, imsi binding.IMSI) []byte {
	if c.Identity == FormIMSI {
		return diameter.AppendAVP(b, 0, avpUserName, imsi.String())
	}
	return diameter.AppendAVP(b, 0, avpUserName, c.privateIdentity(imsi))
}

// privateIdentity is the Private User Identity of a SIM (TS 23.003 clause
// 13.3): an MNC of two digits gets a zero before it.
func (c Config) privateIdentity(imsi binding.IMSI) string {
	digits := imsi.String()
	mcc, mnc := digits[:3], digits[3:3+c.MNCDigits]
	if len(mnc) == 2 {
		mnc = "0" + mnc
	}
	return digits + "@ims.mnc" + mnc + ".mcc" + mcc + ".3gppnetwork.org"
}

package diameter

import "bytes"

// AVP codes of the IETF.
const (
	avpFramedIP           = 8   // RFC 7155 section 4.4.10.5.1
	avpCalledStationID    = 30  // RFC 7155 section 4.2.5
	avpEventTimestamp     = 55  // RFC 6733 section 8.21
	avpFramedIPv6Prefix   = 97  // RFC 7155 section 4.4.10.5.6
	avpDelegatedPrefix    = 123 // RFC 4818 section 3
	avpHostIPAddress      = 257 // RFC 6733 section 5.3.5
	avpAuthApplicationID  = 258 // RFC 6733 section 6.8
	avpAcctApplicationID  = 259 // RFC 6733 section 6.9
	avpVendorSpecificApp  = 260 // RFC 6733 section 6.11
	avpSessionID          = 263 // RFC 6733 section 8.8
	avpOriginHost         = 264 // RFC 6733 section 6.3
	avpVendorID           = 266 // RFC 6733 section 5.3.3
	avpSupportedVendor    = 265 // RFC 6733 section 5.3.6
	avpFirmwareRevision   = 267 // RFC 6733 section 5.3.4
	avpResultCode         = 268 // RFC 6733 section 7.1
	avpProductName        = 269 // RFC 6733 section 5.3.7
	avpDisconnectCause    = 273 // RFC 6733 section 5.4.3
	avpAuthSessionState   = 277 // RFC 6733 section 8.11
	avpOriginStateID      = 278 // RFC 6733 section 8.16
	avpFailedAVP          = 279 // RFC 6733 section 7.5
	avpErrorMessage       = 281 // RFC 6733 section 7.3
	avpRouteRecord        = 282 // RFC 6733 section 6.7.1
	avpProxyInfo          = 284 // RFC 6733 section 6.7.2
	avpDestinationRealm   = 283 // RFC 6733 section 6.6
	avpDestinationHost    = 293 // RFC 6733 section 6.5
	avpOriginRealm        = 296 // RFC 6733 section 6.4
	avpExperimentalResult = 297 // RFC 6733 section 7.6
	avpExperimentalCode   = 298 // RFC 6733 section 7.7
	avpInbandSecurity     = 299 // RFC 6733 section 6.10
	avpRequestNumber      = 415 // RFC 8506 section 8.2
	avpRequestType        = 416 // RFC 8506 section 8.3
	avpSubscriptionID     = 443 // RFC 8506 section 8.46
	avpSubscriptionData   = 444 // RFC 8506 section 8.48
	avpSubscriptionType   = 450 // RFC 8506 section 8.47
	avpEquipment          = 458 // RFC 8506 section 8.49
	avpEquipmentType      = 459 // RFC 8506 section 8.50
	avpEquipmentValue     = 460 // RFC 8506 section 8.51
	avpEquipmentExtension = 653 // RFC 8506 section 8.52
	avpEquipmentIMEISV    = 654 // RFC 8506 section 8.53
	avpEquipmentIMEI      = 658 // RFC 8506 section 8.57
)

// AVP codes of 3GPP.
const (
	vendor3GPP      = 10415
	tgppMCCMNC      = 18   // 3GPP-SGSN-MCC-MNC, TS 29.061 clause 16.4.7.2
	tgppIMEISV      = 20   // 3GPP-IMEISV, TS 29.061 clause 16.4.7.2
	tgppRATType     = 21   // 3GPP-RAT-Type, TS 29.061 clause 16.4.7.2
	tgppTrigger     = 1006 // Event-Trigger, TS 29.212 clause 5.3.7
	tgppIPCANType   = 1027 // IP-CAN-Type, TS 29.212 clause 5.3.27
	tgppRATTypeEnum = 1032 // RAT-Type, TS 29.212 clause 5.3.31
)

// Values of Subscription-Id-Type (RFC 8506 section 8.47) and of Event-Trigger.
const (
	subscriptionE164 = 0
	subscriptionIMSI = 1
	subscriptionNAI  = 3
	equipmentIMEISV  = 0
	triggerAllocate  = 18 // UE_IP_ADDRESS_ALLOCATE
	triggerRelease   = 19 // UE_IP_ADDRESS_RELEASE
	// noStateMaintained is the Auth-Session-State of requests without sessions.
	noStateMaintained = 1
)

const (
	// maxAddresses bounds what one request may name.
	maxAddresses = 32
	// maxSession bounds a Session-Id, in octets; that of a PCEF has its host and
	// two numbers (RFC 6733 section 8.8).
	maxSession = 1024
)

// A number is an integer AVP.
type number struct {
	value uint32
	ok    bool
}

// set takes a value; a second one must be the same.
func (n *number) set(a avp) error {
	v, err := a.uint32()
	if err != nil {
		return err
	}
	if n.ok && n.value != v {
		return faultRepeated(a)
	}
	n.value, n.ok = v, true
	return nil
}

// An addressField is an AVP that names an address, and its value.
type addressField struct {
	code  uint32
	value []byte
}

// fields are the AVPs of one Credit-Control-Request that say something here,
// as slices of the frame.
type fields struct {
	requestType, requestNumber, originState, eventTime, ratType, ipCAN number

	session, originHost, originRealm []byte
	called, rat, network             []byte
	e164, imsi, nai, imei            []byte // replaced when they conflict
	extended                         []byte // the IMEI of an extension, likewise
	allocate, release                bool
	proxied                          bool // there is Proxy-Info

	addresses [maxAddresses]addressField
	addressed int
	notes     Notes
}

// collect walks the AVPs of a request. Its error is a *fault; what was
// collected by then stays, for the answer.
func (f *fields) collect(m frame) error {
	*f = fields{}
	w := newWalk()
	return w.each(m.avps(), 0, func(a avp) error {
		if a.vendor == vendor3GPP {
			return f.tgpp(a)
		}
		if a.vendor != 0 {
			return nil
		}
		switch a.code {
		case avpSubscriptionID:
			return f.subscription(&w, a)
		case avpEquipment:
			return f.equipment(&w, a)
		case avpEquipmentExtension:
			return f.extension(&w, a)
		}
		return f.base(a)
	})
}

func (f *fields) base(a avp) error {
	switch a.code {
	case avpSessionID:
		return bounded(&f.session, a, maxSession)
	case avpOriginHost:
		return bounded(&f.originHost, a, maxIdentity)
	case avpOriginRealm:
		return bounded(&f.originRealm, a, maxIdentity)
	case avpCalledStationID:
		return bounded(&f.called, a, maxIdentity)
	case avpRequestType:
		return f.requestType.set(a)
	case avpRequestNumber:
		return f.requestNumber.set(a)
	case avpOriginStateID:
		return f.originState.set(a)
	case avpEventTimestamp:
		return f.eventTime.set(a)
	case avpProxyInfo:
		f.proxied = true
	case avpFramedIP, avpFramedIPv6Prefix, avpDelegatedPrefix:
		return f.address(a)
	}
	return nil
}

func (f *fields) tgpp(a avp) error {
	switch a.code {
	case tgppTrigger:
		trigger, err := a.uint32()
		f.allocate = f.allocate || trigger == triggerAllocate
		f.release = f.release || trigger == triggerRelease
		return err
	case tgppIPCANType:
		return f.ipCAN.set(a)
	case tgppRATTypeEnum:
		return f.ratType.set(a)
	case tgppRATType:
		if len(a.data) != 1 {
			return faultLength(a.raw)
		}
		return once(&f.rat, a)
	case tgppMCCMNC:
		return once(&f.network, a)
	case tgppIMEISV:
		f.identity(&f.imei, a)
	}
	return nil
}

// subscription reads Subscription-Id: a type and, before or after it, the
// data.
func (f *fields) subscription(w *walk, group avp) error {
	var kind number
	var data avp
	err := w.each(group.data, 1, func(a avp) error {
		switch {
		case a.is(0, avpSubscriptionType):
			return kind.set(a)
		case a.is(0, avpSubscriptionData):
			return only(&data, a)
		}
		return nil
	})
	if err != nil || !kind.ok || len(data.data) == 0 {
		return err
	}
	switch kind.value {
	case subscriptionE164:
		f.identity(&f.e164, data)
	case subscriptionIMSI:
		f.identity(&f.imsi, data)
	case subscriptionNAI:
		f.identity(&f.nai, data)
	}
	return nil
}

// equipment reads User-Equipment-Info, of which an IMEI or IMEISV is kept.
func (f *fields) equipment(w *walk, group avp) error {
	var kind number
	var data avp
	err := w.each(group.data, 1, func(a avp) error {
		switch {
		case a.is(0, avpEquipmentType):
			return kind.set(a)
		case a.is(0, avpEquipmentValue):
			return only(&data, a)
		}
		return nil
	})
	if err == nil && kind.ok && kind.value == equipmentIMEISV && len(data.data) > 0 {
		f.identity(&f.imei, data)
	}
	return err
}

// extension reads User-Equipment-Info-Extension, which later releases of TS
// 29.212 have too, and which may hold an IMEI without its software version.
func (f *fields) extension(w *walk, group avp) error {
	return w.each(group.data, 1, func(a avp) error {
		if (a.is(0, avpEquipmentIMEISV) || a.is(0, avpEquipmentIMEI)) && len(a.data) > 0 {
			f.identity(&f.extended, a)
		}
		return nil
	})
}

// address keeps an AVP that names an address. What is no address is found out
// later; here only a form that cannot be is refused.
func (f *fields) address(a avp) error {
	switch a.code {
	case avpFramedIP:
		if len(a.data) != 4 {
			return faultLength(a.raw)
		}
	default:
		if len(a.data) < 2 || len(a.data) > 18 {
			return faultLength(a.raw)
		}
		if a.data[1] > 128 {
			return faultValue(a)
		}
	}
	if f.addressed == len(f.addresses) {
		f.notes |= NoteTooManyAddresses
		return nil
	}
	f.addresses[f.addressed] = addressField{a.code, a.data}
	f.addressed++
	return nil
}

// once takes a value; an empty one counts as absent, a second one must be the
// same.
func once(dst *[]byte, a avp) error {
	if len(*dst) > 0 && len(a.data) > 0 && !bytes.Equal(*dst, a.data) {
		return faultRepeated(a)
	}
	if len(a.data) > 0 {
		*dst = a.data
	}
	return nil
}

// bounded is once for a value that is kept for long: what waits for its commit
// must not grow with what a peer puts into a name.
func bounded(dst *[]byte, a avp, limit int) error {
	if len(a.data) > limit {
		return faultValue(a)
	}
	return once(dst, a)
}

// only takes the AVP of a group that may come once.
func only(dst *avp, a avp) error {
	if dst.raw != nil && !bytes.Equal(dst.data, a.data) {
		return faultRepeated(a)
	}
	*dst = a
	return nil
}

// identity takes an identity. Two that differ are none: the address that the
// request names then belongs to nobody we know, which is safe.
func (f *fields) identity(dst *[]byte, a avp) {
	if len(*dst) > 0 && !bytes.Equal(*dst, a.data) {
		f.notes |= NoteConflict
		*dst = conflicting
		return
	}
	*dst = a.data
}

// conflicting stands for an identity that a request gives twice, differently.
// It parses as nothing.
var conflicting = []byte("?")

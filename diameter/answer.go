package diameter

// An Answer is what a Credit-Control-Answer says.
type Answer struct {
	// HopByHop pairs the answer with its request on one connection, EndToEnd
	// from end to end.
	HopByHop, EndToEnd uint32
	// Result is Result-Code or, if there is none, Experimental-Result-Code;
	// zero if there is neither.
	Result uint32
	// Session is the Session-Id, Order that of CC-Request-Number as in
	// [binding.Event]; an answer repeats both (RFC 8506 section 3.2).
	Session string
	Order   uint32
}

// Success reports that the request was carried out (RFC 6733 section 7.1.2).
func (a Answer) Success() bool { return a.Result/1000 == 2 }

// DecodeAnswer reads a Credit-Control-Answer of Gx; octets after the message
// are ignored. Errors wrap [ErrMalformed].
func DecodeAnswer(message []byte) (Answer, error) {
	m, err := newFrame(message)
	if err != nil {
		return Answer{}, err
	}
	if m.request() || m.command() != cmdCreditControl || m.application() != appGx {
		return Answer{}, errCommand
	}
	result, err := resultOf(m)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{HopByHop: m.hopByHop(), EndToEnd: m.endToEnd(), Result: result}
	if err := a.subject(m); err != nil {
		return Answer{}, err
	}
	return a, nil
}

// subject reads which request is answered.
func (a *Answer) subject(m frame) error {
	var session []byte
	var requestNumber number
	w := newWalk()
	err := w.each(m.avps(), 0, func(each avp) error {
		switch {
		case each.is(0, avpSessionID):
			return once(&session, each)
		case each.is(0, avpRequestNumber):
			return requestNumber.set(each)
		}
		return nil
	})
	a.Session, a.Order = string(session), requestNumber.order()
	return err
}

// resultOf finds the result in any answer.
func resultOf(m frame) (uint32, error) {
	var result, experimental number
	w := newWalk()
	err := w.each(m.avps(), 0, func(a avp) error {
		switch {
		case a.is(0, avpResultCode):
			return result.set(a)
		case a.is(0, avpExperimentalResult):
			return w.each(a.data, 1, func(a avp) error {
				if a.is(0, avpExperimentalCode) {
					return experimental.set(a)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil || result.ok {
		return result.value, err
	}
	return experimental.value, nil
}

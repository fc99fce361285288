package diameter

import "errors"

// appendAnswerHeader begins the answer to m: the P bit stays, the E bit is set
// for a protocol error (RFC 6733 section 6.2).
func appendAnswerHeader(b []byte, m frame, result resultCode) []byte {
	flags := m.flags() & flagProxiable
	if result/1000 == 3 {
		flags |= flagError
	}
	return appendHeader(b, flags, m.command(), m.application(), m.hopByHop(), m.endToEnd())
}

// appendAnswer appends a Credit-Control-Answer to m (TS 29.212 clause 5.6.3),
// or the answer that a request which is none gets (RFC 6733 section 7.2). f
// has what is known of the request. at is where the value of Result-Code
// stands, counted from the start of the answer.
func (s *Server) appendAnswer(b []byte, m frame, f *fields, result resultCode, failed []byte) (answer []byte, at int) {
	start := len(b)
	b = appendAnswerHeader(b, m, result)
	if len(f.session) > 0 {
		b = appendAVP(b, avpSessionID, f.session)
	}
	b = appendUint32(b, avpResultCode, uint32(result))
	at = len(b) - start - 4
	b = append(b, s.identity...)
	if m.application() == appGx && m.command() == cmdCreditControl {
		b = appendUint32(b, avpAuthApplicationID, appGx)
		if f.requestType.ok {
			b = appendUint32(b, avpRequestType, f.requestType.value)
		}
		if f.requestNumber.ok {
			b = appendUint32(b, avpRequestNumber, f.requestNumber.value)
		}
	}
	b = append(b, s.state...)
	if len(failed) > 0 {
		b = appendAVP(b, avpFailedAVP, failed)
	}
	if f.proxied {
		b = appendProxyInfo(b, m)
	}
	return endMessage(b, start), at
}

// appendProxyInfo appends every Proxy-Info of a request, unchanged and in
// order (RFC 6733 section 6.2).
func appendProxyInfo(b []byte, m frame) []byte {
	w := newWalk()
	_ = w.each(m.avps(), 0, func(a avp) error {
		if a.is(0, avpProxyInfo) {
			b = appendPadding(append(b, a.raw...))
		}
		return nil
	})
	return b
}

// refuse answers a request that cannot be taken.
func (c *conn) refuse(m frame, err error) {
	result, failed := resultUnableToComply, []byte(nil)
	var f *fault
	if errors.As(err, &f) {
		result, failed = f.code, f.failed
	}
	c.answer(m, result, failed)
}

// answer queues an answer at once.
func (c *conn) answer(m frame, result resultCode, failed []byte) {
	buf, ok := c.out.lock()
	if ok {
		buf, _ = c.server.appendAnswer(buf, m, &c.fields, result, failed)
	}
	c.out.unlock(buf)
	if c.peer != nil {
		c.peer.counts.answered(result)
	}
}

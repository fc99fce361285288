package radius

// A reply is an answer that still has the request's authenticator, and is to
// be signed.
type reply struct {
	packet  packet
	client  *client
	message bool // a Message-Authenticator comes first
}

// reply writes the answer of t to b, which has room for it: Accounting-Response
// to either kind of request (RFC 2866 section 4.2, RFC 5997 section 4.2).
func (t *transaction) reply(b []byte) reply {
	b = append(b, codeAccountingResponse, t.key.id, 0, 0)
	b = append(b, t.key.auth[:]...)
	message := t.key.code == codeStatusServer
	if message {
		b = append(b, attrMessageAuthenticator, authenticatorLen+2)
		b = append(b, make([]byte, authenticatorLen)...)
	}
	p := packet(append(b, t.attrs...))
	p.setLength()
	return reply{packet: p, client: t.client, message: message}
}

// sign sets the authenticators; the packet holds the request's.
func (r *reply) sign(d *digester) {
	copy(d.request[:], r.packet.authenticator())
	if r.message {
		d.signMessage(r.packet, headerLen+2, d.request[:], r.client.key)
	}
	d.signResponse(r.packet, &d.request, r.client.Secret)
}

package radius

import (
	"crypto/md5"
	"crypto/subtle"
	"hash"
)

const authenticatorLen = md5.Size

// An authenticator is the 16-octet field of the header.
type authenticator [authenticatorLen]byte

// A hmacKey is a secret prepared for HMAC-MD5 (RFC 2104).
type hmacKey struct{ inner, outer [md5.BlockSize]byte }

func newHMACKey(secret []byte) *hmacKey {
	var k hmacKey
	if len(secret) > md5.BlockSize {
		sum := md5.Sum(secret)
		secret = sum[:]
	}
	copy(k.inner[:], secret)
	copy(k.outer[:], secret)
	for i := range k.inner {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return &k
}

// A digester computes authenticators without allocating. It is owned by one
// goroutine.
type digester struct {
	hash    hash.Hash
	zero    authenticator
	sum     authenticator
	request authenticator
}

func newDigester() *digester { return &digester{hash: md5.New()} }

// digest is MD5(Code + Identifier + Length + auth + Attributes + secret).
func (d *digester) digest(p packet, auth, secret []byte) *authenticator {
	d.hash.Reset()
	d.hash.Write(p[:4])
	d.hash.Write(auth)
	d.hash.Write(p.attributes())
	d.hash.Write(secret)
	d.hash.Sum(d.sum[:0])
	return &d.sum
}

// checkRequest verifies the Request Authenticator of an Accounting-Request
// (RFC 2866 section 3) in constant time.
func (d *digester) checkRequest(p packet, secret []byte) bool {
	sum := d.digest(p, d.zero[:], secret)
	return subtle.ConstantTimeCompare(sum[:], p.authenticator()) == 1
}

// signRequest sets the Request Authenticator of an Accounting-Request.
func (d *digester) signRequest(p packet, secret []byte) {
	copy(p.authenticator(), d.digest(p, d.zero[:], secret)[:])
}

// checkResponse verifies the Response Authenticator against the request's.
func (d *digester) checkResponse(p packet, request *authenticator, secret []byte) bool {
	sum := d.digest(p, request[:], secret)
	return subtle.ConstantTimeCompare(sum[:], p.authenticator()) == 1
}

// signResponse sets the Response Authenticator.
func (d *digester) signResponse(p packet, request *authenticator, secret []byte) {
	copy(p.authenticator(), d.digest(p, request[:], secret)[:])
}

// message computes the Message-Authenticator whose value is at offset at of p,
// with auth in the place of the header's authenticator (RFC 3579 section 3.2;
// zeros for an Accounting-Request, as its own is computed afterwards).
func (d *digester) message(p packet, at int, auth []byte, key *hmacKey) *authenticator {
	d.hash.Reset()
	d.hash.Write(key.inner[:])
	d.hash.Write(p[:4])
	d.hash.Write(auth)
	d.hash.Write(p[headerLen:at])
	d.hash.Write(d.zero[:])
	d.hash.Write(p[at+authenticatorLen:])
	d.hash.Sum(d.sum[:0])
	d.hash.Reset()
	d.hash.Write(key.outer[:])
	d.hash.Write(d.sum[:])
	d.hash.Sum(d.sum[:0])
	return &d.sum
}

// checkMessage verifies the Message-Authenticator at offset at in constant
// time.
func (d *digester) checkMessage(p packet, at int, auth []byte, key *hmacKey) bool {
	sum := d.message(p, at, auth, key)
	return subtle.ConstantTimeCompare(sum[:], p[at:at+authenticatorLen]) == 1
}

// signMessage sets the Message-Authenticator at offset at.
func (d *digester) signMessage(p packet, at int, auth []byte, key *hmacKey) {
	copy(p[at:], d.message(p, at, auth, key)[:])
}

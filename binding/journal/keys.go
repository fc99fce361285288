package journal

import (
	"encoding/binary"

	"github.com/simbind/simbind/binding"
)

// The kinds of keys, each a key's first byte. Load visits them in the order
// that binding.Journal promises; the order of the bytes means nothing.
const (
	kindAPN        = 'a' // APN id, 2 bytes
	kindBlock      = 'b' // domain id, 2 bytes, and an address as in rows
	kindDomain     = 'd' // domain id, 2 bytes
	kindForgotten  = 'f' // table, 1 byte, and slot, 2 bytes
	kindMemo       = 'e' // session key, 16 bytes
	kindMeta       = 'm' // one of the meta keys
	kindNode       = 'n' // node id, 2 bytes
	kindOutbox     = 'o' // number of the group's first change, 8 bytes
	kindSession    = 's' // session key, 16 bytes
	kindSubscriber = 'u' // 'm' and MSISDN or 'i' and IMSI, 8 bytes
)

// The meta keys.
var (
	keyIncarnation = []byte{kindMeta, 'i'}
	keyState       = []byte{kindMeta, 's'}
	keyTrimmed     = []byte{kindMeta, 't'}
)

func appendSessionKey(b []byte, key *binding.SessionKey) []byte {
	return append(append(b, kindSession), key[:]...)
}

func appendMemoKey(b []byte, key *binding.SessionKey) []byte {
	return append(append(b, kindMemo), key[:]...)
}

func appendIDKey(b []byte, kind byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, kind), id)
}

func appendSubscriberKey(b []byte, s *binding.Subscriber) []byte {
	if s.MSISDN != 0 {
		return binary.BigEndian.AppendUint64(append(b, kindSubscriber, 'm'), uint64(s.MSISDN))
	}
	return binary.BigEndian.AppendUint64(append(b, kindSubscriber, 'i'), uint64(s.IMSI))
}

func appendBlockKey(b []byte, domain uint16, addr *binding.Address) []byte {
	return appendAddress(appendIDKey(b, kindBlock, domain), addr)
}

func appendForgottenKey(b []byte, r *binding.ForgottenRow) []byte {
	return binary.BigEndian.AppendUint16(append(b, kindForgotten, r.Table), r.Slot)
}

func appendOutboxKey(b []byte, first uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kindOutbox), first)
}

// outboxFirst reads the number out of an outbox key.
func outboxFirst(key []byte) (uint64, error) {
	if len(key) != 9 || key[0] != kindOutbox {
		return 0, errMalformed
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

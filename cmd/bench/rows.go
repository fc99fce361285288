package main

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/clock"
)

// imei is the device of every session of the traffic.
const imei = "3569380300000000"

// identity is who session n is of.
func (p population) identity(n uint64) binding.Subscriber {
	imsi, err1 := binding.ParseIMSI(fmt.Sprintf("%015d", p.imsi+n))
	device, err2 := binding.ParseIMEI(imei)
	if err1 != nil || err2 != nil {
		panic("bench: a population whose identities are none")
	}
	return binding.Subscriber{MSISDN: binding.MSISDN(p.msisdn + n), IMSI: imsi, IMEI: device}
}

// sessionKey is the key that the registry gives session n when it hears of it
// by RADIUS; a test holds the two together.
func (p population) sessionKey(n uint64) (key binding.SessionKey) {
	id := fmt.Sprintf("%016d", p.id+n)
	node := client + "\x00" + nas // of the client that brings it
	sum := sha256.Sum256([]byte(string(rune(binding.SourceRADIUS)) + string([]byte{byte(len(node)), 0}) + node + id))
	copy(key[:], sum[:])
	key[7] |= 1
	return key
}

// residentRow is what the journal holds of resident n after its Start.
func residentRow(n uint64, begun time.Time) binding.SessionRow {
	p := residents()
	who, ms := p.identity(n), begun.UnixMilli()
	at := clock.Bound{Our: ms}
	return binding.SessionRow{
		Key: p.sessionKey(n), Node: 1, BegunFrom: at.Pack(), BegunBy: at.Pack(), HeldAt: at.Pack(), Last: at.Pack(), Seen: ms, Lease: 86_400, Contexts: 1 << 5,
		MSISDN: who.MSISDN, IMSI: who.IMSI, IMEI: who.IMEI, APN: 1, RAT: 6,
		Holds: []binding.HoldRow{{
			Domain: 1, Addr: binding.Address{Prefix: netip.PrefixFrom(p.addr(n), 32)}, Since: ms, Version: n + 1,
		}},
	}
}

func subscriberRow(n uint64, at time.Time) binding.SubscriberRow {
	return binding.SubscriberRow{Subscriber: residents().identity(n), SIMSince: at.Unix(), DeviceSince: at.Unix()}
}

package journal

import (
	"encoding/binary"

	"github.com/simbind/simbind/binding"
)

// Times are varints of milliseconds; what lies close to another time is stored
// as the difference. Differences wrap, so that every int64 survives.

// The flags of a session row.
const (
	sessionEnded = 1 << iota
	sessionContexts
	sessionVia
	sessionTold // each hold has Told and Shared
	sessionDirectory
	sessionStopped
	sessionReused
	sessionDoubt // Doubt and After follow
)

// holdMin is the least number of bytes that a hold takes, which bounds what a
// malformed count can make us allocate.
const holdMin = 5

// Marks in the octet of Told.
const (
	holdShared    = 0x80
	holdGiven     = 0x40
	holdContested = 0x20
)

func appendSession(b []byte, r *binding.SessionRow) []byte {
	var flags byte
	set := func(flag byte, is bool) {
		if is {
			flags |= flag
		}
	}
	set(sessionEnded, r.Ended)
	set(sessionContexts, r.Contexts != 0)
	set(sessionVia, r.Via != 0)
	set(sessionDirectory, r.Directory)
	set(sessionStopped, r.Stopped)
	set(sessionReused, r.Reused)
	set(sessionDoubt, r.Doubt != 0 || r.After != 0)
	for i := range r.Holds {
		h := &r.Holds[i]
		set(sessionTold, h.Told != 0 || h.Shared || h.Given || h.Contested)
	}
	b = append(b, formatBounds, flags)
	node := uint64(r.Node) << 1
	if r.Again {
		node |= 1
	}
	b = binary.AppendUvarint(b, node)
	b = binary.AppendUvarint(b, uint64(r.Restarts))
	// Bounds lie close together, but for those that are none.
	b = binary.BigEndian.AppendUint64(b, r.HeldAt)
	for _, w := range [...]uint64{r.BegunFrom, r.BegunBy, r.Last} {
		b = binary.AppendVarint(b, int64(w-r.HeldAt))
	}
	if flags&sessionDoubt != 0 {
		b = append(binary.AppendVarint(b, int64(r.After-r.HeldAt)), byte(r.Doubt), byte(r.EndedBy))
	}
	b = binary.AppendVarint(b, r.Seen)
	b = binary.AppendUvarint(b, uint64(r.Lease))
	b = binary.AppendUvarint(b, uint64(r.Age))
	b = binary.AppendUvarint(b, uint64(r.Order))
	if flags&sessionContexts != 0 {
		b = binary.AppendUvarint(b, uint64(r.Contexts))
	}
	if flags&sessionVia != 0 {
		b = binary.AppendUvarint(b, uint64(r.Via))
	}
	b = appendSubscriber(b, &binding.Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI, IMEI: r.IMEI})
	b = binary.AppendUvarint(b, uint64(r.APN))
	b = append(b, byte(r.RAT), r.Listed)
	b = binary.AppendUvarint(b, uint64(len(r.Holds)))
	for i := range r.Holds {
		h := &r.Holds[i]
		b = binary.AppendUvarint(b, uint64(h.Domain))
		b = appendAddress(b, &h.Addr)
		b = binary.AppendVarint(b, h.Since-r.Seen)
		b = binary.AppendVarint(b, int64(h.HeldAt-r.HeldAt))
		b = binary.AppendVarint(b, int64(h.HeldBy-r.BegunBy))
		b = binary.AppendUvarint(b, h.Version)
		if flags&sessionTold == 0 {
			continue
		}
		told := byte(h.Told)
		if h.Shared {
			told |= holdShared
		}
		if h.Given {
			told |= holdGiven
		}
		if h.Contested {
			told |= holdContested
		}
		b = append(b, told)
	}
	return b
}

// decodeSession fills r, reusing its Holds.
func decodeSession(key, value []byte, r *binding.SessionRow) error {
	holds := r.Holds[:0]
	*r = binding.SessionRow{}
	if len(key) != 1+len(r.Key) || key[0] != kindSession {
		return errMalformed
	}
	copy(r.Key[:], key[1:])
	if len(value) > 0 && value[0] == format {
		return decodeFormerSession(value, r, holds)
	}
	in, err := openFormat(value, formatBounds)
	if err != nil {
		return err
	}
	flags := in.byte()
	r.Ended, r.Directory = flags&sessionEnded != 0, flags&sessionDirectory != 0
	r.Stopped, r.Reused = flags&sessionStopped != 0, flags&sessionReused != 0
	node := in.uint(17)
	r.Node, r.Again = uint16(node>>1), node&1 != 0
	r.Restarts = uint16(in.uint(16))
	r.HeldAt = in.word()
	for _, w := range [...]*uint64{&r.BegunFrom, &r.BegunBy, &r.Last} {
		*w = r.HeldAt + uint64(in.int())
	}
	if flags&sessionDoubt != 0 {
		r.After, r.Doubt, r.EndedBy = r.HeldAt+uint64(in.int()), in.reason(), binding.SourceSet(in.byte())
	}
	r.Seen = in.int()
	r.Lease = uint32(in.uint(32))
	r.Age = uint32(in.uint(32))
	r.Order = uint32(in.uint(32))
	if flags&sessionContexts != 0 {
		r.Contexts = uint16(in.uint(16))
	}
	if flags&sessionVia != 0 {
		r.Via = uint16(in.uint(16))
	}
	in.subject(r)
	r.Listed = in.byte()
	r.Holds = in.holds(holds, func(h *binding.HoldRow) {
		h.Since = r.Seen + in.int()
		h.HeldAt = r.HeldAt + uint64(in.int())
		h.HeldBy = r.BegunBy + uint64(in.int())
		h.Version = in.uint(64)
		if flags&sessionTold == 0 {
			return
		}
		told := in.byte()
		h.Shared, h.Given, h.Contested = told&holdShared != 0, told&holdGiven != 0, told&holdContested != 0
		if h.Told = binding.Reason(told &^ (holdShared | holdGiven | holdContested)); !h.Told.Valid() {
			in.fail()
		}
	})
	return in.close()
}

// subject reads whose session it is, and of what.
func (in *input) subject(r *binding.SessionRow) {
	var who binding.Subscriber
	in.subscriber(&who)
	r.MSISDN, r.IMSI, r.IMEI = who.MSISDN, who.IMSI, who.IMEI
	r.APN = uint16(in.uint(16))
	r.RAT = binding.RAT(in.byte())
}

func (in *input) reason() binding.Reason {
	r := binding.Reason(in.byte())
	if !r.Valid() {
		in.fail()
	}
	return r
}

// holds reads the holds of a session, of which rest reads what follows the
// address.
func (in *input) holds(holds []binding.HoldRow, rest func(*binding.HoldRow)) []binding.HoldRow {
	n := in.uint(32)
	if n > uint64(len(in.b)/holdMin) {
		in.fail()
		return holds
	}
	for range n {
		holds = append(holds, binding.HoldRow{})
		h := &holds[len(holds)-1]
		h.Domain = uint16(in.uint(16))
		in.address(&h.Addr)
		rest(h)
	}
	return holds
}

// Flags of a node.
const (
	nodeObserved  = 1 << iota // it is only overheard
	nodeDoubted               // Down and Trust follow
	nodeRestarted             // what is known of its last restart follows
	nodeNoName
	nodePlain
	nodeFormer
	nodeFlags = nodeObserved | nodeDoubted | nodeRestarted | nodeNoName | nodePlain | nodeFormer
)

func appendNode(b []byte, r *binding.NodeRow) []byte {
	var flags byte
	set := func(flag byte, is bool) {
		if is {
			flags |= flag
		}
	}
	set(nodeObserved, r.Observed)
	set(nodeDoubted, r.Down != 0 || r.Trust != 0)
	set(nodeRestarted, r.Restarts != 0 || r.RestartBy != 0 || r.Restart != 0)
	set(nodeNoName, r.NoName)
	set(nodePlain, r.Plain)
	set(nodeFormer, r.Former)
	b = append(b, formatBounds, byte(r.Source), flags)
	if flags&nodeRestarted != 0 {
		b = binary.AppendUvarint(b, r.Restarts)
		b = binary.AppendUvarint(b, r.RestartFrom)
		b = binary.AppendUvarint(b, r.RestartBy)
		b = binary.AppendVarint(b, r.Restart)
	}
	if flags&nodeDoubted != 0 {
		b = binary.AppendVarint(b, r.Down)
		b = binary.AppendVarint(b, r.Trust)
	}
	b = binary.AppendUvarint(b, uint64(r.OriginState))
	b = binary.AppendUvarint(b, uint64(r.SameAs))
	b = appendString(b, string(r.Clock))
	b = appendString(b, r.Owner)
	return appendString(b, r.Name)
}

func decodeNode(key, value []byte, r *binding.NodeRow) (err error) {
	*r = binding.NodeRow{}
	if r.ID, err = decodeID(key, kindNode); err != nil {
		return err
	}
	if len(value) > 0 && value[0] == format {
		return decodeFormerNode(value, r)
	}
	in, err := openFormat(value, formatBounds)
	if err != nil {
		return err
	}
	r.Source = binding.Source(in.byte())
	flags := in.byte()
	if flags&^nodeFlags != 0 {
		return errMalformed
	}
	r.Observed, r.NoName = flags&nodeObserved != 0, flags&nodeNoName != 0
	r.Plain, r.Former = flags&nodePlain != 0, flags&nodeFormer != 0
	if flags&nodeRestarted != 0 {
		r.Restarts = in.uint(64)
		r.RestartFrom, r.RestartBy = in.uint(64), in.uint(64)
		r.Restart = in.int()
	}
	if flags&nodeDoubted != 0 {
		r.Down, r.Trust = in.int(), in.int()
	}
	r.OriginState = uint32(in.uint(32))
	r.SameAs = uint16(in.uint(16))
	if clock := in.string(); clock != "" {
		r.Clock = []byte(clock)
	}
	r.Owner = in.string()
	r.Name = in.string()
	return in.close()
}

func decodeID(key []byte, kind byte) (uint16, error) {
	if len(key) != 3 || key[0] != kind {
		return 0, errMalformed
	}
	return binary.BigEndian.Uint16(key[1:]), nil
}

func appendName(b []byte, r *binding.NameRow) []byte {
	return appendString(append(b, format), r.Name)
}

// decodeName reads the row of an APN or a domain.
func decodeName(kind byte, key, value []byte, r *binding.NameRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	*r = binding.NameRow{}
	if r.ID, err = decodeID(key, kind); err != nil {
		return err
	}
	r.Name = in.string()
	return in.close()
}

func appendSubscriberRow(b []byte, r *binding.SubscriberRow) []byte {
	b = appendSubscriber(append(b, format), &r.Subscriber)
	b = binary.AppendVarint(b, r.SIMSince)
	return binary.AppendVarint(b, r.DeviceSince)
}

// decodeSubscriberRow needs no key: the value holds the identities.
func decodeSubscriberRow(value []byte, r *binding.SubscriberRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	in.subscriber(&r.Subscriber)
	r.SIMSince = in.int()
	r.DeviceSince = in.int()
	return in.close()
}

func appendMemo(b []byte, r *binding.MemoRow) []byte {
	b = append(b, format, byte(r.Source))
	b = binary.AppendUvarint(b, uint64(len(r.Memo)))
	return append(b, r.Memo...)
}

func decodeMemo(key, value []byte, r *binding.MemoRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	*r = binding.MemoRow{}
	if len(key) != 1+len(r.Key) || key[0] != kindMemo {
		return errMalformed
	}
	copy(r.Key[:], key[1:])
	r.Source = binding.Source(in.byte())
	r.Memo = []byte(in.string())
	return in.close()
}

func appendForgotten(b []byte, r *binding.ForgottenRow) []byte {
	b = binary.AppendVarint(append(b, format), r.At)
	return binary.AppendUvarint(b, uint64(r.Of))
}

func decodeForgotten(key, value []byte, r *binding.ForgottenRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	*r = binding.ForgottenRow{}
	if len(key) != 4 || key[0] != kindForgotten {
		return errMalformed
	}
	r.Table, r.Slot = key[1], binary.BigEndian.Uint16(key[2:])
	r.At = in.int()
	r.Of = uint32(in.uint(32))
	return in.close()
}

func decodeBlock(key, value []byte, r *binding.BlockRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	*r = binding.BlockRow{}
	if len(key) < 3 || key[0] != kindBlock {
		return errMalformed
	}
	r.Domain = binary.BigEndian.Uint16(key[1:])
	where := input{b: key[3:]}
	where.address(&r.Addr)
	if err := where.close(); err != nil {
		return err
	}
	r.Since = in.int()
	in.int() // until when
	return in.close()
}

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
	sessionFollowed // Via and Doubt follow
	sessionTold     // each hold has Told
	sessionDirectory
)

// holdMin is the least number of bytes that a hold takes, which bounds what a
// malformed count can make us allocate.
const holdMin = 5

func appendSession(b []byte, r *binding.SessionRow) []byte {
	var flags byte
	if r.Ended {
		flags |= sessionEnded
	}
	if r.Contexts != 0 {
		flags |= sessionContexts
	}
	if r.Directory {
		flags |= sessionDirectory
	}
	if r.Via != 0 || r.Doubt != 0 {
		flags |= sessionFollowed
	}
	for i := range r.Holds {
		if r.Holds[i].Told != 0 {
			flags |= sessionTold
		}
	}
	b = append(b, format, flags)
	b = binary.AppendUvarint(b, uint64(r.Node))
	b = binary.AppendUvarint(b, uint64(r.Epoch))
	b = binary.AppendVarint(b, r.Start)
	b = binary.AppendVarint(b, r.Last-r.Start)
	b = binary.AppendVarint(b, r.Seen-r.Last)
	b = binary.AppendUvarint(b, uint64(r.Lease))
	if flags&sessionContexts != 0 {
		b = binary.AppendUvarint(b, uint64(r.Contexts))
	}
	if flags&sessionFollowed != 0 {
		b = append(binary.AppendUvarint(b, uint64(r.Via)), byte(r.Doubt))
	}
	b = appendSubscriber(b, &binding.Subscriber{MSISDN: r.MSISDN, IMSI: r.IMSI, IMEI: r.IMEI})
	b = binary.AppendUvarint(b, uint64(r.APN))
	b = append(b, byte(r.RAT))
	b = binary.AppendUvarint(b, uint64(len(r.Holds)))
	for i := range r.Holds {
		h := &r.Holds[i]
		b = binary.AppendUvarint(b, uint64(h.Domain))
		b = appendAddress(b, &h.Addr)
		b = binary.AppendVarint(b, h.Since-r.Start)
		b = binary.AppendUvarint(b, h.Version)
		b = binary.AppendVarint(b, h.Ending)
		if flags&sessionTold != 0 {
			b = append(b, byte(h.Told))
		}
	}
	return b
}

// decodeSession fills r, reusing its Holds.
func decodeSession(key, value []byte, r *binding.SessionRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	holds := r.Holds[:0]
	*r = binding.SessionRow{}
	if len(key) != 1+len(r.Key) || key[0] != kindSession {
		return errMalformed
	}
	copy(r.Key[:], key[1:])
	flags := in.byte()
	if flags&^(sessionEnded|sessionContexts|sessionFollowed|sessionTold|sessionDirectory) != 0 {
		return errMalformed
	}
	r.Ended, r.Directory = flags&sessionEnded != 0, flags&sessionDirectory != 0
	r.Node = uint16(in.uint(16))
	r.Epoch = uint32(in.uint(32))
	r.Start = in.int()
	r.Last = r.Start + in.int()
	r.Seen = r.Last + in.int()
	r.Lease = uint32(in.uint(32))
	if flags&sessionContexts != 0 {
		r.Contexts = uint16(in.uint(16))
	}
	if flags&sessionFollowed != 0 {
		r.Via, r.Doubt = uint16(in.uint(16)), binding.Reason(in.byte())
	}
	var who binding.Subscriber
	in.subscriber(&who)
	r.MSISDN, r.IMSI, r.IMEI = who.MSISDN, who.IMSI, who.IMEI
	r.APN = uint16(in.uint(16))
	r.RAT = binding.RAT(in.byte())
	r.Holds = in.holds(holds, r.Start, flags&sessionTold != 0)
	return in.close()
}

func (in *input) holds(holds []binding.HoldRow, start int64, told bool) []binding.HoldRow {
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
		h.Since = start + in.int()
		h.Version = in.uint(64)
		h.Ending = in.int()
		if told {
			if h.Told = binding.Reason(in.byte()); !h.Told.Valid() {
				in.fail()
			}
		}
	}
	return holds
}

// Flags beside the source of a node.
const (
	nodeObserved = 0x80 // it is only overheard
	nodeDoubted  = 0x40 // Down and Trust follow
	nodeForgot   = 0x20 // Forgot follows
)

func appendNode(b []byte, r *binding.NodeRow) []byte {
	source := byte(r.Source)
	if r.Observed {
		source |= nodeObserved
	}
	doubted := r.Down != 0 || r.Trust != 0
	if doubted {
		source |= nodeDoubted
	}
	if r.Forgot != 0 {
		source |= nodeForgot
	}
	b = append(b, format, source)
	b = binary.AppendUvarint(b, uint64(r.Epoch))
	b = binary.AppendVarint(b, r.Restart)
	b = binary.AppendUvarint(b, r.Restarts)
	if doubted {
		b = binary.AppendVarint(b, r.Down)
		b = binary.AppendVarint(b, r.Trust)
	}
	if r.Forgot != 0 {
		b = binary.AppendVarint(b, r.Forgot)
	}
	return appendString(b, r.Name)
}

func decodeNode(key, value []byte, r *binding.NodeRow) error {
	in, err := openValue(value)
	if err != nil {
		return err
	}
	*r = binding.NodeRow{}
	if r.ID, err = decodeID(key, kindNode); err != nil {
		return err
	}
	source := in.byte()
	r.Source, r.Observed = binding.Source(source&^(nodeObserved|nodeDoubted|nodeForgot)), source&nodeObserved != 0
	r.Epoch = uint32(in.uint(32))
	r.Restart = in.int()
	r.Restarts = in.uint(64)
	if source&nodeDoubted != 0 {
		r.Down, r.Trust = in.int(), in.int()
	}
	if source&nodeForgot != 0 {
		r.Forgot = in.int()
	}
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

func appendBlock(b []byte, r *binding.BlockRow) []byte {
	b = binary.AppendVarint(append(b, format), r.Since)
	return binary.AppendVarint(b, r.Until)
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
	r.Until = in.int()
	return in.close()
}

package radius

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSize is how many datagrams one system call moves.
	batchSize = 64
	// controlSize holds packet info, drop count and time of one datagram.
	controlSize = 96
)

// A sockaddr is the socket address of a peer as the kernel writes it.
type sockaddr [unix.SizeofSockaddrInet6]byte

func (s *sockaddr) is4() bool { return binary.NativeEndian.Uint16(s[:]) == unix.AF_INET }

// addr is the address in it, unmapped.
func (s *sockaddr) addr() netip.Addr {
	if s.is4() {
		return netip.AddrFrom4([4]byte(s[4:8]))
	}
	return netip.AddrFrom16([16]byte(s[8:24])).Unmap()
}

// A local is the address that a peer asked and will see the answer come from.
// It is zero on sockets that hear one address only.
type local struct {
	addr    [16]byte // of the socket's family
	ifindex uint32   // of a link-local address
}

// An mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// A batch is the memory of one recvmmsg or sendmmsg. The headers point into
// the other fields for good. It is owned by one goroutine.
type batch struct {
	headers  [batchSize]mmsghdr
	vectors  [batchSize]unix.Iovec
	peers    [batchSize]sockaddr
	controls [batchSize][controlSize]byte
	data     [batchSize][maxPacket]byte

	raw   syscall.RawConn
	first int // of the headers still to be sent
	count int
	errno unix.Errno
	step  func(fd uintptr) bool
}

func newBatch(raw syscall.RawConn, call func(*batch, uintptr) bool) *batch {
	b := &batch{raw: raw}
	for i := range b.headers {
		h := &b.headers[i].header
		b.vectors[i].Base = &b.data[i][0]
		h.Name = &b.peers[i][0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.controls[i][0]
	}
	b.step = func(fd uintptr) bool { return call(b, fd) }
	return b
}

// receive waits for datagrams and returns how many came.
func (b *batch) receive() (int, error) {
	for i := range b.headers {
		h := &b.headers[i].header
		h.Namelen = uint32(len(b.peers[i]))
		h.SetControllen(controlSize)
		b.vectors[i].SetLen(maxPacket)
	}
	b.errno = 0
	if err := b.raw.Read(b.step); err != nil {
		return 0, err
	}
	if b.errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", b.errno)
	}
	return b.count, nil
}

func receiveStep(b *batch, fd uintptr) bool {
	n, again := b.call(unix.SYS_RECVMMSG, fd, 0, batchSize)
	b.count = n
	return !again
}

// call does one system call on the headers from first on.
func (b *batch) call(trap, fd uintptr, first, count int) (n int, again bool) {
	for {
		r, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&b.headers[first])), uintptr(count), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), false
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, true
		default:
			b.errno = errno
			return 0, false
		}
	}
}

// datagram is what came as number i. It is valid until the next receive.
func (b *batch) datagram(i int) []byte { return b.data[i][:min(b.headers[i].length, maxPacket)] }

// A receipt is what the kernel tells of a datagram beside its content.
type receipt struct {
	asked local
	drops uint32    // since the socket was made
	at    time.Time // when it came, by the wall clock; zero: not told
}

// receipt reads that of number i.
func (b *batch) receipt(i int, r *receipt) {
	*r = receipt{}
	rest := b.controls[i][:b.headers[i].header.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(rest) {
			return
		}
		r.take(h, rest[unix.CmsgLen(0):n])
		rest = rest[min(unix.CmsgSpace(n-unix.SizeofCmsghdr), len(rest)):]
	}
}

func (r *receipt) take(h *unix.Cmsghdr, data []byte) {
	switch {
	case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
		r.drops = binary.NativeEndian.Uint32(data)
	case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) == 16:
		r.at = time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		copy(r.asked.addr[:4], data[4:8]) // ipi_spec_dst
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		copy(r.asked.addr[:], data[:16])
		if data[0] == 0xfe && data[1]&0xc0 == 0x80 {
			r.asked.ifindex = binary.NativeEndian.Uint32(data[16:])
		}
	}
}

// waited is for how long the datagram has been in the socket's buffer, which
// the clock being set back hides.
func (r *receipt) waited(wall time.Time) time.Duration {
	if r.at.IsZero() {
		return 0
	}
	return max(wall.Sub(r.at), 0)
}

// put prepares number i to be sent: what is already in its data, to the peer,
// from the address that was asked.
func (b *batch) put(i, length int, peer *sockaddr, asked *local) {
	h := &b.headers[i].header
	b.vectors[i].SetLen(length)
	b.peers[i] = *peer
	h.Namelen = unix.SizeofSockaddrInet6
	if peer.is4() {
		h.Namelen = unix.SizeofSockaddrInet4
	}
	h.Control = nil
	h.SetControllen(0)
	if *asked != (local{}) {
		h.Control = &b.controls[i][0]
		h.SetControllen(asked.write(b.controls[i][:], peer.is4()))
	}
}

// write makes the control message that has the answer leave from the address
// that was asked.
func (l *local) write(control []byte, four bool) int {
	clear(control)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	data := control[unix.CmsgLen(0):]
	size := unix.SizeofInet6Pktinfo
	if four {
		size = unix.SizeofInet4Pktinfo
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		copy(data[4:8], l.addr[:4])
	} else {
		h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
		copy(data[:16], l.addr[:])
		binary.NativeEndian.PutUint32(data[16:], l.ifindex)
	}
	h.SetLen(unix.CmsgLen(size))
	return unix.CmsgSpace(size)
}

// send sends the first n and returns how many the kernel took. What it refuses
// is skipped.
func (b *batch) send(n int) (sent int, err error) {
	for b.first = 0; b.first < n; {
		b.count, b.errno = n, 0
		if err := b.raw.Write(b.step); err != nil {
			return sent, err
		}
		if b.errno != 0 {
			b.first++
			continue
		}
		sent += b.count
		b.first += b.count
	}
	return sent, nil
}

func sendStep(b *batch, fd uintptr) bool {
	n, again := b.call(unix.SYS_SENDMMSG, fd, b.first, b.count-b.first)
	if !again {
		b.count = n
	}
	return !again
}

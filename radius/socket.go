package radius

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is one UDP listener.
type socket struct {
	server *Server
	lane   *lane
	conn   *net.UDPConn
	raw    syscall.RawConn
	addr   netip.AddrPort
	buffer int           // effective size of the receive buffer, in octets
	drops  atomic.Uint64 // by the kernel, for want of room in it
}

// listen binds a UDP socket. An address without a host means all.
func (s *Server) listen(ctx context.Context, address string) (*socket, error) {
	network, err := udpNetwork(address)
	if err != nil {
		return nil, err
	}
	pc, err := (&net.ListenConfig{}).ListenPacket(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	u := &socket{server: s, lane: newLane(s, s.cfg.Transactions), conn: pc.(*net.UDPConn)}
	if err := u.setUp(); err != nil {
		pc.Close()
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return u, nil
}

// udpNetwork is "udp4" for an IPv4 address, "udp6" for one of IPv6 other than
// "::", and "udp", which hears both, else.
func udpNetwork(address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen address %q: %w", address, err)
	}
	if host == "" || host == "::" {
		return "udp", nil
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "", fmt.Errorf("listen address %q: %w", address, err)
	case strings.Contains(host, ":") && !addr.Is4In6():
		return "udp6", nil
	}
	return "udp4", nil
}

func (u *socket) setUp() error {
	var err error
	if u.raw, err = u.conn.SyscallConn(); err != nil {
		return err
	}
	local := u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	u.addr = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	var failed error
	if err := u.raw.Control(func(fd uintptr) { failed = u.setOptions(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func (u *socket) setOptions(fd int) error {
	want := u.server.cfg.ReceiveBuffer
	// The first needs CAP_NET_ADMIN, the second is bounded by rmem_max.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want); err != nil {
			return fmt.Errorf("receive buffer: %w", err)
		}
	}
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return fmt.Errorf("receive buffer: %w", err)
	}
	u.buffer = size / 2 // the kernel doubles it for its own needs
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return fmt.Errorf("drop count: %w", err)
	}
	if u.server.kernel {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return fmt.Errorf("time of arrival: %w", err)
		}
	}
	if !u.addr.Addr().IsUnspecified() {
		return nil
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if u.addr.Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return fmt.Errorf("packet info: %w", err)
	}
	return nil
}

// read takes datagrams until the socket is closed. Each arrived when the kernel
// had it, however long it then waited for us.
func (u *socket) read() error {
	s, in := u.server, newBatch(u.raw, receiveStep)
	var r receipt
	var drops uint32
	for {
		n, err := in.receive()
		if err != nil {
			return err
		}
		now, wall, table := s.now(), time.Now(), s.clients.Load()
		for i := range n {
			if in.receipt(i, &r); r.drops != drops && r.drops != 0 {
				u.drops.Add(uint64(r.drops - drops))
				drops = r.drops
			}
			from := in.peers[i].addr()
			c := table.lookup(from)
			if c == nil {
				s.drop(nil, dropUnknownClient, from, errUnknownClient)
				continue
			}
			u.lane.receive(in.datagram(i), c, from, &in.peers[i], &r.asked, now.Add(-r.waited(wall)))
		}
	}
}

// write answers as outcomes come, until ctx ends.
func (u *socket) write(ctx context.Context) error {
	w := &replyWriter{lane: u.lane, out: newBatch(u.raw, sendStep), digest: newDigester()}
	var list []completion
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.lane.done.wake:
		}
		list = u.lane.done.take(list)
		for rest := list; len(rest) > 0; {
			n := min(len(rest), batchSize)
			if err := w.answer(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
}

// A replyWriter is the memory of a socket's sender.
type replyWriter struct {
	lane    *lane
	out     *batch
	digest  *digester
	replies [batchSize]reply
}

// answer settles outcomes, at most one batch, and sends the answers that are
// due.
func (w *replyWriter) answer(list []completion) error {
	n := w.prepare(list)
	sent, err := w.out.send(n)
	w.lane.server.answers.Add(uint64(sent))
	w.lane.server.sendErrors.Add(uint64(n - sent))
	return err
}

// prepare fills the batch with the answers that are due, and returns how many.
// They are signed without the table's mutex.
func (w *replyWriter) prepare(list []completion) int {
	n, table, now := 0, w.lane.table, w.lane.server.now()
	table.mu.Lock()
	for _, c := range list {
		if t, _ := table.settle(c, now); t != nil {
			w.replies[n] = t.reply(w.out.data[n][:0])
			w.out.put(n, len(w.replies[n].packet), &t.key.peer, &t.asked)
			n++
		}
	}
	table.mu.Unlock()
	for i := range n {
		w.replies[i].sign(w.digest)
	}
	return n
}

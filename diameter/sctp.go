package diameter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// SCTP (RFC 6733 section 2.1.1) by way of the kernel's one-to-one sockets (RFC
// 6458 section 4), which read like TCP's. Each write is one user message, so
// that messages leave one by one.

const (
	// protocolDiameter is the payload protocol of Diameter (RFC 6733 section
	// 11.4).
	protocolDiameter = 46
	sctpDefaultSend  = 10 // SCTP_DEFAULT_SEND_PARAM
	sctpNoDelay      = 3  // SCTP_NODELAY
	sctpBacklog      = 128
)

// errNoSCTP: the kernel has no SCTP.
var errNoSCTP = errors.New("the kernel has no SCTP; load its module, or leave sctp_listen out")

// listenSCTP listens on an IP address and port.
func listenSCTP(address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("%q is not address:port", address)
	}
	domain, sockaddr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		domain, sockaddr = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_SCTP)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) {
		return nil, errNoSCTP
	}
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "sctp "+address)
	defer file.Close() // the listener has its own
	if err := prepareSCTP(fd, sockaddr); err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return sctpListener{l}, nil
}

// prepareSCTP binds and listens. What is accepted inherits the options.
func prepareSCTP(fd int, at unix.Sockaddr) error {
	// struct sctp_sndrcvinfo, of which sinfo_ppid is in network order at octet 8.
	var info [32]byte
	info[11] = protocolDiameter
	if err := unix.SetsockoptString(fd, unix.IPPROTO_SCTP, sctpDefaultSend, string(info[:])); err != nil {
		return fmt.Errorf("SCTP_DEFAULT_SEND_PARAM: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_SCTP, sctpNoDelay, 1); err != nil {
		return fmt.Errorf("SCTP_NODELAY: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(fd, at); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(fd, sctpBacklog); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// An sctpListener marks what it accepts.
type sctpListener struct{ net.Listener }

// Accept implements net.Listener.
func (l sctpListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return sctpConn{raw}, nil
}

// An sctpConn sends each Diameter message as a user message of its own.
type sctpConn struct{ net.Conn }

// Write implements net.Conn, for b that is complete messages.
func (c sctpConn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n, err := frameLength(b, 1<<24)
		if err != nil {
			return written, err
		}
		if _, err := c.Conn.Write(b[:n]); err != nil {
			return written, err
		}
		written, b = written+n, b[n:]
	}
	return written, nil
}

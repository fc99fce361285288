package bpf

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A hook is the program on one interface. Whatever ends the process ends the
// hook too: the kernel closes its links and sockets.
type hook struct {
	name  string
	index int
	parts []io.Closer
}

// hookTo attaches to an interface, all of it or nothing.
func (k *kernel) hookTo(name string, index int, promiscuous bool) (h *hook, err error) {
	raw, err := isRaw(name)
	if err != nil {
		return nil, err
	}
	h = &hook{name: name, index: index}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if promiscuous {
		if err := h.add(takeAll(index)); err != nil {
			return nil, err
		}
	}
	o := &k.objects
	if k.mode == ModePacket {
		program := o.Packet
		if raw {
			program = o.PacketRaw
		}
		return h, h.add(attachSocket(index, program))
	}
	ingress, egress := o.Ingress, o.Egress
	if raw {
		ingress, egress = o.IngressRaw, o.EgressRaw
	}
	if err := h.add(attachTCX(index, ingress, ebpf.AttachTCXIngress)); err != nil {
		return nil, err
	}
	return h, h.add(attachTCX(index, egress, ebpf.AttachTCXEgress))
}

func (h *hook) add(part io.Closer, err error) error {
	if err == nil {
		h.parts = append(h.parts, part)
	}
	return err
}

func (h *hook) close() {
	for _, p := range h.parts {
		p.Close()
	}
}

// attachTCX puts the program before all others: it lets every packet go on, so
// that they see what they saw before.
func attachTCX(index int, program *ebpf.Program, where ebpf.AttachType) (io.Closer, error) {
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: where, Anchor: link.Head()})
	if err != nil {
		return nil, fmt.Errorf("attach %v: %w", where, err)
	}
	return l, nil
}

// A packetSocket is an AF_PACKET socket of which nothing is ever read.
type packetSocket int

func (s packetSocket) Close() error { return unix.Close(int(s)) }

// attachSocket runs the program as the filter of a socket on one interface. The
// filter is there before the first packet.
func attachSocket(index int, program *ebpf.Program) (io.Closer, error) {
	return openSocket(func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, program.FD()); err != nil {
			return fmt.Errorf("attach the filter: %w", err)
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xFF<<8 // in network order
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
}

// takeAll makes an interface promiscuous for as long as the socket is open.
func takeAll(index int) (io.Closer, error) {
	return openSocket(func(fd int) error {
		return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	})
}

// openSocket opens a socket that hears nothing yet. It needs CAP_NET_RAW.
func openSocket(prepare func(fd int) error) (io.Closer, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if err := prepare(fd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("prepare the packet socket: %w", err)
	}
	return packetSocket(fd), nil
}

var errLinkType = errors.New("frames of this kind are not understood")

// isRaw reports whether frames on an interface begin with the IP header. An
// interface that has neither that nor Ethernet's header is an error.
func isRaw(name string) (bool, error) {
	kind, err := hardwareType(name)
	if err != nil {
		return false, fmt.Errorf("read the kind of interface: %w", err)
	}
	switch kind {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return false, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return true, nil
	}
	return false, fmt.Errorf("ARPHRD type %d: %w", kind, errLinkType)
}

// hardwareType asks for the ARPHRD_… of an interface (netdevice(7)).
func hardwareType(name string) (uint16, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, request); err != nil {
		return 0, err
	}
	return request.Uint16(), nil
}

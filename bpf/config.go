package bpf

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/simbind/simbind/bpf/accounting"
	"github.com/simbind/simbind/bpf/sender"
)

// How the tap hooks into an interface.
const (
	// ModeAuto is TCX where the kernel has it (Linux 6.6), else ModePacket.
	ModeAuto = "auto"
	// ModeTCX is the two ends of the traffic control path.
	ModeTCX = "tcx"
	// ModePacket is the filter of an AF_PACKET socket (Linux 5.8).
	ModePacket = "packet"
)

// Ports are where the protocols are spoken, at most four each. None means the
// port that is registered for it.
type Ports struct {
	GTP      []uint16 // GTP-C, UDP 2123
	PFCP     []uint16 // UDP 8805
	RADIUS   []uint16 // accounting, UDP 1813
	Diameter []uint16 // TCP and SCTP 3868
}

// Config of the tap. Zero values mean the defaults.
type Config struct {
	// Interfaces are the names of network interfaces, or patterns of
	// path.Match. They may appear and disappear at any time.
	Interfaces []string
	Ports      Ports
	// SnapLength is how many octets of a packet are copied, from its IP header
	// on; 65536 by default. What is cut is counted and cannot be decoded.
	SnapLength int
	// RingBuffer is the size of the buffer between kernel and daemon in octets,
	// a power of two; 16 MiB by default.
	RingBuffer int
	// Promiscuous has the interfaces take in frames for others, as a mirror
	// port delivers them.
	Promiscuous bool
	// Mode is ModeAuto by default.
	Mode string
	// Accounting says whose accounting counts.
	Accounting accounting.Options
	// MSISDNStrip are prefixes of which the first that fits is taken off a
	// number on Gx; nil means "+" and "00".
	MSISDNStrip []string
	// Groups are senders of Gx and PFCP that stand for each other.
	Groups sender.Groups
	// Silence is how long a node that gives no regular sign of life has to be
	// silent until it counts as down, 5 minutes by default; at least half a minute.
	// Below zero: it never does.
	Silence time.Duration
	// Now is the clock, time.Now by default.
	Now func() time.Time
}

const (
	maxPorts      = 4 // MAX_PORTS of tap.c
	maxSnap       = 1 << 16
	minSnap       = 256
	minRingBuffer = 1 << 17 // room for one packet of the largest snap length
	maxRingBuffer = 1 << 30
	minSilence    = 30 * time.Second
)

func (c Config) withDefaults() Config {
	ports := func(list *[]uint16, port uint16) {
		if len(*list) == 0 {
			*list = []uint16{port}
		}
	}
	ports(&c.Ports.GTP, 2123)
	ports(&c.Ports.PFCP, 8805)
	ports(&c.Ports.RADIUS, 1813)
	ports(&c.Ports.Diameter, 3868)
	if c.SnapLength == 0 {
		c.SnapLength = maxSnap
	}
	if c.RingBuffer == 0 {
		c.RingBuffer = 16 << 20
	}
	if c.Mode == "" {
		c.Mode = ModeAuto
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Check reports what is wrong with the configuration.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case len(c.Interfaces) == 0:
		return errors.New("no interfaces")
	case c.SnapLength < minSnap || c.SnapLength > maxSnap:
		return fmt.Errorf("snap_length %d is not within %d to %d", c.SnapLength, minSnap, maxSnap)
	case c.RingBuffer < minRingBuffer || c.RingBuffer > maxRingBuffer || c.RingBuffer&(c.RingBuffer-1) != 0:
		return fmt.Errorf("ring_buffer %d is not a power of two within %d to %d", c.RingBuffer, minRingBuffer, maxRingBuffer)
	case c.Silence > 0 && c.Silence < minSilence:
		return fmt.Errorf("silence %v is less than %v", c.Silence, minSilence)
	case c.Mode != ModeAuto && c.Mode != ModeTCX && c.Mode != ModePacket:
		return fmt.Errorf("mode %q is not one of %s, %s, %s", c.Mode, ModeAuto, ModeTCX, ModePacket)
	}
	for _, pattern := range c.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("interface %q is neither a name nor a pattern", pattern)
		}
	}
	if err := c.Accounting.Check(); err != nil {
		return err
	}
	if err := c.Groups.Check(); err != nil {
		return err
	}
	return c.checkPorts()
}

func (c Config) checkPorts() error {
	seen := map[uint16]bool{}
	for _, list := range [][]uint16{c.Ports.GTP, c.Ports.PFCP, c.Ports.RADIUS, c.Ports.Diameter} {
		if len(list) > maxPorts {
			return fmt.Errorf("ports: more than %d for one protocol", maxPorts)
		}
		for _, port := range list {
			if port == 0 || seen[port] {
				return fmt.Errorf("ports: %d is zero or named twice", port)
			}
			seen[port] = true
		}
	}
	return nil
}

// matches reports whether an interface is to be tapped.
func (c Config) matches(name string) bool {
	for _, pattern := range c.Interfaces {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

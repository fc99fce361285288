package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/simbind/simbind/binding/query"
)

// Capabilities by their bit (linux/capability.h).
const (
	capNetAdmin = 12
	capNetRaw   = 13
	capSysAdmin = 21
	capBPF      = 39
)

// The first kernels with what the tap needs.
var (
	kernelTCX    = version2{6, 6}
	kernelPacket = version2{5, 8} // its ring buffer
)

type version2 struct{ major, minor int }

func (v version2) before(w version2) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// checkTap looks at what the tap says of itself; nil if the daemon has none.
func checkTap(s query.StatusReply) []finding {
	words, has := s.Edges["tap"]
	if !has {
		return nil
	}
	matched, lost := s.Counters["tap_matched"], s.Counters["tap_lost"]
	f := ok("tap", "%s; of %d packets %d were lost", words, matched, lost)
	switch {
	case strings.HasPrefix(words, "off"):
		return []finding{f.warn("nothing is learned from the wire: see below, and the daemon's log (journalctl -u simbindd)")}
	case lost > 0:
		return []finding{f.warn("raise tap.ring_buffer, or name fewer interfaces; see that simbindd gets its CPU")}
	}
	return []finding{f}
}

// checkTapHost looks at what the tap needs of the machine, and at the
// interfaces that patterns name.
func (h host) checkTapHost(socket string, patterns []string) []finding {
	findings := []finding{h.checkKernel(), h.checkCapabilities(socket), h.checkBTF()}
	for _, pattern := range patterns {
		findings = append(findings, h.checkInterface(pattern))
	}
	return findings
}

func (h host) checkKernel() finding {
	const name = "tap-kernel"
	release, err := h.read("proc/sys/kernel/osrelease")
	if err != nil {
		return unreadable(name, err)
	}
	var v version2
	if _, err := fmt.Sscanf(release, "%d.%d", &v.major, &v.minor); err != nil {
		return unreadable(name, fmt.Errorf("%q is no version of Linux", release))
	}
	switch {
	case v.before(kernelPacket):
		return ok(name, "Linux %s has no ring buffer", release).fail("the tap needs Linux 5.8, better 6.6; without it use radius or diameter, which tell more anyway")
	case v.before(kernelTCX):
		return ok(name, "Linux %s: the tap uses a packet socket, which needs CAP_NET_RAW too", release)
	}
	return ok(name, "Linux %s: the tap uses TCX", release)
}

// checkCapabilities looks at the process that serves the socket.
func (h host) checkCapabilities(socket string) finding {
	const name = "tap-capabilities"
	pid, err := h.pid(socket)
	if err != nil {
		return ok(name, "simbindd cannot be asked").warn("ask again when it runs: it needs CAP_BPF and CAP_NET_ADMIN")
	}
	effective, err := h.capabilities(pid)
	if err != nil {
		return unreadable(name, err)
	}
	has := func(bit int) bool { return effective>>bit&1 == 1 }
	var missing []string
	if !has(capBPF) && !has(capSysAdmin) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(capNetAdmin) {
		missing = append(missing, "CAP_NET_ADMIN")
	}
	if len(missing) > 0 {
		list := strings.Join(missing, " and ")
		return ok(name, "simbindd lacks %s", list).
			fail("the tap is off without; add " + list + " to AmbientCapabilities and CapabilityBoundingSet of simbindd.service, or to the container's capabilities, and restart")
	}
	if !has(capNetRaw) {
		return ok(name, "simbindd has CAP_BPF and CAP_NET_ADMIN; CAP_NET_RAW is for tap.promiscuous and kernels before 6.6")
	}
	return ok(name, "simbindd has CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW")
}

// checkBTF tells whether the kernel describes its types. The tap's program asks
// for none of them; tools that look into it do.
func (h host) checkBTF() finding {
	const name = "tap-btf"
	_, err := fs.Stat(h.root, "sys/kernel/btf/vmlinux")
	switch {
	case err == nil:
		return ok(name, "the kernel has BTF")
	case errors.Is(err, fs.ErrNotExist):
		return ok(name, "the kernel has no BTF; the tap needs none")
	}
	return unreadable(name, err)
}

// checkInterface looks for the interfaces that a pattern names.
func (h host) checkInterface(pattern string) finding {
	const name = "tap-interface"
	entries, err := fs.ReadDir(h.root, "sys/class/net")
	if err != nil {
		return unreadable(name, err)
	}
	var found, strange, down []string
	for _, e := range entries {
		if match, _ := path.Match(pattern, e.Name()); !match {
			continue
		}
		found = append(found, e.Name())
		kind, err := h.read("sys/class/net/" + e.Name() + "/type")
		if n, convErr := strconv.Atoi(kind); err == nil && (convErr != nil || !slices.Contains(tapLinkTypes, n)) {
			strange = append(strange, e.Name())
		}
		if state, err := h.read("sys/class/net/" + e.Name() + "/operstate"); err == nil && state == "down" {
			down = append(down, e.Name())
		}
	}
	switch {
	case len(found) == 0:
		return ok(name, "%s: there is none", pattern).warn("see ip link; the tap takes it up when it appears. Traffic of DPDK, SR-IOV and AF_XDP passes no interface of the kernel: mirror it")
	case len(strange) > 0:
		return ok(name, "%s: frames of %s are not understood", pattern, strings.Join(strange, ", ")).warn("name the Ethernet interface below it")
	case len(down) > 0:
		return ok(name, "%s: %s is down", pattern, strings.Join(down, ", ")).warn("ip link set " + down[0] + " up")
	}
	return ok(name, "%s: %s", pattern, strings.Join(found, ", "))
}

// tapLinkTypes are the kinds of interfaces that the tap understands (ARPHRD_…
// of linux/if_arp.h): Ethernet, loopback, bare IP, and tunnels of bare IP.
var tapLinkTypes = []int{1, 772, 0xFFFE, 519, 768, 769, 776}

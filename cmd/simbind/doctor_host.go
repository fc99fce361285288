package main

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// What the daemon needs from its machine.
const (
	needReceiveBuffer = 8 << 20 // bytes, the default of radius.receive_buffer
	needOpenFiles     = 4096    // connections, peers and journal files together
	warnClockError    = time.Second
	warnDiskFree      = 5 << 30   // bytes
	failDiskFree      = 500 << 20 // bytes
)

// A host is what doctor reads about the machine.
type host struct {
	// root is the machine's file tree, for /proc and /sys.
	root fs.FS
	// mode is of a socket's file; pid is the process that serves it.
	mode func(socket string) (fs.FileMode, error)
	pid  func(socket string) (int, error)
	// clock reports whether the system's clock is synchronised and how far off
	// it may be.
	clock func() (synchronised bool, maxError time.Duration, err error)
	// disk reports the space of the file system that holds dir, in bytes.
	disk func(dir string) (free, size uint64, err error)
}

func (h host) check(socket, dataDir string) []finding {
	findings := []finding{h.checkClock(), h.checkReceiveBuffer(socket), h.checkOpenFiles(socket), h.checkHugePages()}
	if mode, err := h.mode(socket); err == nil {
		findings = append(findings, checkSocketMode(socket, mode))
	}
	if dataDir != "" {
		findings = append(findings, h.checkDisk(dataDir))
	}
	return findings
}

// read returns the trimmed text of a file under /proc or /sys.
func (h host) read(path string) (string, error) {
	text, err := fs.ReadFile(h.root, path)
	return strings.TrimSpace(string(text)), err
}

func checkSocketMode(socket string, mode fs.FileMode) finding {
	f := ok("permission", "%s is %v", socket, mode.Perm())
	if mode.Perm()&0o006 != 0 {
		return f.warn("anybody on this machine may connect; chmod 0660 " + socket)
	}
	return f
}

func (h host) checkClock() finding {
	synchronised, maxError, err := h.clock()
	switch {
	case err != nil:
		return ok("clock", "cannot be read: %v", err).warn("see that the clock is synchronised (chronyc tracking)")
	case !synchronised:
		return ok("clock", "not synchronised").
			warn("start chrony or systemd-timesyncd: events are ordered by time, and the peers' clocks are compared with this one")
	case maxError > warnClockError:
		return ok("clock", "synchronised, but may be off by %v", maxError).warn("see its time source (chronyc tracking)")
	default:
		return ok("clock", "synchronised, off by %v at most", maxError)
	}
}

// checkReceiveBuffer compares what the kernel grants a socket with what the
// RADIUS edge wants. CAP_NET_ADMIN lifts the bound.
func (h host) checkReceiveBuffer(socket string) finding {
	const name = "udp-buffer"
	text, err := h.read("proc/sys/net/core/rmem_max")
	if err != nil {
		return unreadable(name, err)
	}
	limit, err := strconv.Atoi(text)
	if err != nil {
		return unreadable(name, err)
	}
	f := ok(name, "net.core.rmem_max is %d", limit)
	if limit >= needReceiveBuffer {
		return f
	}
	if pid, err := h.pid(socket); err == nil && h.mayAdministerNetwork(pid) {
		return ok(name, "net.core.rmem_max is %d, and simbindd may exceed it (CAP_NET_ADMIN)", limit)
	}
	return f.warn(fmt.Sprintf("bursts of accounting may be lost; sysctl -w net.core.rmem_max=%d, or give simbindd CAP_NET_ADMIN", needReceiveBuffer))
}

func (h host) mayAdministerNetwork(pid int) bool {
	effective, err := h.capabilities(pid)
	return err == nil && effective&(1<<capNetAdmin) != 0
}

// capabilities are the effective ones of a process, a bit each.
func (h host) capabilities(pid int) (uint64, error) {
	text, err := h.read(fmt.Sprintf("proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if digits, found := strings.CutPrefix(line, "CapEff:"); found {
			return strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
		}
	}
	return 0, fmt.Errorf("no line for effective capabilities")
}

// checkOpenFiles looks at the limit of the process that serves the socket, or
// at our own if there is none.
func (h host) checkOpenFiles(socket string) finding {
	const name = "open-files"
	process, whose := "self", "of this shell (simbindd cannot be asked)"
	if pid, err := h.pid(socket); err == nil {
		process, whose = strconv.Itoa(pid), "of simbindd"
	}
	text, err := h.read("proc/" + process + "/limits")
	if err != nil {
		return unreadable(name, err)
	}
	soft, err := openFilesLimit(text)
	if err != nil {
		return unreadable(name, err)
	}
	f := ok(name, "the limit %s is %s", whose, soft)
	if n, err := strconv.Atoi(soft); err == nil && n < needOpenFiles {
		return f.warn(fmt.Sprintf("set LimitNOFILE=%d in simbindd.service, or ulimit -n", 16*needOpenFiles))
	}
	return f
}

// openFilesLimit finds the soft limit in the text of /proc/PID/limits: digits
// or "unlimited".
func openFilesLimit(text string) (string, error) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			if fields := strings.Fields(rest); len(fields) > 0 {
				return fields[0], nil
			}
		}
	}
	return "", fmt.Errorf("no line for open files")
}

func (h host) checkHugePages() finding {
	const name = "huge-pages"
	text, err := h.read("sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil {
		return unreadable(name, err)
	}
	_, rest, _ := strings.Cut(text, "[")
	choice, _, _ := strings.Cut(rest, "]")
	f := ok(name, "transparent huge pages: %s", choice)
	if choice != "always" && choice != "madvise" {
		return f.warn("lookups wait longer for memory; echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
	}
	return f
}

func (h host) checkDisk(dir string) finding {
	free, size, err := h.disk(dir)
	if err != nil {
		return ok("disk", "%s: %v", dir, err).fail("name the data_dir of simbindd.yaml")
	}
	f := ok("disk", "%s has %d of %d MiB free", dir, free>>20, size>>20)
	const do = "make room: when the disk is full nothing can be stored, and peers are no longer answered"
	switch {
	case free < failDiskFree:
		return f.fail(do)
	case free < warnDiskFree:
		return f.warn(do)
	default:
		return f
	}
}

func unreadable(check string, err error) finding {
	return ok(check, "cannot be read: %v", err).warn("ask as root, on the machine of simbindd")
}

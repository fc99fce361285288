package bpf

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// A kernel is the loaded program with its maps. Closing it takes all of them
// away; the hooks are closed before.
type kernel struct {
	objects tapObjects
	mode    string
}

// loadKernel loads the program. It needs CAP_BPF and CAP_NET_ADMIN.
func loadKernel(cfg Config) (*kernel, error) {
	// Kernels before 5.11 count maps as locked memory. Without the right to
	// raise the limit the load itself tells.
	_ = rlimit.RemoveMemlock()
	spec, err := specOf(cfg)
	if err != nil {
		return nil, err
	}
	k := &kernel{mode: cfg.Mode}
	if err := spec.LoadAndAssign(&k.objects, nil); err != nil {
		return nil, fmt.Errorf("load the tap's program: %w", err)
	}
	if k.mode == ModeAuto {
		k.mode = ModeTCX
		if !k.hasTCX() {
			k.mode = ModePacket
		}
	}
	return k, nil
}

// specOf is the program with its settings.
func specOf(cfg Config) (*ebpf.CollectionSpec, error) {
	spec, err := loadTap()
	if err != nil {
		return nil, fmt.Errorf("read the tap's program: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the CPUs: %w", err)
	}
	spec.Maps[tapMapScratches].MaxEntries = uint32(cpus)
	spec.Maps[tapMapRing].MaxEntries = uint32(cfg.RingBuffer)
	for name, value := range map[string]any{
		"gtp_ports":      portList(cfg.Ports.GTP),
		"pfcp_ports":     portList(cfg.Ports.PFCP),
		"radius_ports":   portList(cfg.Ports.RADIUS),
		"diameter_ports": portList(cfg.Ports.Diameter),
		"gtpv1_types":    typeSet(gtpv1Types),
		"gtpv2_types":    typeSet(gtpv2Types),
		"pfcp_types":     typeSet(pfcpTypes),
		"radius_codes":   typeSet(radiusCodes),
		"snap_length":    uint32(cfg.SnapLength),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return spec, nil
}

// hasTCX asks the kernel to attach to an interface that cannot exist: where it
// has TCX, it is the interface that it complains about.
func (k *kernel) hasTCX() bool {
	l, err := link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: k.objects.Ingress, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		l.Close()
	}
	return !errors.Is(err, ebpf.ErrNotSupported)
}

// counts are the outcomes of all packets so far, over all CPUs. What was matched
// is read last, so that it is never less than what became of it.
func (k *kernel) counts() (sum kernelCounts, err error) {
	for o := len(sum) - 1; o >= 0; o-- {
		var perCPU []uint64
		if err := k.objects.Counts.Lookup(uint32(o), &perCPU); err != nil {
			return sum, fmt.Errorf("read the tap's counters: %w", err)
		}
		for _, n := range perCPU {
			sum[o] += n
		}
	}
	return sum, nil
}

func (k *kernel) close() { k.objects.Close() }

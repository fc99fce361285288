package observe

import (
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/wire"
)

// Settings say what a standard Observer follows. Zero values are replaced by
// the usual ones.
type Settings struct {
	Sessions int           // that each protocol remembers: 1 000 000
	Wait     time.Duration // for a response: 30 s
	GTPC     []uint16      // UDP ports of GTPv1-C and GTPv2-C: 2123
	PFCP     []uint16      // UDP ports of PFCP: 8805
}

// A Standard is an Observer of all protocols that are known, with their
// followers.
type Standard struct {
	*Observer
	GTP  *gtp.Follower
	PFCP *pfcp.Follower
}

// NewStandard makes an Observer of all protocols that are known.
func NewStandard(submit binding.SubmitFunc, s Settings) *Standard {
	o := New(submit)
	st := &Standard{
		Observer: o,
		GTP:      gtp.New(o.Emit, gtp.Options{Sessions: s.Sessions, Wait: s.Wait}),
		PFCP:     pfcp.New(o.Emit, pfcp.Options{Sessions: s.Sessions, Wait: s.Wait}),
	}
	o.Follow(st.GTP, ports(wire.ProtoUDP, s.GTPC, 2123)...)
	o.Follow(st.PFCP, ports(wire.ProtoUDP, s.PFCP, 8805)...)
	return st
}

func ports(proto uint8, numbers []uint16, usual uint16) (list []Port) {
	if len(numbers) == 0 {
		numbers = []uint16{usual}
	}
	for _, n := range numbers {
		list = append(list, Port{proto, n})
	}
	return list
}

package observe

import (
	"math/rand/v2"
	"time"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/bpf/accounting"
	"github.com/simbind/simbind/bpf/gtp"
	"github.com/simbind/simbind/bpf/gx"
	"github.com/simbind/simbind/bpf/pfcp"
	"github.com/simbind/simbind/bpf/sender"
	"github.com/simbind/simbind/bpf/wire"
	"github.com/simbind/simbind/radius"
)

// Settings say what a standard Observer follows. Zero values are replaced by
// the usual ones.
type Settings struct {
	Sessions int           // that each protocol remembers: 1 000 000
	Wait     time.Duration // for a response: 30 s
	GTPC     []uint16      // UDP ports of GTPv1-C and GTPv2-C: 2123
	PFCP     []uint16      // UDP ports of PFCP: 8805
	RADIUS   []uint16      // UDP ports of RADIUS accounting: 1813, 1646
	Diameter []uint16      // TCP and SCTP ports of Diameter: 3868
	// Accounting is who accounts, and their secrets; see
	// [accounting.Options.Check].
	Accounting []radius.Client
	// MSISDNStrip are prefixes of which the first that fits is taken off a
	// number on Gx; nil means "+" and "00".
	MSISDNStrip []string
	// Groups are senders of Gx and PFCP that stand for each other.
	Groups sender.Groups
	// Silence is how long a node without a rhythm has to be silent until it counts
	// as down: 5 minutes. Below zero: it never does.
	Silence time.Duration
}

// usualSilence is that of [Settings].
const usualSilence = 5 * time.Minute

// A Standard is an Observer of all protocols that are known, with their
// followers.
type Standard struct {
	*Observer
	GTP        *gtp.Follower
	PFCP       *pfcp.Follower
	Accounting *accounting.Follower
	Gx         *gx.Follower
}

// NewStandard makes an Observer of all protocols that are known.
func NewStandard(submit binding.SubmitFunc, s Settings) *Standard {
	if s.Silence == 0 {
		s.Silence = usualSilence
	}
	quiet := max(s.Silence, 0)
	o := New(submit)
	// One capture is in order, by a number that no other source counts at.
	link := rand.Uint64()
	st := &Standard{
		Observer: o,
		GTP:      gtp.New(o.Emit, gtp.Options{Sessions: s.Sessions, Wait: s.Wait, Link: link, Silence: quiet, Room: o.Room}),
		PFCP: pfcp.New(o.Emit, pfcp.Options{
			Sessions: s.Sessions, Wait: s.Wait, Link: link, Groups: s.Groups, Silence: quiet, Room: o.Room,
		}),
		Accounting: accounting.New(o.Emit, accounting.Options{Clients: s.Accounting, Timeout: s.Wait}),
		Gx:         gx.New(o.Emit, gx.Options{MSISDNStrip: s.MSISDNStrip, Timeout: s.Wait, Groups: s.Groups, Silence: quiet}),
	}
	o.Follow(st.GTP, ports(wire.ProtoUDP, s.GTPC, 2123)...)
	o.Follow(st.PFCP, ports(wire.ProtoUDP, s.PFCP, 8805)...)
	o.Follow(st.Accounting, ports(wire.ProtoUDP, s.RADIUS, 1813, 1646)...)
	o.Follow(st.Gx, append(ports(wire.ProtoTCP, s.Diameter, 3868), ports(wire.ProtoSCTP, s.Diameter, 3868)...)...)
	return st
}

func ports(proto uint8, numbers []uint16, usual ...uint16) (list []Port) {
	if len(numbers) == 0 {
		numbers = usual
	}
	for _, n := range numbers {
		list = append(list, Port{proto, n})
	}
	return list
}

package worldtest

import (
	"github.com/simbind/simbind/binding"
)

// A Profile is a kind of world. What is zero does not happen in it, so that a
// class of faults can be looked for alone.
type Profile struct {
	Name  string
	About string
	// Turns is the length of one history: in each turn time passes, something
	// happens, and some questions are asked.
	Turns int
	// Strict takes a right answer that is withheld on a quiet line for a failure;
	// it is not made short.
	Strict bool

	Gateways, SIMs, Plots int
	Domains               int // with the same addresses
	Capacity              int

	// Telling has the sets of sources that a gateway may speak by.
	Telling [][]binding.Source
	Timing  Timing
	Clocks  Clocks
	Channel Channel
	Ground  Ground
	Words   Wording
	Happens Happenings
	// Patience bounds how often a history that failed is tried again while it is
	// made short; zero means 4000.
	Patience int

	wired bool // see Wired
}

// A Timing says how often a RADIUS or Gx node tells which time.
type Timing struct {
	Stamps, StampsAndDelay, Delay, None float64 // relative; Delay is of RADIUS alone
	Rounded                             float64 // of those with stamps: to the nearest second
	Fresh                               float64 // of those with both: a repetition is stamped when it is sent
	Age                                 float64 // share that tells the age of a session
}

// A Clocks says what the clocks of nodes are like.
type Clocks struct {
	Offset tick // at most so far from ours, either way
	Wander tick // and so much to each side with time
	Rest   tick // the shortest time between two settings of one clock
	Steady float64
}

// A Channel says what becomes of messages. The shares are of a bad line at its
// worst.
type Channel struct {
	Clean  float64 // share of gateways whose lines are perfect
	Loss   float64
	Late   float64
	Repeat float64 // by the node
	Double float64 // by the network: the same octets once more
}

// A Ground weighs what sessions get. The numbers are relative.
type Ground struct {
	Single float64 // an IPv4 address
	Dual   float64 // and a /64
	Prefix float64 // a /56, a /64 of it, or both
	Routed float64 // an IPv4 address and a framed route
	Block  float64 // a block of ports, or the whole of a shared address
	Wander float64 // share of plots that any gateway gives out
}

// A Wording says what words leave out.
type Wording struct {
	Nameless float64 // share of words without identity
	Partial  float64 // share of nodes that tell IMSI or number alone
	Bare     float64 // share of updates without addresses, of nodes that do so
	Reuse    float64 // share of sessions that get a former session's id
	Alias    float64 // share of RADIUS nodes with two names
	Contexts float64 // share of RADIUS refreshes that are of a second bearer context
	Impostor bool    // liars use the SIM of their victim
	// Namesakes lets all gateways have one name.
	Namesakes bool
}

// Happenings weigh what happens in a turn.
type Happenings struct {
	Start, Refresh, Stop float64
	Tide                 int     // for so many turns SIMs attach, and for as many they hardly do; zero: always
	Number               float64 // a SIM gets another number
	Modify               float64 // a session gets or gives up an address
	Handover             float64
	Reattach             float64 // without detach
	Restart              float64 // of a gateway
	Restore              float64 // of a user plane whose sessions are restored at once
	Step, Slip           float64 // of a clock: set; one bad stamp
	Cut                  float64 // of an ordered transport
	Kill                 float64 // of the subject
	Release              float64 // by an operator
	Lie                  float64
	Directory            float64
}

// base is what all profiles begin with: RADIUS, IPv4, steady clocks, bad lines.
func base(name, about string, change func(p *Profile)) Profile {
	p := Profile{
		Name: name, About: about, Turns: 400,
		Gateways: 2, SIMs: 10, Plots: 6, Domains: 1, Capacity: 10_000,
		Telling: [][]binding.Source{{binding.SourceRADIUS}},
		Timing:  Timing{StampsAndDelay: 1, Fresh: 0.5, Rounded: 0.2, Age: 0.5},
		Clocks:  Clocks{Steady: 1},
		Channel: Channel{Clean: 0.4, Loss: 0.3, Late: 0.3, Repeat: 0.4, Double: 0.1},
		Ground:  Ground{Single: 1},
		Happens: Happenings{Start: 10, Refresh: 22, Stop: 7},
	}
	change(&p)
	return p
}

// Profiles lists the named worlds.
func Profiles() []Profile {
	list := []Profile{
		base("steady", "one RADIUS source, IPv4 addresses, steady clocks, bad lines", func(*Profile) {}),
	}
	list = append(list, clockProfiles()...)
	list = append(list, sourceProfiles()...)
	list = append(list, sessionProfiles()...)
	list = append(list, strainProfiles()...)
	return append(list, base("everything", "all at once", everything))
}

// apart lets clocks be anything, and wander.
func apart(p *Profile) {
	p.Clocks = Clocks{Offset: 24 * 365 * hour, Wander: 40, Steady: 1}
}

// any lets nodes tell any time, or none.
func (t *Timing) any() {
	t.StampsAndDelay, t.Stamps, t.Delay, t.None = 3, 2, 1, 1
}

func clockProfiles() []Profile {
	return []Profile{
		base("apart", "clocks years ahead or behind that wander a little", apart),
		base("stepping", "clocks that are set every few minutes, by a second to a day", func(p *Profile) {
			apart(p)
			p.Clocks.Steady, p.Clocks.Rest, p.Happens.Step = 0.2, 3*minute, 1
			p.Timing.Stamps, p.Turns = 1, 800
		}),
		base("stepped", "clocks that are set once", func(p *Profile) {
			apart(p)
			p.Clocks.Steady, p.Clocks.Rest, p.Happens.Step = 0.2, 1000*hour, 0.3
			p.Timing.Stamps, p.Turns = 1, 800
		}),
		base("bad stamp", "now and then one bad stamp", func(p *Profile) {
			apart(p)
			p.Clocks.Steady, p.Clocks.Rest, p.Happens.Slip = 0.2, 3*minute, 1
			p.Timing.Stamps = 1
		}),
		base("stamp only", "nodes with Event-Timestamp and no Acct-Delay-Time", func(p *Profile) {
			apart(p)
			p.Timing.Stamps, p.Timing.StampsAndDelay = 1, 0
		}),
		base("delay only", "nodes with Acct-Delay-Time and no Event-Timestamp", func(p *Profile) {
			p.Timing.Delay, p.Timing.StampsAndDelay = 1, 0
		}),
		base("no time", "nodes that tell no time at all", func(p *Profile) {
			p.Timing.None, p.Timing.StampsAndDelay = 1, 0
			p.Happens.Restart = 0.1
		}),
	}
}

func sourceProfiles() []Profile {
	const gx, radius, gtp, pfcp = binding.SourceGx, binding.SourceRADIUS, binding.SourceGTPv2, binding.SourcePFCP
	return []Profile{
		base("gx", "Gx connections that break, PGWs that restart", func(p *Profile) {
			apart(p)
			p.Telling = [][]binding.Source{{gx}}
			p.Timing.None = 1
			p.Happens.Cut, p.Happens.Restart, p.Happens.Kill = 0.6, 0.2, 0.2
		}),
		base("two sources", "one session told by two or three sources", func(p *Profile) {
			apart(p)
			p.Telling = [][]binding.Source{{radius, gx}, {gx, gtp}, {gtp, pfcp}, {radius, gx, pfcp}}
			p.Timing.any()
			p.Happens.Cut, p.Happens.Restart = 0.2, 0.05
		}),
		base("two partial sources", "two sources, of which one may know the IMSI alone and one the number", func(p *Profile) {
			p.Telling = [][]binding.Source{{radius, gx}, {gx, gtp}, {radius, gtp}}
			p.Words.Partial, p.Words.Bare, p.Words.Nameless = 0.7, 0.5, 0.2
			p.Happens.Number = 0.3
		}),
		base("overheard", "GTP and PFCP on the wire, user planes that restart and are restored", func(p *Profile) {
			p.Telling = [][]binding.Source{{gtp, pfcp}, {gtp}, {gx, gtp}, {binding.SourceGTPv1}}
			p.Happens.Restore, p.Happens.Restart, p.Happens.Kill = 0.3, 0.1, 0.1
		}),
	}
}

func sessionProfiles() []Profile {
	return []Profile{
		base("reuse", "ids of sessions that are used again, with names missing", func(p *Profile) {
			p.Words.Reuse, p.Words.Nameless = 0.8, 0.2
			p.Words.Bare = 0.4
			p.Happens.Restart = 0.1
		}),
		base("identity", "names that are missing, partial, or change", func(p *Profile) {
			p.Words.Nameless, p.Words.Partial = 0.4, 0.4
			p.Happens.Number, p.Happens.Directory = 1, 0.5
		}),
		base("ranges", "prefixes in prefixes, framed routes, addresses given up", func(p *Profile) {
			p.Ground = Ground{Single: 1, Dual: 1, Prefix: 2, Routed: 1}
			p.Words.Bare = 0.3
			p.Happens.Modify = 1
		}),
		base("blocks", "blocks of ports, aligned or not, and whole addresses after them", func(p *Profile) {
			p.Ground = Ground{Block: 1}
			p.Plots, p.Happens.Modify = 3, 1
		}),
		base("domains", "the same addresses in several domains", func(p *Profile) {
			p.Domains, p.Plots = 3, 9
			p.Ground = Ground{Single: 2, Prefix: 1}
		}),
		base("handover", "a new session with the same address, the old one ended later", func(p *Profile) {
			p.Gateways, p.Ground.Wander = 3, 0.5
			p.Happens.Handover, p.Words.Contexts = 2, 0.1
		}),
		base("reattach", "a new session with another address, the old one ended silently", func(p *Profile) {
			p.Telling = [][]binding.Source{{binding.SourceRADIUS}, {binding.SourceGx}, {binding.SourceGTPv2}}
			p.Happens.Reattach = 3
		}),
		base("alias", "nodes that name themselves by identifier, by address, or both", func(p *Profile) {
			p.Words.Alias, p.Happens.Restart = 0.8, 0.1
		}),
	}
}

func strainProfiles() []Profile {
	return []Profile{
		base("restarts", "gateways that restart, sometimes twice at once", func(p *Profile) {
			p.Timing.any()
			p.Happens.Restart, p.Words.Reuse = 0.6, 0.4
		}),
		base("kills", "the daemon is killed now and then", func(p *Profile) {
			apart(p)
			p.Telling = [][]binding.Source{{binding.SourceRADIUS}, {binding.SourceGx}, {binding.SourceGx, binding.SourceGTPv2}}
			p.Timing.any()
			p.Happens.Kill, p.Happens.Restart, p.Words.Reuse = 0.8, 0.1, 0.3
		}),
		base("releases", "operators release addresses", func(p *Profile) {
			p.Ground = Ground{Single: 2, Prefix: 1, Block: 1}
			p.Happens.Release, p.Happens.Kill = 0.5, 0.1
		}),
		base("namesakes", "honest gateways that all have one name", func(p *Profile) {
			p.Telling = [][]binding.Source{{binding.SourceRADIUS}, {binding.SourceGx}, {binding.SourcePFCP, binding.SourceGTPv2}}
			p.Words.Namesakes, p.Words.Reuse, p.Gateways = true, 0.3, 3
			p.Happens.Restart, p.Happens.Cut = 0.2, 0.1
		}),
		base("liars", "others use the names of nodes and claim what is not theirs", func(p *Profile) {
			p.Telling = [][]binding.Source{{binding.SourceRADIUS}, {binding.SourceGx}}
			p.Ground = Ground{Single: 2, Prefix: 1}
			p.Happens.Lie, p.Happens.Restart = 2, 0.05
		}),
		base("impostors", "liars who name their victim's SIM with another number", func(p *Profile) {
			p.Happens.Lie, p.Words.Impostor = 2, true
		}),
		base("no room", "more sessions than the capacity", func(p *Profile) {
			p.Capacity, p.SIMs, p.Plots, p.Gateways, p.Turns = 24, 60, 60, 3, 1200
			p.Channel.Clean, p.Ground = 0.8, Ground{Single: 1, Dual: 1}
			p.Happens.Start, p.Happens.Stop, p.Happens.Restart = 24, 5, 0.05
			p.Happens.Tide = 200
		}),
	}
}

func everything(p *Profile) {
	const gx, radius, gtp, pfcp = binding.SourceGx, binding.SourceRADIUS, binding.SourceGTPv2, binding.SourcePFCP
	apart(p)
	p.Turns, p.Gateways, p.SIMs, p.Plots = 600, 3, 14, 10
	p.Telling = [][]binding.Source{{radius}, {radius}, {gx}, {radius, gx}, {gx, gtp}, {gtp, pfcp}}
	p.Timing.any()
	p.Clocks.Steady, p.Clocks.Rest = 0.5, 3*minute
	p.Ground = Ground{Single: 3, Dual: 2, Prefix: 2, Routed: 1, Block: 2, Wander: 0.2}
	p.Words = Wording{Nameless: 0.1, Partial: 0.2, Bare: 0.3, Reuse: 0.4, Alias: 0.3, Contexts: 0.02}
	p.Happens = Happenings{
		Start: 10, Refresh: 22, Stop: 7, Number: 0.2, Modify: 0.3, Handover: 0.3, Reattach: 0.3, Restart: 0.05,
		Restore: 0.05, Step: 0.2, Slip: 0.1, Cut: 0.1, Kill: 0.1, Release: 0.1, Lie: 0.2, Directory: 0.1,
	}
}

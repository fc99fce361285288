package worldtest

import "github.com/simbind/simbind/binding"

// A Profile is a kind of world. What is zero does not happen in it, so that a
// class of faults can be looked for alone.
type Profile struct {
	Name  string
	About string
	// Turns is the length of one history: in each turn time passes, something
	// happens, and some questions are asked.
	Turns int

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

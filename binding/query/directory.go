package query

import (
	"context"

	"github.com/simbind/simbind/binding"
)

// A DirectoryKeeper is a Registry with a directory of numbers.
type DirectoryKeeper interface {
	// Both are called from workers. Number asks for the number of a SIM; zero and
	// no error mean that it has none.
	Directory() (state binding.DirectoryState, on bool)
	Number(ctx context.Context, imsi binding.IMSI) (m binding.MSISDN, source string, err error)
}

// directory answers DIRECTORY: a map of its state, or of one SIM's number.
func directory(ctx context.Context, s *Server, w *reply, r *request) {
	keeper, ok := s.reg.(DirectoryKeeper)
	var state binding.DirectoryState
	if ok {
		state, ok = keeper.Directory()
	}
	switch {
	case !ok:
		w.refuse(refusedERR, "DIRECTORY: there is no directory section in the configuration")
	case len(r.args) == 1:
		w.directory(&state)
	default:
		w.number(ctx, keeper, string(r.args[1]))
	}
}

func (w *reply) number(ctx context.Context, keeper DirectoryKeeper, text string) {
	imsi, err := binding.ParseIMSI(text)
	if err != nil {
		w.refuse(refusedBADNUM, "DIRECTORY takes an IMSI of 6 to 15 digits")
		return
	}
	m, source, err := keeper.Number(ctx, imsi)
	if err != nil {
		w.refuse(refusedERR, "directory: "+err.Error())
		return
	}
	w.object(3)
	w.textField("imsi", imsi.String())
	w.textField("msisdn", m.String())
	w.textField("source", source)
}

func (w *reply) directory(d *binding.DirectoryState) {
	w.object(7)
	w.uintField("near", d.Near)
	w.uintField("found", d.Found)
	w.uintField("none", d.None)
	w.uintField("dropped", d.Dropped)
	w.intField("waiting", d.Waiting)
	w.intField("last_us", int(d.Last.Microseconds()))
	w.bulk("sources")
	w.array(len(d.Sources))
	for i := range d.Sources {
		one := &d.Sources[i]
		w.object(8)
		w.textField("name", one.Name)
		w.uintField("found", one.Found)
		w.uintField("unknown", one.Unknown)
		w.uintField("failed", one.Failed)
		w.intField("rows", one.Rows)
		w.intField("contradictory", one.Contradictory)
		w.timeField("read", one.Read)
		w.textField("problem", one.Problem)
	}
}

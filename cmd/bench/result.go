package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// A result is one line of the table.
type result struct {
	Part string `json:"part"`
	Work string `json:"work"`
	// Here is what was measured of us, There of the peer, in Unit: "s", "B",
	// "/s" or "".
	Here  float64 `json:"here,omitempty"`
	Unit  string  `json:"unit,omitempty"`
	Peer  string  `json:"peer,omitempty"`
	There float64 `json:"there,omitempty"`
	// Ratio is Here / There, of the medians.
	Ratio float64 `json:"ratio,omitempty"`
	Reach *goal   `json:"reach,omitempty"`
	// Reached is nil for a figure without a target.
	Reached *bool    `json:"reached,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	// Rounds are the single figures behind Here, PeerRounds behind There.
	Rounds     []float64 `json:"rounds,omitempty"`
	PeerRounds []float64 `json:"peer_rounds,omitempty"`
}

// A goal bounds a ratio, or without a peer the figure itself.
type goal struct {
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	Zero    bool    `json:"zero,omitempty"`
}

func atLeast(v float64) *goal { return &goal{AtLeast: v} }
func atMost(v float64) *goal  { return &goal{AtMost: v} }

// figure is a result without a peer.
func figure(work, unit string, rounds []float64, reach *goal) result {
	r := result{Work: work, Here: median(rounds), Unit: unit, Reach: reach, Rounds: rounds}
	r.judge(r.Here)
	return r
}

// versus is a result beside its peer.
func versus(work, unit string, rounds []float64, peer string, peerRounds []float64, reach *goal) result {
	r := result{
		Work: work, Here: median(rounds), Unit: unit, Peer: peer, There: median(peerRounds), Reach: reach,
		Rounds: rounds, PeerRounds: peerRounds,
	}
	if r.There != 0 {
		r.Ratio = r.Here / r.There
	}
	r.judge(r.Ratio)
	return r
}

func (r *result) judge(v float64) {
	if r.Reach == nil {
		return
	}
	reached := v >= r.Reach.AtLeast && (r.Reach.AtMost == 0 || v <= r.Reach.AtMost) && (!r.Reach.Zero || v == 0)
	r.Reached = &reached
}

// noted adds a remark.
func (r result) noted(format string, args ...any) result {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
	return r
}

// reach is the target in words.
func (r *result) reach() string {
	show := func(v float64) string {
		if r.Peer != "" {
			return fmt.Sprintf("%.3g x", v)
		}
		return quantity(v, r.Unit)
	}
	switch {
	case r.Reach == nil:
		return ""
	case r.Reach.Zero:
		return "0"
	case r.Reach.AtLeast != 0:
		return ">= " + show(r.Reach.AtLeast)
	}
	return "<= " + show(r.Reach.AtMost)
}

func (r *result) verdict() string {
	switch {
	case r.Reached == nil:
		return ""
	case *r.Reached:
		return "yes"
	}
	return "NO"
}

// printTable aligns the results for a reader. Remarks follow, numbered.
func printTable(w io.Writer, results []result) {
	fmt.Fprintf(w, "\n%s\n\n", machine())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "part\twork\there\tpeer\tratio\treach\treached")
	var notes []string
	for i := range results {
		r := &results[i]
		work := r.Work
		for _, note := range r.Notes {
			notes = append(notes, note)
			work += fmt.Sprintf(" [%d]", len(notes))
		}
		here, peer, ratio := "", "", ""
		if r.Rounds != nil {
			here = quantity(r.Here, r.Unit)
		}
		if r.Peer != "" {
			peer = r.Peer + " " + quantity(r.There, r.Unit)
			ratio = fmt.Sprintf("%.2f x", r.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Part, work, here, peer, ratio, r.reach(), r.verdict())
	}
	t.Flush()
	for i, note := range notes {
		fmt.Fprintf(w, "[%d] %s\n", i+1, note)
	}
}

func printJSON(w io.Writer, results []result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"machine": machine(), "results": results})
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

// quantity shows three digits of a value with its unit.
func quantity(v float64, unit string) string {
	switch unit {
	case "s":
		for _, u := range []struct {
			name  string
			scale float64
		}{{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}} {
			if v < 999.5*u.scale {
				return digits(v/u.scale) + " " + u.name
			}
		}
	case "/s":
		switch {
		case v >= 999_500:
			return digits(v/1e6) + " M/s"
		case v >= 9_995:
			return digits(v/1e3) + " k/s"
		}
		return digits(v) + "/s"
	}
	return strings.TrimSpace(digits(v) + " " + unit)
}

func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%.*f", max(2-int(math.Floor(math.Log10(math.Abs(v)))), 0), v)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

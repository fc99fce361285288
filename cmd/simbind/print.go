package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// print writes v as JSON for machines, or as table does for people.
func (c *cli) print(v any, table func(*grid)) error {
	if c.output == "json" {
		enc := json.NewEncoder(c.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	g := newGrid(c.stdout)
	table(g)
	return g.w.Flush()
}

// A grid aligns cells in columns.
type grid struct{ w *tabwriter.Writer }

func newGrid(out io.Writer) *grid {
	return &grid{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
}

// row writes one line of cells. An empty cell shows as "-".
func (g *grid) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if texts[i] = printable(fmt.Sprint(cell)); texts[i] == "" {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(g.w, strings.Join(texts, "\t"))
}

// fact writes a line of a description, unless there is nothing to say.
func (g *grid) fact(name string, v any) {
	if text := fmt.Sprint(v); text != "" {
		g.row(name, text)
	}
}

// printable keeps what a peer chose (names, session ids) from moving the
// operator's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// stamp is a time as people and logs write it, with its distance from now.
func (c *cli) stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return utc(t) + " (" + c.distance(t) + ")"
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// distance is "3m12s ago" or "in 3m12s".
func (c *cli) distance(t time.Time) string {
	switch d := c.now().Sub(t); {
	case t.IsZero():
		return ""
	case d < 0:
		return "in " + age(-d)
	default:
		return age(d) + " ago"
	}
}

// age is a duration in its two largest units.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// share is "30 of 100 (30%)".
func share(n, limit int) string {
	if limit <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d (%d%%)", n, limit, percent(n, limit))
}

func percent(n, limit int) int {
	if limit <= 0 {
		return 0
	}
	return int(int64(n) * 100 / int64(limit))
}

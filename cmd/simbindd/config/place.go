package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Problem is one thing that is wrong with the file.
type Problem struct {
	Line int // zero if it belongs to no line
	Text string
}

// Error is everything that is wrong with one file.
type Error struct {
	File     string
	Problems []Problem
}

// Error has one line per problem, "FILE:LINE: …".
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "%s:%d: %s", e.File, p.Line, p.Text)
		} else {
			fmt.Fprintf(&b, "%s: %s", e.File, p.Text)
		}
	}
	return b.String()
}

// findings collects what is wrong and what is only doubtful.
type findings struct {
	problems []Problem
	warnings []string
}

func (f *findings) sort() {
	slices.SortStableFunc(f.problems, func(a, b Problem) int { return a.Line - b.Line })
}

// A place is a key of the file, for messages about it. A key that is absent
// has the line of what it is missing from.
type place struct {
	*findings
	node *yaml.Node // nil if the key is absent
	line int
	path string
}

// key is the place of a key in a mapping.
func (p place) key(name string) place {
	q := p.below(name)
	if p.path != "" {
		q.path = p.path + "." + name
	}
	if p.node == nil || p.node.Kind != yaml.MappingNode {
		return q
	}
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		if k := p.node.Content[i]; k.Value == name {
			return q.on(p.node.Content[i+1], k.Line)
		}
	}
	return q
}

// item is the place of an element of a list.
func (p place) item(i int) place {
	q := p.below(fmt.Sprintf("%s[%d]", p.path, i))
	if p.node == nil || p.node.Kind != yaml.SequenceNode || i >= len(p.node.Content) {
		return q
	}
	return q.on(p.node.Content[i], p.node.Content[i].Line)
}

func (p place) below(path string) place {
	return place{findings: p.findings, line: p.line, path: path}
}

func (p place) on(n *yaml.Node, line int) place {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p.node, p.line = n, line
	return p
}

func (p place) failf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.path != "" {
		text = p.path + ": " + text
	}
	p.problems = append(p.problems, Problem{p.line, text})
}

// check reports err, if it is one, and whether there was none. The parts begin
// their errors with the key that they refuse: it is the place then, and is named
// once.
func (p place) check(err error) bool {
	if err != nil {
		at, text := p.named(err.Error())
		at.failf("%s", text)
	}
	return err == nil
}

// named takes the names off the start of text: those of p are said with its path,
// those of keys below lead there.
func (p place) named(text string) (place, string) {
	for {
		word, rest, more := strings.Cut(text, " ")
		word = strings.TrimSuffix(word, ":")
		switch at := p.key(word); {
		case !more:
			return p, text
		case at.node != nil:
			p = at
		case !p.saysAlready(word):
			return p, text
		}
		text = rest
	}
}

// saysAlready reports whether the path has a word, or a list of such.
func (p place) saysAlready(word string) bool {
	return slices.ContainsFunc(strings.Split(p.path, "."), func(key string) bool {
		key, _, _ = strings.Cut(key, "[")
		return key == word || key == word+"s"
	})
}

func (p place) warnf(format string, args ...any) {
	p.warnings = append(p.warnings, p.path+": "+fmt.Sprintf(format, args...))
}

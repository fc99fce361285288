package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Load reads and checks a file. Its error is an *Error if the file could be
// read. It does nothing but read: the file itself and those with secrets and
// certificates that it names, relative to the working directory.
func Load(name string) (Config, error) {
	text, mode, err := readBounded(name, maxFile)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	raw, root, problems := parse(text)
	if len(problems) > 0 {
		return Config{}, &Error{name, problems}
	}
	found := &findings{}
	cfg := raw.check(place{findings: found, node: root, line: 1})
	if mode&0o004 != 0 && raw.hasSecrets() {
		found.warnings = append(found.warnings, fmt.Sprintf(
			"every user of this host can read %s, which has secrets (mode %04o); use secret_file, or run: chmod o-r %s", name, mode.Perm(), name))
	}
	if len(found.problems) > 0 {
		found.sort()
		return Config{}, &Error{name, found.problems}
	}
	cfg.Warnings, cfg.written = found.warnings, raw
	return cfg, nil
}

// parse reads the text twice: into the keys that exist, and into a tree that
// knows the lines.
func parse(text []byte) (raw file, root *yaml.Node, problems []Problem) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	switch err := dec.Decode(&raw); {
	case errors.Is(err, io.EOF):
		return file{}, nil, []Problem{{Text: "is empty; at least site and data_dir are required"}}
	case err != nil:
		return file{}, nil, explain(err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return file{}, nil, []Problem{{Text: `has more than one document ("---")`}}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return file{}, nil, explain(err)
	}
	return raw, doc.Content[0], nil
}

var (
	lineOf     = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)
	unknownKey = regexp.MustCompile(`^field (.*) not found in type .*$`)
	wrongType  = regexp.MustCompile("^cannot unmarshal !!(\\w+)( `.*`)? into (.*)$")
)

// explain turns the decoder's words into those of an operator, who knows no Go
// types.
func explain(err error) []Problem {
	texts := []string{err.Error()}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		texts = typed.Errors
	}
	var problems []Problem
	for _, text := range texts {
		m := lineOf.FindStringSubmatch(text)
		line, _ := strconv.Atoi(m[1]) // no number: no line
		problems = append(problems, Problem{line, inPlainWords(m[2])})
	}
	return problems
}

func inPlainWords(text string) string {
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("unknown key %q", m[1])
	}
	if m := wrongType.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s%s is not %s", yamlKinds[m[1]], m[2], goKind(m[3]))
	}
	return text
}

var yamlKinds = map[string]string{
	"str": "the text", "int": "the number", "float": "the number", "bool": "the value", "null": "an empty value",
	"seq": "a list", "map": "a mapping", "timestamp": "the time", "binary": "binary data", "merge": "a merge key",
}

func goKind(name string) string {
	switch {
	case name == "bool":
		return "true or false"
	case name == "string":
		return "a text"
	case name == "int" || name == "uint32":
		return "a whole number within its range"
	case len(name) > 2 && name[:2] == "[]":
		return "a list"
	}
	return "a mapping of keys"
}

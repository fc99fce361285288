package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	reference = "../../../deploy/simbindd.yaml"
	handbook  = "../../../docs/configuration.md"
)

func TestTheReferenceFileIsRight(t *testing.T) {
	if _, err := Load(reference); err != nil {
		t.Fatal(err)
	}
}

func TestTheReferenceFileHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	// What is commented out becomes a key again.
	whole := regexp.MustCompile(`(?m)^( *)#(- |[a-z])`).ReplaceAllString(string(text), "$1$2")
	_, root, problems := parse([]byte(whole))
	if len(problems) > 0 {
		t.Fatalf("with every key in force: %v", problems)
	}
	got := map[string]bool{}
	written("", root, got)
	for _, key := range keys("", reflect.TypeFor[file]()) {
		if !got[key] {
			t.Errorf("%s has no %s", reference, key)
		}
	}
}

func TestEveryKeyOfTheReferenceFileHasAComment(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`^ *#?(?:- )?([a-z_]+):`)
	commented := false // since the last one, or by the key before
	for i, line := range strings.Split(string(text), "\n") {
		switch m := key.FindStringSubmatch(line); {
		case strings.HasPrefix(strings.TrimSpace(line), "# "):
			commented = true
		case m == nil:
			commented = false
		case !commented && !slices.Contains([]string{"uids", "gids"}, m[1]):
			t.Errorf("%s:%d: %s has no comment", reference, i+1, m[1])
		}
	}
}

func TestTheHandbookHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(handbook)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys("", reflect.TypeFor[file]()) {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("%s does not mention `%s`", handbook, key)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.\\[\\]]+)`").FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(keys("", reflect.TypeFor[file]()), m[1]) {
			t.Errorf("%s describes `%s`, which does not exist", handbook, m[1])
		}
	}
}

// keys are the paths of all keys that hold a value, "domains[].pools", and mean
// something.
func keys(path string, typ reflect.Type) []string {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct {
		path, typ = path+"[]", typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return []string{path}
	}
	var list []string
	for i := range typ.NumField() {
		if slices.Contains(formerKeys, typ.Field(i).Tag.Get("yaml")) {
			continue
		}
		list = append(list, keys(join(path, typ.Field(i).Tag.Get("yaml")), typ.Field(i).Type)...)
	}
	return list
}

// written adds the paths of the keys of a tree.
func written(path string, n *yaml.Node, to map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			written(join(path, n.Content[i].Value), n.Content[i+1], to)
		}
	case yaml.SequenceNode:
		to[path] = true
		for _, item := range n.Content {
			written(path+"[]", item, to)
		}
	default:
		to[path] = true
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

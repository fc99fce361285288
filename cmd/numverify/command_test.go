package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"go.yaml.in/yaml/v3"
)

// run is one run of the program.
func run(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = program(context.Background(), env{args: args, stdout: &stdout, stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// reference is deploy/numverify.yaml with its secrets in a folder.
func reference(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/numverify.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"subject.key", "audit.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("0", 64)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(string(text), "/etc/simbind", dir)
}

func check(t *testing.T, text string) (code int, out, err string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "numverify.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return run("--config", file, "--check")
}

func TestTheReferenceIsGoodAndHasEveryKey(t *testing.T) {
	text := reference(t, t.TempDir())
	if code, _, stderr := check(t, text); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/numverify.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(reflect.TypeFor[file](), "") {
		at := any(tree)
		for part := range strings.SplitSeq(key, ".") {
			m, _ := at.(map[string]any)
			if at = m[part]; at == nil {
				t.Errorf("deploy/numverify.yaml has no %s", key)
				break
			}
		}
		if !strings.Contains(string(docs), "`"+key+"`") {
			t.Errorf("docs/numverify.md does not tell of `%s`", key)
		}
	}
}

// keys are the dotted names of all values of a file.
func keys(of reflect.Type, prefix string) (list []string) {
	for i := range of.NumField() {
		f := of.Field(i)
		name := prefix + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			list = append(list, keys(f.Type, name+".")...)
			continue
		}
		list = append(list, name)
	}
	return list
}

// onLine is where an error says where.
var onLine = regexp.MustCompile(`(numverify\.yaml:|line )\d+: `)

func TestWhatIsWrongIsTold(t *testing.T) {
	text := reference(t, t.TempDir())
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown key", "drain: 10s", "drian: 10s", "drian"},
		{"an issuer that is not https", "https://nv.operator.example", "http://nv.operator.example", "issuer"},
		{"an issuer with a path", "https://nv.operator.example", "https://nv.operator.example/x", "issuer"},
		{"a code that lives too long", "code_life: 60s", "code_life: 2m", "code_life"},
		{"a token that lives too long", "token_life: 300s", "token_life: 1h", "token_life"},
		{"a header that nobody may send", "trusted: [192.0.2.10/32]", "trusted: []", "proxies"},
		{"an unknown header", "header: forwarded", "header: x-real-ip", "proxies.header"},
		{"a prefix with bits beyond its length", "192.0.2.10/32", "192.0.2.10/24", "proxies.trusted"},
		{"half a certificate", "  key_file: ", "  # key_file: ", "tls"},
		{"another continuity", "continuity: token", "continuity: none", "continuity"},
		{"another state", "state: nats", "state: redis", "state"},
		{"metrics for everybody", "listen: 127.0.0.1:9465", "listen: 0.0.0.0:9465", "metrics.listen"},
		{"a level of its own", "level: info", "level: loud", "log.level"},
	} {
		changed := strings.Replace(text, tt.old, tt.new, 1)
		if changed == text {
			t.Fatalf("%s: nothing changed", tt.name)
		}
		if code, _, stderr := check(t, changed); code != exitUsage || !strings.Contains(stderr, tt.want) || !onLine.MatchString(stderr) {
			t.Errorf("%s: exit %d, %q", tt.name, code, stderr)
		}
	}
	missing := strings.Replace(text, "  socket:", "  # socket:", 1)
	line := 1 + strings.Count(text[:strings.Index(text, "\nsimbindd:")+1], "\n")
	if _, _, stderr := check(t, missing); !strings.Contains(stderr, fmt.Sprintf(":%d: simbindd.socket", line)) {
		t.Errorf("a missing key is told of on line %d: %q", line, stderr)
	}
	plain := strings.Replace(strings.Replace(text, "  cert_file: ", "  # cert_file: ", 1), "  key_file: ", "  # key_file: ", 1)
	plain = strings.Replace(plain, "tls:  ", "tls: {} #", 1)
	if code, _, stderr := check(t, plain); code != exitUsage || !strings.Contains(stderr, "allow_plain") {
		t.Errorf("plain beyond loopback: exit %d, %q", code, stderr)
	}
}

func TestAShortKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := reference(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "subject.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := check(t, text); code != exitUsage || !strings.Contains(stderr, "openssl rand") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestKeysRotate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	ids := map[string]bool{}
	for n := 1; n <= 3; n++ {
		if code, _, stderr := run("keys", file); code != exitOK {
			t.Fatal(stderr)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != n || ids[set.Keys[0].KeyID] {
			t.Fatalf("%d keys, %v: the new one is first, the others stay", len(set.Keys), err)
		}
		ids[set.Keys[0].KeyID] = true
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAClientKeyIsMadeOnceAndItsPublicHalfPrinted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.json")
	code, out, stderr := run("client-key", file)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(out), &set); code != exitOK || err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Fatalf("exit %d, %v, %s", code, err, stderr)
	}
	if code, _, _ := run("client-key", file); code != exitFailed {
		t.Errorf("a key that is there was overwritten: exit %d", code)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"--nonsense"}, {"keys"}, {"sample-app", "operand"}} {
		if code, _, stderr := run(args...); code != exitUsage || !strings.Contains(stderr, "numverify help") {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
	if code, out, _ := run("--help"); code != exitOK || !strings.HasPrefix(out, "numverify answers apps") {
		t.Errorf("exit %d, %q", code, out)
	}
}

// Package simbind_test holds the rules of the house that no compiler checks:
// who may import whom, how long a file or a function may get, and what does
// not belong into any of them. Each failure says what to do.
package simbind_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/simbind/simbind"

// mayImport says, for each folder with Go code, which of our packages its
// product code may import. A folder speaks for those below it that have no
// line of their own, and these may import each other. A trailing "/…" means
// the folder and all below it; "*" means everything but programs.
var mayImport = map[string][]string{
	"cmd/simbindd":       {"*"},
	"cmd/simbind":        {"binding", "binding/crowdtest", "binding/query", "binding/registry", "radius/…", "diameter/…", "bpf/…"},
	"cmd/numverify":      {"numverify/…", "binding/query"},
	"cmd/bench":          {"*"},
	"diameter":           {"binding", "binding/crowdtest"},
	"diameter/sh":        {"binding", "diameter", "directory"},
	"diameter/sh/shtest": {"binding", "diameter/diametertest"},
	"directory":          {"binding"},
	"directory/udm":      {"binding", "directory"},
	"radius":             {"binding", "binding/crowdtest"},
	"bpf":                {"binding", "binding/crowdtest", "radius", "diameter"},
	"binding":            {},
	"binding/clock":      {},
	"binding/index":      {},
	"binding/table":      {"binding", "binding/clock", "binding/index"},
	"binding/registry":   {"binding", "binding/clock", "binding/index", "binding/table"},
	"binding/crowdtest":  {"binding"},
	"binding/worldtest":  {"binding"},
	"binding/journal":    {"binding"},
	"binding/feed":       {"binding"},
	"binding/query":      {"binding", "binding/index"},
	"cache":              {"binding"},
	"numverify":          {"binding/query"},
}

// onlyIn names the folders in which a foreign module may be imported outside
// tests: independent peers must not end up in the daemon.
var onlyIn = map[string][]string{
	"layeh.com/radius":                         {"radius/radiustest"},
	"github.com/fiorix/go-diameter":            {"diameter/diametertest", "diameter/sh/shtest"},
	"github.com/redis/go-redis":                {},
	"github.com/wmnsk/go-gtp":                  {"bpf/gtp/gtptest"},
	"github.com/wmnsk/go-pfcp":                 {"bpf/pfcp/pfcptest"},
	"github.com/santhosh-tekuri/jsonschema/v6": {},
}

const (
	maxFileLines     = 700
	maxFunctionLines = 80
	maxPackageFiles  = 20 // that are no tests; programs are exempt
	maxTypeFiles     = 3  // over which the methods of one type may be spread
)

// A goFile is one parsed Go file of the module.
type goFile struct {
	name      string // slash-separated, from the root
	dir       string // "." for the root
	text      string
	syntax    *ast.File
	fset      *token.FileSet
	test      bool // a _test.go file
	generated bool
}

func (f *goFile) line(pos token.Pos) int { return f.fset.Position(pos).Line }

func TestImportsFollowTheTable(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, spec := range f.syntax.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			if !isOurs {
				continue
			}
			if problem := importProblem(f, ours); problem != "" {
				t.Errorf("%s:%d imports %s: %s", f.name, f.line(spec.Pos()), ours, problem)
			}
		}
	}
}

// importProblem says what is wrong with the import of our folder ours in f, or
// nothing.
func importProblem(f *goFile, ours string) string {
	if strings.HasPrefix(ours, "cmd/") && !within(ours, program(f.dir)) {
		return "a program is imported by nobody; move what is shared into the package that owns the subject"
	}
	if f.test {
		return ""
	}
	if isTestPeer(ours) && !isTestPeer(f.dir) && !within(f.dir, "cmd") {
		return "test peers are for tests and programs; product code must not depend on them"
	}
	folder, allowed, ok := ruleFor(f.dir)
	switch {
	case !ok:
		return "the folder " + f.dir + " has no line in mayImport (architecture_test.go); add it with what it may import"
	case slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, ours) }):
		return ""
	case hasRule(ours) || !within(ours, folder):
		return folder + " may import only " + strings.Join(append(allowed, "its own folders"), ", ") +
			"; hand the thing over in cmd/simbindd, or declare a small interface where it is used"
	default:
		return ""
	}
}

func TestForeignPeersStayOutOfTheDaemon(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test {
			continue
		}
		for _, spec := range f.syntax.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			for foreign, folders := range onlyIn {
				if within(imported, foreign) && !slices.Contains(folders, f.dir) {
					t.Errorf("%s:%d imports %s, which is for tests; outside of _test.go files only these folders may: %q",
						f.name, f.line(spec.Pos()), imported, folders)
				}
			}
		}
	}
}

func TestPackagesAreNamedAfterTheirSubject(t *testing.T) {
	for _, f := range goFiles(t) {
		names := append(strings.Split(f.dir, "/"), f.syntax.Name.Name)
		if i := slices.IndexFunc(names, isBanned); i >= 0 {
			t.Errorf("%s: %q names no subject; call the package after the thing that it holds", f.name, names[i])
		}
	}
}

func isBanned(name string) bool {
	return slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "internal", "manager"}, name)
}

func TestEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range goFiles(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.syntax.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment; write 5 to 30 lines in its doc.go: what it is for and how it is used", dir)
		}
	}
}

func TestFilesAndFunctionsFitTheReader(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.test || f.generated {
			continue
		}
		if n := strings.Count(f.text, "\n"); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d; give each subject its own file", f.name, n, maxFileLines)
		}
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.line(fn.End()) - f.line(fn.Pos()) + 1; n > maxFunctionLines {
				t.Errorf("%s:%d: %s has %d lines, at most %d; name its steps as functions",
					f.name, f.line(fn.Pos()), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// larger names the packages and types that are beyond maxPackageFiles and
// maxTypeFiles, with the size that they have: they may shrink, none may grow.
var larger = map[string]int{
	"binding/clock.Clock":       4,
	"binding/feed":              41,
	"binding/feed.Feed":         9,
	"binding/feed.publisher":    4,
	"binding/journal.Journal":   6,
	"binding/query":             33,
	"binding/query.Server":      8,
	"binding/query.loop":        5,
	"binding/query.reply":       4,
	"binding/registry.Registry": 4,
	"binding/table.Memory":      9,
	"binding/worldtest.game":    5,
	"binding/worldtest.voice":   4,
	"binding/worldtest.world":   7,
	"bpf.Tap":                   4,
	"bpf/gtp.Follower":          8,
	"bpf/pfcp.Follower":         5,
	"cmd/bench.stage":           5,
	"cmd/simbind.cli":           17,
	"cmd/simbindd/config.place": 4,
	"cmd/simbindd/demo.demo":    5,
	"diameter":                  39,
	"diameter.Server":           9,
	"diameter.conn":             10,
	"numverify/authz.Server":    8,
	"radius":                    23,
	"radius.Request":            4,
	"radius.Server":             5,
}

func TestPackagesAndTypesFitTheReader(t *testing.T) {
	files := map[string]int{}
	methods := map[string][]string{} // the files with methods of a type
	for _, f := range goFiles(t) {
		if f.test || f.generated {
			continue
		}
		files[f.dir]++
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv == nil {
				continue
			}
			if typ := f.dir + "." + receiver(fn); !slices.Contains(methods[typ], f.name) {
				methods[typ] = append(methods[typ], f.name)
			}
		}
	}
	for dir, n := range files {
		if most := max(maxPackageFiles, larger[dir]); n > most && !within(dir, "cmd") {
			t.Errorf("package %s has %d files, at most %d; give the new subject its own package", dir, n, most)
		}
	}
	for typ, names := range methods {
		if most := max(maxTypeFiles, larger[typ]); len(names) > most {
			t.Errorf("the methods of %s are in %d files, at most %d: %q; it does more than one thing", typ, len(names), most, names)
		}
	}
}

// receiver is the name of the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	typ := fn.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func TestNothingRunsAtImport(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: func init hides work from the reader; do it in New or in main", f.name, f.line(fn.Pos()))
			}
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if calls(call, "time", "Sleep") {
				t.Errorf("%s:%d: time.Sleep; wait for the thing itself (a channel, a ticker with a deadline), or sleep within synctest.Test",
					f.name, f.line(n.Pos()))
			}
			return !calls(call, "synctest", "Test") // whose time passes at once
		})
	}
}

func calls(call *ast.CallExpr, pkg, function string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != function {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func TestEveryModuleHasItsReasonOnPaper(t *testing.T) {
	const page = "docs/decisions/0001-dependencies.md"
	reasons, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`(?m)^(?:require )?\t?([\w.-]+\.[\w./-]+) (v\S+)$`) // without "// indirect"
	for _, m := range direct.FindAllStringSubmatch(string(gomod), -1) {
		if line := "| `" + m[1] + "` | " + m[2] + " |"; !strings.Contains(string(reasons), line) {
			t.Errorf("%s has no line that starts with %q; add why the module is needed, or its new version", page, line)
		}
	}
}

func TestNoMarksAreLeft(t *testing.T) {
	marks := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	for _, name := range textFiles(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if mark := marks.FindString(line); mark != "" {
				t.Errorf("%s:%d: %s; do it, or open an issue and delete the mark", name, i+1, mark)
			}
		}
	}
}

// ruleFor finds the line of mayImport that speaks for a folder: its own or the
// nearest one above.
func ruleFor(dir string) (folder string, allowed []string, ok bool) {
	for folder = dir; folder != "."; folder = path.Dir(folder) {
		if allowed, ok = mayImport[folder]; ok {
			return folder, allowed, true
		}
	}
	return "", nil, false
}

func hasRule(dir string) bool {
	_, ok := mayImport[dir]
	return ok
}

func matches(pattern, dir string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/…"); ok {
		return within(dir, tree)
	}
	return pattern == "*" || pattern == dir
}

// within reports whether dir is tree or below it.
func within(dir, tree string) bool {
	return dir == tree || strings.HasPrefix(dir, tree+"/")
}

// program is the folder of the program that dir belongs to, or "none".
func program(dir string) string {
	parts := strings.Split(dir, "/")
	if parts[0] != "cmd" || len(parts) < 2 {
		return "none"
	}
	return path.Join(parts[:2]...)
}

func isTestPeer(dir string) bool { return strings.HasSuffix(path.Base(dir), "test") }

// goFiles parses every Go file of the module.
func goFiles(t *testing.T) []*goFile {
	t.Helper()
	fset := token.NewFileSet()
	var files []*goFile
	for _, name := range textFiles(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, &goFile{
			name: name, dir: path.Dir(name), text: string(text), syntax: syntax, fset: fset,
			test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax),
		})
	}
	if len(files) == 0 {
		t.Fatal("found no Go file; the test must run in the root of the module")
	}
	return files
}

// textFiles lists the sources of the module: code, scripts, configuration and
// documents, without what is built, recorded or hidden.
func textFiles(t *testing.T) []string {
	t.Helper()
	kinds := []string{".go", ".c", ".h", ".md", ".sh", ".yaml", ".yml", ".json", ".service", ".mod"}
	skipped := []string{"bin", "data", "testdata", "bench-out"}
	var names []string
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."), entry.IsDir() && slices.Contains(skipped, entry.Name()):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.Type().IsRegular() && (slices.Contains(kinds, path.Ext(name)) || entry.Name() == "Makefile"):
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

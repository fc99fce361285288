package simbind_test

import (
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/simbind/simbind/binding"
	"github.com/simbind/simbind/binding/worldtest"
)

const rulesPage = "docs/rules.md"

// declared are the functions of the product code below binding, as
// "package.Type.method", and the names of the tests there.
func declared(t *testing.T) (functions, tests map[string]bool) {
	functions, tests = map[string]bool{}, map[string]bool{}
	for _, f := range goFiles(t) {
		if !strings.HasPrefix(f.dir, "binding") {
			continue
		}
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			switch {
			case !ok:
			case f.test:
				tests[fn.Name.Name] = true
			default:
				functions[path.Base(f.dir)+"."+method(fn)+fn.Name.Name] = true
				functions[path.Base(f.dir)+"/"+path.Base(f.name)+" "+method(fn)+fn.Name.Name] = true
			}
		}
	}
	return functions, tests
}

// method is the type of a method with a dot behind it, empty for functions.
func method(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	return receiver(fn) + "."
}

func TestTheRulesAreWhereTheirPageSays(t *testing.T) {
	text, err := os.ReadFile(rulesPage)
	if err != nil {
		t.Fatal(err)
	}
	functions, tests := declared(t)
	named := 0
	for _, m := range regexp.MustCompile("`((?:clock|table|registry)\\.[A-Za-z.]+)`").FindAllStringSubmatch(string(text), -1) {
		if named++; !functions[m[1]] {
			t.Errorf("%s names %s, which does not exist", rulesPage, m[1])
		}
	}
	for _, m := range regexp.MustCompile("`((?:clock|table|registry)/[a-z]+\\.go)` ([A-Za-z.]+)").FindAllStringSubmatch(string(text), -1) {
		if named++; !functions[m[1]+" "+m[2]] {
			t.Errorf("%s names %s in %s, which does not exist", rulesPage, m[2], m[1])
		}
	}
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1) {
		if named++; !tests[name] {
			t.Errorf("%s names %s, which does not exist", rulesPage, name)
		}
	}
	if named < 100 {
		t.Errorf("%s names only %d functions and tests", rulesPage, named)
	}
}

func TestTheRulesPageLeadsFromEachReasonToItsRule(t *testing.T) {
	text, err := os.ReadFile(rulesPage)
	if err != nil {
		t.Fatal(err)
	}
	for r := binding.ReasonBound; r.Valid(); r++ {
		if !strings.Contains(string(text), "`"+r.String()+"`") {
			t.Errorf("%s does not tell of %s", rulesPage, r)
		}
	}
}

func TestTheOraclesPageTellsOfAllItsWorlds(t *testing.T) {
	const page = "docs/oracle.md"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, p := range worldtest.Profiles() {
		if !strings.Contains(text, "`"+p.Name+"`") {
			t.Errorf("%s does not tell of the profile %q", page, p.Name)
		}
	}
	variable := regexp.MustCompile(`\bSIMBIND_ORACLE_[A-Z]+`)
	told := variable.FindAllString(text, -1)
	for _, file := range []string{"binding/registry/oracle_test.go", "cmd/simbindd/oracle_test.go", "binding/worldtest/asked.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range variable.FindAllString(string(code), -1) {
			if !slices.Contains(told, name) {
				t.Errorf("%s does not tell of %s", page, name)
			}
		}
	}
	_, tests := declared(t)
	for _, name := range regexp.MustCompile("`(Test[A-Z]\\w+)`").FindAllStringSubmatch(text, -1) {
		if !tests[name[1]] {
			t.Errorf("%s names %s, which does not exist", page, name[1])
		}
	}
}

package floors

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/cohort-iot/cohort"

// tests is the floor of what only tests and measures: nothing imports it.
const tests = 7

// units says on which floor each unit stands. A unit is a package and all that
// lies below its folder, unless a longer entry names it.
var units = map[string]int{
	"internal/ccm":           0,
	"internal/replay":        0,
	"internal/cborx":         0,
	"internal/clock":         0,
	"internal/secret":        0,
	"internal/ratelimit":     0,
	"cose":                   1,
	"internal/coapmsg":       1,
	"internal/netsim":        1,
	"keystore":               1,
	"oscore":                 2,
	"grouposcore":            3,
	"ace":                    3,
	"edhoc":                  3,
	"internal/decode":        4, // for people
	"endpoint":               4,
	"internal/manager":       4,
	"internal/authserver":    4,
	"internal/trust":         4,
	"member":                 5,
	"api":                    5,
	"cmd/internal":           5, // what the commands share
	"cmd/groupmanager":       6,
	"cmd/member":             6,
	"integration":            tests,
	"integration/vectorfile": 1, // reads files of vectors for the tests of any floor
	"bench":                  tests,
	"conformance":            tests,
}

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	Module       *struct{ Path string }
}

// local is the path inside the module, and whether the package is of the module.
func (p pkg) local() (string, bool) { return local(p.ImportPath) }

func local(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, module+"/")
}

// list returns all packages of the module and all that they import, by path.
var list = sync.OnceValues(func() (map[string]pkg, error) {
	root, err := root()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports,TestImports,XTestImports,Deps,Module", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		pkgs[p.ImportPath] = p
	}
	return pkgs, nil
})

// root finds the folder of go.mod and looks at every Go file below it, so that
// a cached result of this test is not used once one of them has changed.
func root() (string, error) {
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", err
	}
	return dir, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") && path != dir {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			_, err = os.Stat(path)
		}
		return err
	})
}

// own returns the packages of the module, sorted by path.
func own(t *testing.T) []pkg {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for _, p := range all {
		if _, ok := p.local(); ok {
			pkgs = append(pkgs, p)
		}
	}
	if len(pkgs) == 0 {
		t.Fatal("go list named no package of this module")
	}
	sort.Slice(pkgs, func(i, j int) bool { return pkgs[i].ImportPath < pkgs[j].ImportPath })
	return pkgs
}

// unitOf returns the longest unit that holds the package.
func unitOf(path string) (unit string, floor int, ok bool) {
	for p := path; ; p = filepath.ToSlash(filepath.Dir(p)) {
		if f, ok := units[p]; ok {
			return p, f, true
		}
		if !strings.Contains(p, "/") {
			return "", 0, false
		}
	}
}

func TestEveryPackageHasAFloor(t *testing.T) {
	for _, p := range own(t) {
		path, _ := p.local()
		if _, _, ok := unitOf(path); !ok {
			t.Errorf("%s is on no floor: add it to units in floors_test.go", path)
		}
	}
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range own(t) {
		path, _ := p.local()
		for _, fault := range faults(path, p) {
			t.Error(fault)
		}
	}
}

// faults returns what the package imports from its own floor or from above.
// Tests may also use other packages of their own floor, and netsim.
func faults(path string, p pkg) []string {
	unit, floor, ok := unitOf(path)
	if !ok {
		return nil // reported by TestEveryPackageHasAFloor
	}
	var out []string
	check := func(imports []string, highest int, what string) {
		for _, imp := range imports {
			to, ok := local(imp)
			if !ok {
				continue
			}
			toUnit, toFloor, ok := unitOf(to)
			if !ok || toUnit == unit || toFloor <= highest {
				continue
			}
			out = append(out, fmt.Sprintf("%s (floor %d)%s imports %s (floor %d)", path, floor, what, to, toFloor))
		}
	}
	check(p.Imports, floor-1, "")
	above := max(floor, units["internal/netsim"])
	if floor == tests {
		above = tests - 1
	}
	check(p.TestImports, above, " in a test")
	check(p.XTestImports, above, " in a test")
	return out
}

func TestFaultsAreSeen(t *testing.T) {
	for _, c := range []struct {
		name string
		path string
		p    pkg
		want int
	}{
		{"down", "grouposcore", pkg{Imports: []string{module + "/oscore", "fmt"}}, 0},
		{"up", "oscore", pkg{Imports: []string{module + "/grouposcore"}}, 1},
		{"level", "grouposcore", pkg{Imports: []string{module + "/ace"}}, 1},
		{"own unit", "ace/groupcomm", pkg{Imports: []string{module + "/ace"}}, 0},
		{"command", "api/http", pkg{Imports: []string{module + "/cmd/member"}}, 1},
		{"other command", "cmd/groupmanager", pkg{Imports: []string{module + "/cmd/member"}}, 1},
		{"test tools", "cmd/member", pkg{Imports: []string{module + "/integration/vectors"}}, 1},
		{"level in a test", "member", pkg{XTestImports: []string{module + "/api/coap"}}, 0},
		{"up in a test", "oscore", pkg{TestImports: []string{module + "/endpoint"}}, 1},
		{"floor 0 has no neighbours", "internal/ccm", pkg{Imports: []string{module + "/internal/secret"}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := faults(c.path, c.p); len(got) != c.want {
				t.Errorf("faults %q, want %d", got, c.want)
			}
		})
	}
	if _, _, ok := unitOf("pkg/util"); ok {
		t.Error("pkg/util has a floor")
	}
	if u, f, ok := unitOf("keystore/boltstore"); !ok || u != "keystore" || f != 1 {
		t.Errorf("keystore/boltstore is in %s on floor %d, %v", u, f, ok)
	}
}

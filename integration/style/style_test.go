package style

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root = "../.."

	// maxLines is the longest a Go file may be; look again well before.
	maxLines = 800

	// maxDirect is the number of modules that this one may import itself, tests included.
	maxDirect = 20
)

// walk calls f for each file of the module with that ending, by its path from root.
func walk(t *testing.T, ending string, f func(path, text string)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			hidden := strings.HasPrefix(d.Name(), ".") && rel != "."
			if hidden || d.Name() == "testdata" || rel == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ending) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		f(filepath.ToSlash(rel), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatalf("no %s file was found", ending)
	}
}

func TestGoFiles(t *testing.T) {
	documented := map[string]bool{} // folder to whether a file has a package comment
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
	walk(t, ".go", func(path, text string) {
		if n := strings.Count(text, "\n"); n > maxLines {
			t.Errorf("%s has %d lines, at most %d are allowed: split it", path, n, maxLines)
		}
		if unfinished.MatchString(text) {
			t.Errorf("%s speaks of work to be done", path)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		documented[dir] = documented[dir] || file.Doc.Text() != ""
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: build what it sets up where it is used", path)
			}
		}
		for _, imp := range file.Imports {
			if imp.Name != nil && imp.Name.Name == "_" && imp.Path.Value != `"embed"` {
				t.Errorf("%s imports %s for its effects", path, imp.Path.Value)
			}
		}
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// TestDependencies holds the number of direct dependencies down, and asks of
// docs/dependencies.md that it explains each.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	direct := imported(t, required(string(mod)))
	if len(direct) > maxDirect {
		t.Errorf("%d direct dependencies, at most %d are allowed", len(direct), maxDirect)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([\w.~/-]+\.[\w.~/-]+) \|`).FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(required(string(mod)), m[1]) {
			t.Errorf("docs/dependencies.md explains %s, which go.mod does not require", m[1])
		}
	}
	for m := range direct {
		if !strings.Contains(string(page), m) {
			t.Errorf("docs/dependencies.md does not explain %s", m)
		}
	}
}

// required returns the modules that go.mod names.
func required(mod string) []string {
	var mods []string
	for _, m := range regexp.MustCompile(`(?m)^\s+([\w.~/-]+\.[\w.~/-]+) v\S+`).FindAllStringSubmatch(mod, -1) {
		mods = append(mods, m[1])
	}
	return mods
}

// imported returns those of the modules that a file of ours imports.
func imported(t *testing.T, mods []string) map[string]bool {
	t.Helper()
	direct := map[string]bool{}
	walk(t, ".go", func(path, text string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, imp := range file.Imports {
			p := strings.Trim(imp.Path.Value, `"`)
			for _, m := range mods {
				if p == m || strings.HasPrefix(p, m+"/") {
					direct[m] = true
				}
			}
		}
	})
	return direct
}

// TestLinks asserts that what a page points at inside the repository is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	walk(t, ".md", func(path, text string) {
		if len(strings.TrimSpace(text)) < 80 {
			t.Errorf("%s is an empty page", path)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), to)); err != nil {
				t.Errorf("%s points at %s, which is not there", path, to)
			}
		}
	})
}

// TestADRNames asserts that the decision records are numbered once each.
func TestADRNames(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	seen := map[string]string{}
	for _, n := range names {
		base := filepath.Base(n)
		m := form.FindStringSubmatch(base)
		if m == nil {
			t.Errorf("%s: a decision record is named NNNN-title.md", base)
			continue
		}
		if other, dup := seen[m[1]]; dup {
			t.Errorf("%s and %s have one number", other, base)
		}
		seen[m[1]] = base
	}
}

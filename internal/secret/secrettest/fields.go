package secrettest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Fields fails t if a struct type of the package in dir has a field of type secret.Bytes, which prints through unexported fields of
// whatever holds the struct: secret.Hidden does not. Types named in except are passed over.
func Fields(t *testing.T, dir string, except ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", dir, err)
	}
	skip := make(map[string]bool)
	for _, name := range except {
		skip[name] = true
	}
	fset := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || skip[spec.Name.Name] {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range s.Fields.List {
					if isBytes(field.Type) {
						t.Errorf("%s: a field of %s is a secret.Bytes, which fmt can reach: make it a secret.Hidden", fset.Position(field.Pos()), spec.Name.Name)
					}
				}
			}
			return true
		})
	}
}

// isBytes says whether a type is secret.Bytes, or made of it.
func isBytes(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if _, inner := n.(*ast.StructType); inner {
			return false
		}
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Bytes" {
			if p, ok := s.X.(*ast.Ident); ok && p.Name == "secret" {
				found = true
			}
		}
		_, function := n.(*ast.FuncType)
		return !function
	})
	return found
}

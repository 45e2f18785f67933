package vectorrun

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tamper reads a vector, changes it and gives it back.
func tamper(t *testing.T, path string, f func(map[string]any)) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	f(v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// failures runs b and counts failed checks.
func failures(t *testing.T, b []byte) int {
	t.Helper()
	out, err := Run(b)
	if err != nil {
		t.Fatal(err)
	}
	var s Summary
	for _, r := range out {
		s.Add(r)
	}
	return s.Failed
}

const (
	fromCalifornium = "californium/group/dev-group-002-pairwise-pairwise.json"
	fromAiocoap     = "aiocoap/g05-pp-no-kid-in-response.json"
)

func message0(v map[string]any) map[string]any {
	return v["messages"].([]any)[0].(map[string]any)
}

func TestTamperedVectorsFail(t *testing.T) {
	flipLast := func(m map[string]any, key string) {
		s := m[key].(string)
		m[key] = s[:len(s)-1] + map[bool]string{true: "1", false: "0"}[s[len(s)-1] == '0']
	}
	for _, path := range []string{fromCalifornium, fromAiocoap} {
		t.Run("protected bytes of "+path, func(t *testing.T) {
			if failures(t, tamper(t, path, func(v map[string]any) { flipLast(message0(v), "protected") })) == 0 {
				t.Fatal("no failure")
			}
		})
		t.Run("unprotected bytes of "+path, func(t *testing.T) {
			if failures(t, tamper(t, path, func(v map[string]any) { flipLast(message0(v), "unprotected") })) == 0 {
				t.Fatal("no failure")
			}
		})
		t.Run("untouched "+path, func(t *testing.T) {
			if n := failures(t, tamper(t, path, func(map[string]any) {})); n != 0 {
				t.Fatalf("%d failures", n)
			}
		})
	}
	t.Run("the other countersign structure", func(t *testing.T) {
		b := tamper(t, "californium/group/dev-group-001-group-group.json", func(v map[string]any) { v["countersign_structure_elements"] = 4 })
		if failures(t, b) == 0 {
			t.Fatal("no failure")
		}
	})
	t.Run("the form is 5 elements if the file does not say", func(t *testing.T) {
		b := tamper(t, "californium/group/dev-group-001-group-group.json", func(v map[string]any) { delete(v, "countersign_structure_elements") })
		if n := failures(t, b); n != 0 {
			t.Fatalf("%d failures", n)
		}
	})
	t.Run("an outer code counts unless the file says otherwise", func(t *testing.T) {
		path := "californium/group/dev-group-091-observe-group.json"
		b := tamper(t, path, func(v map[string]any) {
			for _, m := range v["messages"].([]any) {
				delete(m.(map[string]any), "outer_header_deviation")
			}
		})
		if n := failures(t, b); n != 3 {
			t.Fatalf("%d failures", n)
		}
	})
}

func TestTrees(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("a/no-json-name", tamper(t, fromAiocoap, func(map[string]any) {}))
	put("b.json", []byte(`{"kind": "something", "messages": []}`))
	put("c.json", []byte(`not json at all`))
	put("d/e/index.json", []byte(`[{"file": "x"}]`))
	put("f.json", tamper(t, fromCalifornium, func(v map[string]any) { message0(v)["kind"] = "neither" }))
	var got []Result
	if err := RunTrees([]string{dir}, func(r Result) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	var s Summary
	for _, r := range got {
		s.Add(r)
	}
	t.Run("content decides, not the name", func(t *testing.T) {
		if s.Passed != 6 {
			t.Fatalf("%v", s)
		}
	})
	t.Run("a broken vector fails, what is none is passed over", func(t *testing.T) {
		if s.Failed != 1 || s.Skipped != 0 {
			t.Fatalf("%v", got)
		}
	})
	t.Run("a directory that is not there is an error", func(t *testing.T) {
		if err := RunTrees([]string{filepath.Join(dir, "none")}, func(Result) {}); err == nil {
			t.Fatal("no error")
		}
	})
	t.Run("the last line", func(t *testing.T) {
		if got := (Summary{1, 2, 3}).String(); got != "1 passed, 2 failed, 3 skipped" {
			t.Fatal(got)
		}
	})
	t.Run("passed checks are printed on request only", func(t *testing.T) {
		var quiet, loud bytes.Buffer
		r := Result{Passed, "x", ""}
		r.Print(&quiet, false)
		r.Print(&loud, true)
		if quiet.Len() != 0 || strings.TrimSpace(loud.String()) != "pass x" {
			t.Fatalf("%q, %q", quiet.String(), loud.String())
		}
	})
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	pass := `{"Action":"pass","Package":"p","Test":"T/OS-2-1_option_number"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}
`
	for _, c := range []struct {
		name, events string
		code         int
		page         string
	}{
		{"clean", pass, 0, "Proven:\n\n- 2: OS-2-1\n"},
		{"failing", strings.ReplaceAll(pass, "pass", "fail"), 1, "Failing:\n\n- OS-2-1"},
		{"unknown id", strings.ReplaceAll(pass, "OS-2-1_", "OS-99-1_"), 1, "no table has the id OS-99-1"},
		{"no events", "{", 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "page.md")
			var stderr bytes.Buffer
			if code := run(t.Context(), []string{"-in", "-", "-o", out}, strings.NewReader(c.events), &stderr); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, stderr.String())
			}
			page, err := os.ReadFile(out)
			if c.page == "" {
				if err == nil {
					t.Error("a page was written")
				}
			} else if !strings.Contains(string(page), c.page) {
				t.Errorf("the page lacks %q", c.page)
			}
		})
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-in", filepath.Join(t.TempDir(), "none")}, nil, &stderr); code != 2 {
		t.Errorf("missing file: exit code %d", code)
	}
	if code := run(t.Context(), []string{"-nonsense"}, nil, &stderr); code != 2 {
		t.Errorf("unknown flag: exit code %d", code)
	}
}

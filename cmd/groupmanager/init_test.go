package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// command runs a command line and returns its exit code and what it wrote.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), args, streams{in: strings.NewReader(""), out: &o, err: &e}, noEnv)
	return code, o.String(), e.String()
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gm")
	code, out, errs := command(t, "init", dir, "-o", "json", "--audience", "floor1")
	if code != cli.ExitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	var made initialised
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, made.Config: 0o600, made.SealKey: 0o600, made.DataDir: 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	key, err := os.ReadFile(made.SealKey)
	if err != nil || strings.Contains(out+errs, strings.TrimSpace(string(key))) {
		t.Errorf("the key is shown, or not there (%v)", err)
	}
	if code, out, errs := command(t, "validate", "-c", made.Config); code != cli.ExitOK || !strings.Contains(out, "floor1") || !strings.Contains(out, "valid") {
		t.Errorf("validate: %d %s%s", code, out, errs)
	}

	code, _, errs = command(t, "init", dir)
	if code != exitRefused || !strings.Contains(errs, "already") || !strings.Contains(errs, "hint:") {
		t.Errorf("a second time: exit code %d: %s", code, errs)
	}
	if again, err := os.ReadFile(made.SealKey); err != nil || !bytes.Equal(again, key) {
		t.Error("the key was replaced")
	}
}

func TestInitRefusesBadSettings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gm")
	for _, args := range [][]string{{"--listen", "nowhere"}, {"--listen", "0.0.0.0:5683"}, {"--uri", "http://x"}} {
		code, _, errs := command(t, append([]string{"init", dir}, args...)...)
		if code != cli.ExitUsage {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was made")
	}
}

func TestValidateFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"no data directory", func(t *testing.T, dir string) { os.RemoveAll(filepath.Join(dir, "data")) }, "data_dir"},
		{"open data directory", func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "data"), 0o755) }, "0700"},
		{"no key", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "seal.key")) }, "seal_key"},
		{"open key", func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "seal.key"), 0o644) }, "seal_key"},
		{"broken key", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "seal.key"), "abc\n") }, "seal_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "gm")
			if code, _, errs := command(t, "init", dir); code != cli.ExitOK {
				t.Fatal(errs)
			}
			c.spoil(t, dir)
			code, _, errs := command(t, "validate", "-c", filepath.Join(dir, configName))
			if code != cli.ExitUsage || !strings.Contains(errs, c.want) || !strings.Contains(errs, "hint:") {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}

func TestLostStore(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(path string) error
		want  string
	}{
		{"removed", os.Remove, "no store"},
		{"emptied", func(p string) error { return os.Truncate(p, 0) }, "no store"},
		{"cut", func(p string) error { return os.Truncate(p, 4000) }, "backup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "gm")
			if code, _, errs := command(t, "init", dir, "--listen", "127.0.0.1:0"); code != cli.ExitOK {
				t.Fatal(errs)
			}
			path := filepath.Join(dir, "data", storeName)
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			code, _, errs := command(t, "run", "-c", filepath.Join(dir, configName))
			if code != cli.ExitFailed || !strings.Contains(errs, c.want) || !strings.Contains(errs, path) || !strings.Contains(errs, "hint:") {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"version"}, cli.ExitOK, "draft-ietf-core-oscore-groupcomm-28"},
		{[]string{"version", "-o", "json"}, cli.ExitOK, `"go": "go`},
		{[]string{"--help"}, cli.ExitOK, "Exit codes"},
		{[]string{"group"}, cli.ExitOK, "rekey"},
		{[]string{"nonsense"}, cli.ExitUsage, "hint:"},
		{[]string{"group", "crate"}, cli.ExitUsage, "create"},
		{[]string{"group", "show"}, cli.ExitUsage, "GROUP"},
		{[]string{"group", "list", "-o", "xml", "--socket", "/nowhere/s"}, cli.ExitUsage, "table"},
		{[]string{"group", "list", "--colour"}, cli.ExitUsage, "hint:"},
		{[]string{"group", "list", "--socket", "/nowhere/s"}, exitUnreachable, "groupmanager run"},
		{[]string{"healthcheck", "--socket", "/nowhere/s"}, exitUnreachable, "/nowhere/s"},
		{[]string{"group", "list", "-c", "/nowhere/gm.yaml"}, cli.ExitUsage, "groupmanager init"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := command(t, c.args...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("exit code %d, want %d with %q: %s%s", code, c.code, c.want, out, errs)
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, empty, bad := write("open.json", "{}", 0o644), write("empty.json", "", 0o600), write("bad.json", `{"version":7}`, 0o600)
	for _, c := range []struct{ name, args, want string }{
		{"no enrolment", "status", "no enrolment file"},
		{"enrolment that is not there", "status -e " + dir + "/none.json", "none.json"},
		{"enrolment that others can read", "status -e " + open, "mode 0644"},
		{"empty enrolment", "status -e " + empty, "empty.json"},
		{"enrolment of another version", "status -e " + bad, "bad.json"},
		{"no group", "join -e x", "no group named"},
		{"unknown role", "join -e x -g hall --roles king", "king"},
		{"address that is no group", "join -e x -g hall --address 192.0.2.1:5683", "no multicast address"},
		{"address without port", "join -e x -g hall --address 239.1.1.1", "no multicast address"},
		{"unknown format", "status -e x -o xml", `"xml"`},
		{"unknown flag", "status --colour", "--colour"},
		{"unknown verb", "gett", "did you mean get?"},
		{"too few arguments", "put /light -g hall", "takes PATH TEXT"},
		{"get without group", "get /light -e x", "no group named"},
		{"no time", "get /light -e x -g hall --wait 0s", "no time to wait"},
		{"negative number", "get /light -e x -g hall --expect -1", "no number of answers"},
		{"leave without group", "leave -e x", "no group named"},
		{"resource without value", "serve -e x -r /light", `"/light"`},
		{"resource twice", "serve -e x -r /light=1 -r /light=2", "second one"},
		{"resource without slash", "serve -e x -r light=1", `"light=1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := run(t, strings.Fields(c.args)...)
			if code != cli.ExitUsage || !strings.Contains(errs, c.want) || out != "" {
				t.Errorf("exit code %d\n%s", code, errs)
			}
			if !strings.Contains(errs, "hint: ") || !strings.HasPrefix(errs, "member: ") {
				t.Errorf("no hint, or no name:\n%s", errs)
			}
		})
	}
	t.Run("address that is none", func(t *testing.T) {
		s := newSite(t)
		file := s.enrol("d", 2)
		if code, _, errs := s.run("status", "-e", file, "--listen", "here"); code != cli.ExitUsage || !strings.Contains(errs, "no address and port") {
			t.Errorf("%d\n%s", code, errs)
		}
		if code, _, errs := s.run("status", "-e", file, "--listen", "0.0.0.0:0"); code != cli.ExitUsage || !strings.Contains(errs, "unicast address") {
			t.Errorf("%d\n%s", code, errs)
		}
		// The address from which the Group Manager is reached, and the port of the first time.
		first := s.must("status", "-e", file, "-o", "json")
		if !strings.Contains(first, `"addr": "127.0.0.1:`) || s.must("status", "-e", file, "-o", "json") != first {
			t.Errorf("%s", first)
		}
	})
}

func TestHelp(t *testing.T) {
	code, out, _ := run(t, "--help")
	for _, want := range []string{"Exit codes:", "join", "serve", "get", "put", "post", "fetch", "delete", "status", "leave"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%q is not in the help", want)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, errs := run(t, "completion", shell); code != 0 || !strings.Contains(out, "member") {
			t.Errorf("%s: %d %s", shell, code, errs)
		}
	}
	for args, want := range map[string]string{
		"get /light -o":             "json",
		"join --roles":              "monitor",
		"status --state":            ":16", // directories
		"status --enrolment":        ":8",  // files of that ending
		"get /light -g hall --to x": "",
	} {
		fields := append([]string{"__complete"}, strings.Fields(args)...)
		if code, out, errs := run(t, append(fields, "")...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %q %s", args, code, out, errs)
		}
	}
}

package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func noEnv(string) (string, bool) { return "", false }

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "gm.yaml"), "audience: from-file\nlog_level: warn\nlisten: 127.0.0.7:5683\n")
	env := func(k string) (string, bool) {
		v, ok := map[string]string{"COHORT_AUDIENCE": "from-env", "COHORT_LISTEN": "127.0.0.8:1"}[k]
		return v, ok
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	addSettingFlags(fs, append(runFlags, "socket")...)
	if err := fs.Parse([]string{"--listen", "127.0.0.9:2"}); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(file, fs, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen.String() != "127.0.0.9:2" || c.Audience != "from-env" || c.LogLevel != slog.LevelWarn || c.LogFormat != "text" {
		t.Errorf("%+v", c)
	}
	if c.URI != "coap://127.0.0.9:2" {
		t.Errorf("uri %s", c.URI)
	}
	if c.DataDir != filepath.Join(dir, "data") || c.SealKey != (secretRef{"file", filepath.Join(dir, "seal.key")}) {
		t.Errorf("paths do not start at the file: %+v", c)
	}
}

func TestConfigFaults(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // parts of the message
	}{
		{"unknown key", "# a comment\nlissten: 127.0.0.1:5683\n", []string{"gm.yaml:2", `unknown key "lissten"`, `did you mean "listen"?`}},
		{"unknown key, none near", "colour: blue\n", []string{"gm.yaml:1", `unknown key "colour"`}},
		{"all faults", "lissten: x\naudienc: y\nlog_level: loud\n", []string{"gm.yaml:1", "gm.yaml:2", "gm.yaml:3", "loud"}},
		{"twice", "audience: a\naudience: b\n", []string{"gm.yaml:2", "twice", "gm.yaml:1"}},
		{"list", "listen: [a, b]\n", []string{"gm.yaml:1", "single value"}},
		{"map", "listen:\n  a: b\n", []string{"single value"}},
		{"nothing", "listen:\n", []string{"gm.yaml:1", "no value"}},
		{"no mapping", "- listen\n", []string{"gm.yaml:1", "key: value"}},
		{"no YAML", "a: b: c\n", []string{"gm.yaml"}},
		{"two documents", "audience: a\n---\naudience: b\n", []string{"more than one document"}},
		{"alias", "audience: &a x\nuri: *a\n", []string{"single value"}},
		{"bad address", "listen: localhost\n", []string{"gm.yaml:1", "listen", "no address and port"}},
		{"multicast address", "listen: 224.0.1.187:5683\n", []string{"multicast"}},
		{"wildcard without uri", "listen: 0.0.0.0:5683\n", []string{"uri"}},
		{"uri with a path", "uri: coap://h/x\n", []string{"uri"}},
		{"uri with a name", "uri: coap://gm.example\n", []string{"uri", "192.0.2.1"}},
		{"uri of a wildcard", "uri: 'coap://[::]:5683'\n", []string{"uri"}},
		{"other scheme", "uri: http://h\n", []string{"uri"}},
		{"key inside", "seal_key: file:data/key\n", []string{"seal_key", "data_dir"}},
		{"anchor inside", "anchor: data/anchor\n", []string{"anchor", "data_dir"}},
		{"restart policy", "on_restart: hope\n", []string{"on_restart", "rekey-if-unclean"}},
		{"keep without an anchor", "on_restart: keep\n", []string{"on_restart", "anchor"}},
		{"key in the open", "seal_key: hunter2\n", []string{"seal_key", "file:PATH"}},
		{"unknown reference", "seal_key: http:x\n", []string{"seal_key", "file:PATH"}},
		{"empty audience", "audience: ''\n", []string{"audience"}},
		{"log format", "log_format: xml\n", []string{"log_format"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, filepath.Join(t.TempDir(), "gm.yaml"), c.text)
			_, err := loadConfig(file, pflag.NewFlagSet("", pflag.ContinueOnError), noEnv)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error lacks %q: %v", w, err)
				}
			}
			var f *cli.Failure
			if !errors.As(err, &f) || f.Code != cli.ExitUsage || f.Hint == "" {
				t.Errorf("failure %+v", f)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if _, err := loadConfig(filepath.Join(t.TempDir(), "none.yaml"), pflag.NewFlagSet("", pflag.ContinueOnError), noEnv); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("too large", func(t *testing.T) {
		file := write(t, filepath.Join(t.TempDir(), "gm.yaml"), strings.Repeat("#", maxConfigFile+1))
		if _, err := loadConfig(file, pflag.NewFlagSet("", pflag.ContinueOnError), noEnv); err == nil {
			t.Error("accepted")
		}
	})
	t.Run("environment", func(t *testing.T) {
		file := write(t, filepath.Join(t.TempDir(), "gm.yaml"), "")
		_, err := loadConfig(file, pflag.NewFlagSet("", pflag.ContinueOnError), func(k string) (string, bool) { return "x", k == "COHORT_LISTEN" })
		if err == nil || !strings.Contains(err.Error(), "COHORT_LISTEN") {
			t.Errorf("error %v", err)
		}
	})
}

func TestFindConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	env := func(k string) (string, bool) { return "named.yaml", k == "COHORT_CONFIG" }
	for _, c := range []struct {
		name     string
		env      func(string) (string, bool)
		want     string
		required bool
	}{
		{"flag.yaml", env, "flag.yaml", true},
		{"", env, "named.yaml", true},
		{"", noEnv, configInEtc, false},
	} {
		if got, required := findConfig(c.name, c.env); got != c.want || required != c.required {
			t.Errorf("%q: %s, %v", c.name, got, required)
		}
	}
	write(t, configName, "")
	if got, required := findConfig("", noEnv); got != configName || !required {
		t.Errorf("%s, %v", got, required)
	}
}

// TestExampleConfig: what `init` writes is read back as it was set, and all that
// is commented out in it are the defaults.
func TestExampleConfig(t *testing.T) {
	text := exampleConfig(map[string]string{"audience": "gm: 2", "listen": "[::1]:5683"})
	values, err := parseConfig("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != 2 || values["audience"].text != "gm: 2" || values["listen"].text != "[::1]:5683" {
		t.Errorf("%v", values)
	}
	for _, s := range settings() {
		if !strings.Contains(text, s.key+": ") {
			t.Errorf("the example lacks %s", s.key)
		}
		if s.set(&config{}, s.def, "/") != nil {
			t.Errorf("the default of %s is not valid", s.key)
		}
	}
}

func TestNearest(t *testing.T) {
	for in, want := range map[string]string{"lissten": "listen", "datadir": "data_dir", "sealkey": "seal_key", "log-level": "log_level", "xyzzy": ""} {
		if got := nearest(in); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("listen: 127.0.0.1:5683\n"))
	f.Add([]byte(exampleConfig(nil)))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := parseConfig("f", text)
		if err == nil {
			for k := range values {
				if !known(k) {
					t.Errorf("unknown key %q was accepted", k)
				}
			}
		}
	})
}

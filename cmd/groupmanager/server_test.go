package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// site is an initialised directory whose Group Manager listens on a free port.
func site(t *testing.T) *config {
	t.Helper()
	dir, err := os.MkdirTemp("", "cohort") // short: the path of a socket has few bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port, err := freeUDPPort()
	if err != nil {
		t.Fatal(err)
	}
	made, err := initialise(filepath.Join(dir, "gm"), map[string]string{"listen": loopback(1, port).String(), "anchor": "anchor"})
	if err != nil {
		t.Fatal(err)
	}
	return reload(t, made.Config)
}

func reload(t *testing.T, file string) *config {
	t.Helper()
	c, err := loadConfig(file, pflag.NewFlagSet("", pflag.ContinueOnError), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c *config) *server {
	t.Helper()
	s, err := openServer(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// at runs a verb against the Group Manager of c.
func at(t *testing.T, c *config, code int, args ...string) (out string) {
	t.Helper()
	got, out, errs := command(t, append(args, "-c", c.File)...)
	if got != code {
		t.Fatalf("%s: exit code %d, want %d: %s%s", strings.Join(args, " "), got, code, out, errs)
	}
	if code != cli.ExitOK && (strings.Count(errs, "\n") > 2 || !strings.HasPrefix(errs, "groupmanager: ")) {
		t.Errorf("%s: the error is no line with a hint: %s", strings.Join(args, " "), errs)
	}
	return out + errs
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in: %s", p, text)
		}
	}
}

func TestVerbs(t *testing.T) {
	c := site(t)
	open(t, c)
	contains(t, at(t, c, cli.ExitOK, "healthcheck"), "ready", "store", "ok")

	contains(t, at(t, c, cli.ExitOK, "group", "create", "lights", "--signature", "ES256", "--backward-security", "--key-lifetime", "1h"), "lights", "active")
	at(t, c, exitRefused, "group", "create", "lights")
	contains(t, at(t, c, cli.ExitUsage, "group", "create", "x", "--signature", "ROT13"), "ROT13", "hint")
	contains(t, at(t, c, cli.ExitUsage, "group", "create", "x", "--key-lifetime", "1s"), "lifetime")
	contains(t, at(t, c, cli.ExitUsage, "group", "create", "x", "--modes", "pairwise", "--signature", "EdDSA"), "pairwise")
	contains(t, at(t, c, cli.ExitOK, "group", "list"), "NAME", "lights", "group+pairwise")
	contains(t, at(t, c, cli.ExitOK, "group", "show", "lights"), "ES256", "1h0m0s", "version")
	contains(t, at(t, c, cli.ExitOK, "group", "rekey", "lights"), "version", "1")
	contains(t, at(t, c, cli.ExitOK, "group", "keys", "lights"), "operator", "gid")
	contains(t, at(t, c, exitNotFound, "group", "show", "none"), "no such group")

	contains(t, at(t, c, cli.ExitOK, "member", "list", "lights"), "NODE")
	contains(t, at(t, c, cli.ExitOK, "member", "pending", "lights"), "ATTEMPTS")
	at(t, c, exitNotFound, "member", "show", "lights", "n1")
	at(t, c, exitNotFound, "member", "evict", "lights", "n1")

	contains(t, at(t, c, cli.ExitUsage, "group", "update", "lights"), "--inactive")
	contains(t, at(t, c, cli.ExitOK, "group", "update", "lights", "--leave-window", "30s", "--rekey-jitter", "0s", "--max-stale-sets", "5", "--description", "hall",
		"--revision", "1", "--backward-security=false"), "30s", "hall")
	contains(t, at(t, c, exitRefused, "group", "update", "lights", "--max-members", "9", "--revision", "1"), "revision 2")
	contains(t, at(t, c, cli.ExitUsage, "group", "update", "lights", "--leave-window", "1h"), "10m0s")
	contains(t, at(t, c, cli.ExitUsage, "group", "update", "lights", "--leave-window", "soon"), "leave-window", "soon")
	contains(t, at(t, c, cli.ExitUsage, "group", "update", "lights", "--active", "--inactive"), "either")
	out := at(t, c, cli.ExitOK, "group", "update", "lights", "--aead", "AES-CCM-16-64-256")
	contains(t, out, "AES-CCM-16-64-256", "configuration", "ES256-P-256-kccs")
	contains(t, at(t, c, cli.ExitUsage, "group", "invalidate", "lights"), "0 members", "--yes")
	contains(t, at(t, c, cli.ExitOK, "group", "invalidate", "lights", "--yes"), "evicted", "0")
	contains(t, at(t, c, cli.ExitOK, "identity", "list"), "GENERATION", "ES256-P-256-kccs")
	contains(t, at(t, c, cli.ExitOK, "identity", "rotate", "ES256-P-256-kccs"), "groups rekeyed", "1")
	contains(t, at(t, c, cli.ExitOK, "group", "keys", "lights"), "manager-key", "next rekeying at")
	contains(t, at(t, c, exitNotFound, "identity", "rotate", "lights"), "no such identity")
	contains(t, at(t, c, cli.ExitOK, "group", "create", "turns", "--gid-reuse", "--gid-epochs", "4", "--credential-format", "kcwt", "-o", "json"), `"gid_epochs": 4`, `"kcwt"`)
	contains(t, at(t, c, cli.ExitOK, "group", "update", "lights", "--inactive"), "inactive")
	at(t, c, exitRefused, "group", "update", "lights", "--inactive")
	contains(t, at(t, c, cli.ExitOK, "group", "update", "lights", "--active"), "active")
	contains(t, at(t, c, cli.ExitUsage, "group", "delete", "lights"), "--yes")
	contains(t, at(t, c, cli.ExitOK, "group", "delete", "lights", "--yes"), "deleted")
	at(t, c, exitNotFound, "group", "keys", "lights")
}

func TestDeviceVerbs(t *testing.T) {
	c := site(t)
	s := open(t, c)
	t.Chdir(t.TempDir())
	out := at(t, c, cli.ExitOK, "device", "enroll", "switch", "--group", "lights:requester", "--group", "floor-*")
	contains(t, out, "switch.enrolment.json", "lights:requester", "floor-*:requester+responder")
	info, err := os.Stat("switch.enrolment.json")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile("switch.enrolment.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := ace.ParseEnrolment(text)
	if err != nil {
		t.Fatal(err)
	}
	if e.GM != c.URI || e.AS.URI != c.URI+"/token" || e.Audience != c.Audience {
		t.Errorf("enrolment %+v", e)
	}
	var file struct{ AS struct{ Secret, Salt string } }
	if err := json.Unmarshal(text, &file); err != nil || file.AS.Secret == "" {
		t.Fatalf("%+v, %v", file, err)
	}
	all := out + at(t, c, cli.ExitOK, "device", "list") + at(t, c, cli.ExitOK, "device", "show", "switch", "-o", "json")
	if strings.Contains(all, file.AS.Secret) || strings.Contains(all, file.AS.Salt) {
		t.Error("the secret is shown")
	}
	contains(t, at(t, c, cli.ExitFailed, "device", "enroll", "other", "--group", "lights", "--file", "switch.enrolment.json"), "there already")
	at(t, c, exitRefused, "device", "enroll", "switch", "--group", "lights", "--file", "again.json")
	if _, err := os.Stat("again.json"); err == nil {
		t.Error("a file was left behind")
	}
	contains(t, at(t, c, cli.ExitUsage, "device", "enroll", "x"), "--group")
	contains(t, at(t, c, cli.ExitUsage, "device", "enroll", "x", "--group", "lights:king"), "king")
	contains(t, at(t, c, cli.ExitUsage, "device", "enroll", "x/y", "--group", "lights"), "--file")
	contains(t, at(t, c, cli.ExitUsage, "device", "enroll", "x", "--group", "a:requester", "--group", "a:responder"), "twice")
	at(t, c, exitNotFound, "device", "show", "none")
	at(t, c, exitNotFound, "device", "revoke", "none")
	contains(t, out, "note: there is no group lights yet")
	if strings.Contains(out, "group floor") {
		t.Errorf("a pattern is taken for a group: %s", out)
	}
	contains(t, at(t, c, cli.ExitUsage, "device", "enroll", "x", "--group", "a b"), "groupmanager: a group name cannot contain ' '")
	contains(t, at(t, c, exitNotFound, "device", "enroll", "x", "--group", "lights", "--audience", "gm9"), `"gm9": no such resource server`, "rs enroll")
	contains(t, at(t, c, cli.ExitOK, "device", "reenroll", "switch", "--file", "again.json"), "has a new secret", "again.json", "lights:requester")
	contains(t, at(t, c, cli.ExitOK, "device", "reenrol", "switch", "--keep-tokens", "--file", "third.json", "-o", "json"), `"file": "third.json"`)
	secrets := map[string]bool{}
	for _, name := range []string{"switch.enrolment.json", "again.json", "third.json"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		secrets[file.AS.Secret] = true
	}
	if len(secrets) != 3 {
		t.Errorf("%d secrets of three enrolments", len(secrets))
	}
	at(t, c, exitNotFound, "device", "reenroll", "none")
	contains(t, at(t, c, cli.ExitUsage, "token", "revoke", "00"), "groupmanager: no token hash: 1 bytes", "token list")
	contains(t, at(t, c, exitRefused, "rs", "revoke", "gm1"), `"gm1" is the Group Manager of this process`)
	write(t, "junk", "deadbeef")
	contains(t, at(t, c, cli.ExitOK, "token", "inspect", "junk"), "refused because", "(answered 4.00)")
	contains(t, at(t, c, cli.ExitFailed, "device", "reenroll", "switch", "--file", "again.json"), "there already")
	contains(t, at(t, c, cli.ExitOK, "device", "revoke", "switch"), "0 groups")
	contains(t, at(t, c, cli.ExitOK, "device", "list"), "switch", "yes")
	if d, err := s.as.Client("switch"); err != nil || d.Revoked.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestRestart(t *testing.T) {
	c := site(t)
	s := open(t, c)
	ctx := t.Context()
	client := httpapi.NewClient(c.Socket)
	defer client.Close()
	g, err := client.CreateGroup(ctx, httpapi.GroupSpec{Name: "g"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := client.Group(ctx, "g"); err == nil {
		t.Error("the socket is still served")
	}
	s = open(t, c)
	if r := s.store.Restart(); r.Fresh || !r.Clean || !r.Continuous() {
		t.Errorf("restart %+v", r)
	}
	again, err := client.Group(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	if again.Version != g.Version+1 || bytes.Equal(again.Gid, g.Gid) || again.Cause != "restart" {
		t.Errorf("before %+v, after %+v", g, again)
	}
}

// TestMoved: a Group Manager that devices reach elsewhere says so in new enrolments.
func TestMoved(t *testing.T) {
	c := site(t)
	open(t, c).Close()
	c.URI = "coap://192.0.2.7:5683"
	s := open(t, c)
	e, err := s.as.Enrol(t.Context(), authserver.EnrolRequest{Name: "lamp", Audience: c.Audience})
	if err != nil {
		t.Fatal(err)
	}
	if e.GM != c.URI || e.AS.URI != c.URI+"/token" {
		t.Errorf("enrolment %+v", e)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	c := site(t)
	open(t, c)
	_, err := openServer(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("two on one store")
	}
	var out bytes.Buffer
	cli.Report(&out, "groupmanager", err, classify)
	contains(t, out.String(), "hint: one Group Manager works on one store")
}

func TestWrongKey(t *testing.T) {
	c := site(t)
	open(t, c).Close()
	write(t, c.SealKey.name, strings.Repeat("5a", 32)+"\n")
	out := at(t, c, cli.ExitFailed, "run")
	contains(t, out, "wrong key", "hint: the store was sealed with another key")
}

func TestRunEndsWithItsContext(t *testing.T) {
	c := site(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		done <- execute(ctx, []string{"run", "-c", c.File, "--log-format", "json"}, streams{in: strings.NewReader(""), out: &errs, err: &errs}, noEnv)
	}()
	contains(t, at(t, c, cli.ExitOK, "healthcheck", "--wait", "20s"), "ready")
	cancel()
	select {
	case code := <-done:
		if code != cli.ExitOK {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("run does not end")
	}
	contains(t, errs.String(), `"msg":"ready"`, `"msg":"stop"`)
}

func TestFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	a := &app{}
	if err := a.firstStart(dir); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil || a.configFile != filepath.Join(dir, configName) {
		t.Fatalf("%v, %s", err, a.configFile)
	}
	a = &app{}
	if err := a.firstStart(dir); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(filepath.Join(dir, "seal.key")); err != nil || !bytes.Equal(key, again) {
		t.Error("the second start made another key")
	}
	if err := a.firstStart(dir); err == nil {
		t.Error("--init and --config together were accepted")
	}
}

func TestNoSecretInConfigOutput(t *testing.T) {
	c := site(t)
	key, err := os.ReadFile(c.SealKey.name)
	if err != nil {
		t.Fatal(err)
	}
	out := at(t, c, cli.ExitOK, "validate", "-o", "json")
	if strings.Contains(out, strings.TrimSpace(string(key))) {
		t.Error("the sealing key is shown")
	}
	contains(t, out, c.SealKey.name)
}

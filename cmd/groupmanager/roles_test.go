package main

import (
	"os"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// alone is an initialised directory of one role.
func alone(t *testing.T, r role) *config {
	t.Helper()
	c := site(t)
	c.Role = r
	return c
}

// TestApart: an Authorization Server alone, and a Group Manager alone that trusts
// it and another of the same kind.
func TestApart(t *testing.T) {
	asConfig, gmConfig := alone(t, roleAS), alone(t, roleGM)
	as, gm := open(t, asConfig), open(t, gmConfig)
	t.Chdir(t.TempDir())

	contains(t, at(t, asConfig, exitNotFound, "device", "enroll", "lamp", "--group", "lights"), `"gm1": no such resource server`, "rs enroll")
	contains(t, at(t, asConfig, exitNotFound, "group", "list"), "no Group Manager")
	contains(t, at(t, gmConfig, exitNotFound, "token", "list"), "no Authorization Server")
	at(t, asConfig, cli.ExitOK, "rs", "enroll", "gm1", "--uri", gmConfig.URI)
	contains(t, at(t, gmConfig, cli.ExitOK, "as", "add", "gm1.rs.json"), "as-gm1", "followed")
	contains(t, at(t, gmConfig, exitRefused, "as", "add", "gm1.rs.json"), "already exists", "issuer in its configuration")
	out := at(t, asConfig, cli.ExitOK, "device", "enroll", "lamp", "--group", "lights:responder")
	if strings.Contains(out, "note:") {
		t.Errorf("an Authorization Server alone knows of no groups: %s", out)
	}

	// What the Group Manager makes of a token of a server that it trusts, and of one that was revoked.
	d, err := as.as.Client("lamp")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := as.as.Issue(t.Context(), authserver.Peer{Kind: authserver.PeerClient, Number: d.Number}, &ace.TokenRequest{GrantType: ace.GrantClientCredentials})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("token", tok.AccessToken, 0o600); err != nil {
		t.Fatal(err)
	}
	h := ace.HashToken(tok.AccessToken)
	for _, c := range []*config{asConfig, gmConfig} {
		contains(t, at(t, c, cli.ExitOK, "token", "inspect", "token", "-o", "json"), `"issuer": "as-gm1"`, `"subject": "lamp"`, `"lights": "responder"`, `"taken": true`, `"audience": "gm1"`, h.String())
	}
	if err := gm.trust.Learn(t.Context(), "as-gm1", h); err != nil {
		t.Fatal(err)
	}
	contains(t, at(t, gmConfig, cli.ExitOK, "token", "inspect", "token"), "would be taken", "no", "revoked")
	contains(t, at(t, asConfig, cli.ExitOK, "device", "revoke", "lamp"), "as soon as it is notified")
	contains(t, at(t, gmConfig, cli.ExitOK, "as", "remove", "as-gm1"), "not taken any more")
	contains(t, at(t, gmConfig, cli.ExitOK, "token", "inspect", "token"), "no key opens it")

	var actors int
	err = gm.store.AuditScan(0, func(_ uint64, record []byte) error {
		if text := string(record); strings.Contains(text, `"as.added"`) || strings.Contains(text, `"as.removed"`) {
			if strings.Contains(text, `"actor":"uid:`) {
				actors++
			}
		}
		return nil
	})
	if err != nil || actors != 2 {
		t.Errorf("%d audit records say who did it, %v", actors, err)
	}
}

func TestInitOfARole(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, errs := command(t, "init", "a", "--role", "as", "--issuer", "as-west")
	if code != cli.ExitOK {
		t.Fatal(out, errs)
	}
	c := reload(t, "a/groupmanager.yaml")
	if c.Role != roleAS || c.Issuer != "as-west" {
		t.Errorf("%+v", c)
	}
	if code, _, errs := command(t, "init", "b", "--role", "king"); code != cli.ExitUsage || !strings.Contains(errs, "neither as, gm nor both") {
		t.Error(code, errs)
	}
}

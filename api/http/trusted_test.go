package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/trust"
	"github.com/cohort-iot/cohort/keystore"
)

// trusted is the domain of trusted Authorization Servers in memory.
type trusted struct{ list map[string]*ace.RSEnrolment }

func (t *trusted) ASs() (out []trust.AS, err error) {
	for _, e := range t.list {
		out = append(out, trust.AS{Issuer: e.Issuer, Keys: len(e.Trusted), URI: e.AS.URI})
	}
	return out, nil
}

func (t *trusted) Add(_ context.Context, e *ace.RSEnrolment) error {
	if t.list[e.Issuer] != nil {
		return trust.ErrExists
	}
	t.list[e.Issuer] = e
	return nil
}

func (t *trusted) Rotate(_ context.Context, e *ace.RSEnrolment) error {
	if t.list[e.Issuer] == nil {
		return trust.ErrNotFound
	}
	t.list[e.Issuer] = e
	return nil
}

func (t *trusted) Remove(_ context.Context, issuer string) error {
	if t.list[issuer] == nil {
		return trust.ErrNotFound
	}
	delete(t.list, issuer)
	return nil
}

// realAS is an Authorization Server over memory.
func realAS(t *testing.T) *authserver.Service {
	t.Helper()
	st, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: make([]byte, keystore.DataKeySize)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	as, err := authserver.New(authserver.Config{Issuer: "as-1", TokenURI: "coap://127.0.0.1:5683/token"}, st)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// TestResourceServersAndTrust carries an enrolment from an Authorization Server
// to a Group Manager, over the two operators' channels.
func TestResourceServersAndTrust(t *testing.T) {
	ctx := t.Context()
	d := newDomain()
	d.as = realAS(t)
	c := d.client(t)
	file := check[EnrolmentFile](t)(c.EnrolResourceServer(ctx, ResourceServerSpec{Audience: "gm-9", URI: "coap://127.0.0.1:5783"}))
	if list := check[[]ResourceServer](t)(c.ResourceServers(ctx)); len(list) != 1 || list[0].Audience != "gm-9" || !list[0].Remote {
		t.Errorf("resource servers: %+v", list)
	}
	a := check[TrustedAS](t)(c.AddAuthorizationServer(ctx, file))
	if a.Issuer != "as-1" || a.Keys != 1 {
		t.Errorf("trusted: %+v", a)
	}
	var p *Problem
	if _, err := c.AddAuthorizationServer(ctx, file); !errors.As(err, &p) || p.Status != http.StatusConflict {
		t.Errorf("a second time: %v", err)
	}
	next := check[EnrolmentFile](t)(c.RotateResourceServer(ctx, "gm-9"))
	if _, err := c.RotateAuthorizationServer(ctx, "as-2", next); !errors.As(err, &p) || p.Status != http.StatusBadRequest {
		t.Errorf("another issuer's file: %v", err)
	}
	check[TrustedAS](t)(c.RotateAuthorizationServer(ctx, "as-1", next))
	if _, err := c.AddAuthorizationServer(ctx, EnrolmentFile(`{"version":1}`)); !errors.As(err, &p) || p.Status != http.StatusBadRequest || p.Hint == "" {
		t.Errorf("no enrolment: %v", err)
	}
	if err := c.RemoveAuthorizationServer(ctx, "as-1"); err != nil {
		t.Error(err)
	}
	if list := check[[]TrustedAS](t)(c.AuthorizationServers(ctx)); len(list) != 0 {
		t.Errorf("still trusted: %+v", list)
	}
	if err := c.RevokeResourceServer(ctx, "gm-9"); err != nil {
		t.Error(err)
	}
}

// TestTokensOverTheSocket issues a token and looks at it as an operator.
func TestTokensOverTheSocket(t *testing.T) {
	ctx := t.Context()
	d := newDomain()
	d.as = realAS(t)
	c := d.client(t)
	if _, err := d.as.RegisterRS(ctx, authserver.RSRequest{Audience: "gm1", URI: "coap://127.0.0.1:5683"}); err != nil {
		t.Fatal(err)
	}
	e, err := d.as.Enrol(ctx, authserver.EnrolRequest{Name: "lamp", Audience: "gm1",
		Grants: []authserver.Grant{{Audience: "gm1", Group: "hall", Roles: ace.RoleResponder}}})
	if err != nil {
		t.Fatal(err)
	}
	who, err := d.as.PeerByID(e.AS.ID)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.as.Issue(ctx, who.Peer, &ace.TokenRequest{Audience: "gm1", GrantType: ace.GrantClientCredentials,
		Scope: ace.Scope{{Group: "hall", Roles: ace.RoleResponder}}})
	if err != nil {
		t.Fatal(err)
	}
	list := check[[]Token](t)(c.Tokens(ctx))
	if len(list) != 1 || list[0].Client != "lamp" || list[0].Groups["hall"] != "responder" || list[0].Revoked {
		t.Fatalf("tokens: %+v", list)
	}
	v := check[TokenInspection](t)(c.InspectToken(ctx, r.AccessToken))
	if !v.Taken || v.Issuer != "as-1" || v.Groups["hall"] != "responder" || v.Known == nil || v.Hash != list[0].Hash {
		t.Errorf("inspection: %+v", v)
	}
	if err := c.RevokeToken(ctx, list[0].Hash); err != nil {
		t.Fatal(err)
	}
	v = check[TokenInspection](t)(c.InspectToken(ctx, r.AccessToken))
	if v.Taken || !strings.Contains(v.Refusal, "revoked") || !v.Known.Revoked {
		t.Errorf("after the revocation: %+v", v)
	}
	var p *Problem
	if err := c.RevokeToken(ctx, "no hash"); !errors.As(err, &p) || p.Status != http.StatusBadRequest {
		t.Errorf("no hash: %v", err)
	}
	junk := check[TokenInspection](t)(c.InspectToken(ctx, []byte{1, 2, 3}))
	if junk.Taken || junk.Refusal == "" {
		t.Errorf("junk: %+v", junk)
	}
}

// TestRoles asks a process for what it has no role for.
func TestRoles(t *testing.T) {
	d := newDomain()
	d.as = realAS(t)
	c := d.clientOf(t, d.config(nil).only("as"))
	var p *Problem
	if _, err := c.Groups(t.Context()); !errors.As(err, &p) || p.Kind != "no-role" {
		t.Errorf("groups of an Authorization Server: %v", err)
	}
	if _, err := c.Devices(t.Context()); err != nil {
		t.Error(err)
	}
	c = d.clientOf(t, d.config(nil).only("gm"))
	if _, err := c.Devices(t.Context()); !errors.As(err, &p) || p.Kind != "no-role" {
		t.Errorf("devices of a Group Manager: %v", err)
	}
	if _, err := c.Groups(t.Context()); err != nil {
		t.Error(err)
	}
}

func (c Config) only(role string) Config {
	if role == "as" {
		c.Groups, c.Control, c.Members, c.Trusted, c.Identities = nil, nil, nil, nil, nil
	} else {
		c.Devices, c.Tokens, c.ResourceServers = nil, nil, nil
	}
	return c
}

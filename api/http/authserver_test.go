package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

func newAuthServer(t *testing.T) AuthServer {
	t.Helper()
	store, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: secret.Bytes(make([]byte, keystore.DataKeySize))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	as, err := authserver.New(authserver.Config{Issuer: "as", TokenURI: "coap://127.0.0.1:5683/token"}, store)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := as.RegisterRS(t.Context(), authserver.RSRequest{Audience: "gm1", URI: "coap://127.0.0.1:5683"}); err != nil {
		t.Fatal(err)
	}
	evicted := 0
	return AuthServer{Registry: as, Audience: "gm1", Evict: func(context.Context, string) (int, error) {
		evicted++
		return evicted, nil
	}}
}

func TestAuthServer(t *testing.T) {
	a := newAuthServer(t)
	ctx := t.Context()
	e, err := a.Enrol(ctx, DeviceSpec{Name: "switch", Groups: map[string]string{"lights": "requester+responder", "floor-*": "monitor"}})
	if err != nil {
		t.Fatal(err)
	}
	if e.Device.Groups["lights"] != "requester+responder" || e.Device.Groups["floor-*"] != "monitor" || e.Device.Revoked {
		t.Errorf("device %+v", e.Device)
	}
	file, err := ace.ParseEnrolment(e.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	if file.Device != "switch" || file.Audience != "gm1" || file.GM != "coap://127.0.0.1:5683" || file.AS.Secret.Len() < 16 {
		t.Errorf("enrolment %+v", file)
	}
	if list, err := a.Devices(ctx); err != nil || len(list) != 1 || list[0].Name != "switch" {
		t.Errorf("list %+v, %v", list, err)
	}
	if v, err := a.Revoke(ctx, "switch"); err != nil || v != (Revoked{Groups: 1}) {
		t.Errorf("revoked: %+v, %v", v, err)
	}
	if v, err := a.Revoke(ctx, "switch"); err != nil || v != (Revoked{Groups: 2}) {
		t.Errorf("a second time: %+v, %v", v, err)
	}
	if d, err := a.Device(ctx, "switch"); err != nil || !d.Revoked {
		t.Errorf("device %+v, %v", d, err)
	}
}

func TestReenrol(t *testing.T) {
	a := newAuthServer(t)
	as := a.Registry.(*authserver.Service)
	ctx := t.Context()
	first, err := a.Enrol(ctx, DeviceSpec{Name: "switch", Groups: map[string]string{"lights": "requester"}})
	if err != nil {
		t.Fatal(err)
	}
	secretOf := func(e Enrolled) string {
		t.Helper()
		f, err := ace.ParseEnrolment(e.Enrolment)
		if err != nil {
			t.Fatal(err)
		}
		p := f.AS.Params()
		return string(p.MasterSecret)
	}
	token := func() ace.TokenHash {
		t.Helper()
		c, err := as.Client("switch")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := as.Issue(ctx, authserver.Peer{Kind: authserver.PeerClient, Number: c.Number}, &ace.TokenRequest{GrantType: ace.GrantClientCredentials})
		if err != nil {
			t.Fatal(err)
		}
		return ace.HashToken(resp.AccessToken)
	}
	old := token()
	kept, err := a.Reenrol(ctx, "switch", Reenrolment{KeepTokens: true})
	if err != nil || secretOf(kept) == secretOf(first) || kept.Device.Groups["lights"] != "requester" {
		t.Fatalf("%+v, %v", kept.Device, err)
	}
	if as.TokenRevoked(old) {
		t.Error("a token that was to be kept is revoked")
	}
	second, err := a.Reenrol(ctx, "switch", Reenrolment{})
	if err != nil || secretOf(second) == secretOf(kept) {
		t.Fatal("the secret is the old one", err)
	}
	if !as.TokenRevoked(old) {
		t.Error("a token that was got with the old secret lives on")
	}
	if as.TokenRevoked(token()) {
		t.Error("a token that was got with the new secret is revoked")
	}
	if v, err := a.Revoke(ctx, "switch"); err != nil || v.Groups != 2 { // once by Reenrol
		t.Errorf("%+v, %v", v, err)
	}
	if back, err := a.Reenrol(ctx, "switch", Reenrolment{}); err != nil || back.Device.Revoked {
		t.Errorf("%+v, %v", back.Device, err)
	}
	if _, err := a.Reenrol(ctx, "none", Reenrolment{}); domainProblem(err).Status != http.StatusNotFound {
		t.Error(err)
	}
}

func TestElsewhere(t *testing.T) {
	a := newAuthServer(t)
	ctx := t.Context()
	a.HasGroup = func(_ context.Context, name string) (bool, error) { return name == "lights", nil }
	e, err := a.Enrol(ctx, DeviceSpec{Name: "here", Groups: map[string]string{"lights": "requester", "lihgts": "requester", "floor-*": "requester"}})
	if err != nil || len(e.Missing) != 1 || e.Missing[0] != "lihgts" {
		t.Errorf("missing %v, %v", e.Missing, err)
	}
	_, err = a.Enrol(ctx, DeviceSpec{Name: "there", Audience: "gm2", Groups: map[string]string{"pumps": "requester"}})
	if p := domainProblem(err); p.Kind != "no-server" || !strings.Contains(p.Hint, "rs enroll") {
		t.Errorf("%+v", p)
	}
	if _, err := a.Registry.(*authserver.Service).EnrolRS(ctx, authserver.RSRequest{Audience: "gm2", URI: "coap://127.0.0.2:5683"}); err != nil {
		t.Fatal(err)
	}
	e, err = a.Enrol(ctx, DeviceSpec{Name: "there", Audience: "gm2", Groups: map[string]string{"pumps": "requester"}})
	if err != nil || e.Missing != nil || e.Device.For != "gm2" || e.Device.Groups["pumps"] != "requester" {
		t.Fatalf("%+v, %v", e, err)
	}
	if f, err := ace.ParseEnrolment(e.Enrolment); err != nil || f.Audience != "gm2" || f.GM != "coap://127.0.0.2:5683" {
		t.Errorf("%+v, %v", f, err)
	}
	if v, err := a.Revoke(ctx, "there"); err != nil || !v.Elsewhere {
		t.Errorf("%+v, %v", v, err)
	}
	a.Evict, a.HasGroup = nil, nil
	if v, err := a.Revoke(ctx, "here"); err != nil || !v.Elsewhere {
		t.Errorf("an Authorization Server alone: %+v, %v", v, err)
	}
}

func TestDeviceProblems(t *testing.T) {
	a := newAuthServer(t)
	ctx := t.Context()
	if _, err := a.Enrol(ctx, DeviceSpec{Name: "lamp", Groups: map[string]string{"g": "responder"}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		err    error
		status int
	}{
		{"name taken", second(a.Enrol(ctx, DeviceSpec{Name: "lamp", Groups: map[string]string{"g": "responder"}})), http.StatusConflict},
		{"unknown role", second(a.Enrol(ctx, DeviceSpec{Name: "x", Groups: map[string]string{"g": "king"}})), http.StatusBadRequest},
		{"name with a blank", second(a.Enrol(ctx, DeviceSpec{Name: "x y", Groups: map[string]string{"g": "responder"}})), http.StatusBadRequest},
		{"unknown device", second(a.Device(ctx, "none")), http.StatusNotFound},
		{"unknown device revoked", second(a.Revoke(ctx, "none")), http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := domainProblem(c.err)
			if p.Status != c.status || p.Detail == "" || strings.Contains(p.Detail, "\n") {
				t.Errorf("%v becomes %+v", c.err, p)
			}
		})
	}
	if p := domainProblem(errors.New("planted")); p.Status != 500 || strings.Contains(p.Detail, "planted") {
		t.Errorf("problem %+v", p)
	}
}

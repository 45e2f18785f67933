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
	if n, err := a.Revoke(ctx, "switch"); err != nil || n != 1 {
		t.Errorf("revoked out of %d groups, %v", n, err)
	}
	if n, err := a.Revoke(ctx, "switch"); err != nil || n != 2 {
		t.Errorf("a second time: %d groups, %v", n, err)
	}
	if d, err := a.Device(ctx, "switch"); err != nil || !d.Revoked {
		t.Errorf("device %+v, %v", d, err)
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

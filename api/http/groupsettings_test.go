package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/manager"
)

// every is a value for each setting, and what the domain gets for it.
func every() (values map[string]string, want manager.GroupConfig) {
	return map[string]string{
			"hkdf": "7", "credential_format": "KCWT", "group_encryption": "A128GCM", "signature": "ES384", "aead": "11", "key_agreement": "-28",
			"key_lifetime": "2h", "rekey_margin": "20m", "rekey_jitter": "0s", "check_interval": "10m", "expiration_delta": "1m",
			"max_stale_sets": "9", "max_members": "50", "backward_security": "true",
			"leave_window": "1s", "eviction_window": "2s", "expiry_window": "3s",
		}, manager.GroupConfig{
			HKDF: cose.AlgHMAC512, CredentialFormat: cose.FormatCWT, GroupEnc: cose.AlgA128GCM, Signature: cose.AlgES384, AEAD: cose.AlgAESCCM16_64_256,
			KeyAgreement: cose.AlgECDHSSHKDF512, KeyLifetime: 2 * time.Hour, CheckInterval: 10 * time.Minute, ExpirationDelta: time.Minute,
			MaxStaleSets: 9, MaxMembers: 50, BackwardSecurity: true,
			Windows:  manager.Windows{Leave: time.Second, Eviction: 2 * time.Second, Expiry: 3 * time.Second},
			Schedule: manager.Schedule{Margin: 20 * time.Minute, Jitter: manager.NoJitter},
		}
}

func TestGroupSettings(t *testing.T) {
	values, want := every()
	var s GroupSettings
	for member, v := range values {
		if err := s.Set(member, v); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("every member has a value by name and comes through JSON", func(t *testing.T) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(b, &members); err != nil || len(members) != len(values) {
			t.Fatalf("%d members of %d: %s, %v", len(members), len(values), b, err)
		}
		var back GroupSettings
		if err := decode(b, &back); err != nil {
			t.Fatal(err)
		}
		var got manager.GroupConfig
		back.edit(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	t.Run("what is absent stays", func(t *testing.T) {
		got := want
		GroupSettings{}.edit(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	t.Run("what is shown can be given", func(t *testing.T) {
		b, err := json.Marshal(settingsOf(want))
		if err != nil {
			t.Fatal(err)
		}
		var back GroupSettings
		if err := decode(b, &back); err != nil {
			t.Fatal(err)
		}
		var got manager.GroupConfig
		back.edit(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	t.Run("faults", func(t *testing.T) {
		for member, v := range map[string]string{"hkdf": "ROT13", "credential_format": "pgp", "key_lifetime": "soon", "leave_window": "1", "max_members": "0",
			"max_stale_sets": "x", "backward_security": "maybe", "modes": "group"} {
			if err := s.Set(member, v); err == nil {
				t.Errorf("%s %s was taken", member, v)
			}
		}
	})
}

func TestChangesOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	ctx := t.Context()
	check[Group](t)(c.CreateGroup(ctx, GroupSpec{Name: "g"}))
	u := GroupUpdate{Revision: 1}
	values, want := every()
	for member, v := range values {
		if err := u.Set(member, v); err != nil {
			t.Fatal(err)
		}
	}
	text := "the hall"
	u.Description = &text
	g := check[Group](t)(c.UpdateGroup(ctx, "g", u))
	if g.Description != text || g.Revision != 2 || time.Duration(*g.LeaveWindow) != time.Second || g.CredentialFormat.String() != "kcwt" || time.Duration(*g.RekeyJitter) != 0 {
		t.Errorf("%+v", g)
	}
	if diff := cmp.Diff(want, d.groups["g"].Config); diff != "" {
		t.Error(diff)
	}
	var p *Problem
	if _, err := c.UpdateGroup(ctx, "g", u); !errors.As(err, &p) || p.Status != http.StatusConflict {
		t.Errorf("an old revision: %v", err)
	}
	if v := check[Invalidation](t)(c.Invalidate(ctx, "g")); v.Evicted != 3 || v.Version != 1 {
		t.Errorf("%+v", v)
	}
	if _, err := c.Invalidate(ctx, "none"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Error(err)
	}
}

func TestIdentitiesOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	ctx := t.Context()
	list := check[[]Identity](t)(c.Identities(ctx))
	if len(list) != 1 || list[0].Name != "EdDSA-Ed25519-kccs" || list[0].Groups != 2 || list[0].Behind != 1 || list[0].Curve != "Ed25519" || list[0].Credential.String() != "a1" {
		t.Errorf("%+v", list)
	}
	v := check[Rotation](t)(c.RotateIdentity(ctx, list[0].Name))
	if v.Rekeyed != 2 || v.Identity.Generation != 1 || v.Identity.Name != list[0].Name {
		t.Errorf("%+v", v)
	}
	var p *Problem
	if _, err := c.RotateIdentity(ctx, "none"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Error(err)
	}
	if len(d.actors) == 0 || !strings.HasPrefix(d.actors[len(d.actors)-1], "uid:") {
		t.Errorf("actors %q", d.actors)
	}
}

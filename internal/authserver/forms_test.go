package authserver

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// keyed enrols a device with a key of its own and both profiles.
func (b *bench) keyed(t *testing.T, name string, audiences ...string) (*ace.Enrolment, []byte) {
	t.Helper()
	key := must(cose.GenerateKey(cose.CurveEd25519, rand.Reader)).Public()
	var grants []Grant
	for _, a := range audiences {
		grants = append(grants, Grant{Audience: a, Group: "room1", Roles: ace.RoleRequester})
	}
	e := must(b.Enrol(t.Context(), EnrolRequest{
		Name: name, Audience: "gm1", Grants: grants, Key: key, Profiles: []ace.Profile{ace.ProfileCoAPOSCORE, ace.ProfileCoAPDTLS},
	}))
	return e, must(key.MarshalCBOR())
}

func own(audience string, key []byte) *ace.TokenRequest {
	q := room1(ace.RoleRequester)
	q.Audience, q.ReqCnf = audience, &ace.Confirmation{Key: secret.Hide(key)}
	return q
}

func TestForms(t *testing.T) {
	t.Parallel()
	t.Run("TR-TOK-04 no token is issued in JSON, whatever its form", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for form, profile := range map[TokenForm]ace.Profile{FormEncrypted: ace.ProfileCoAPOSCORE, FormNested: ace.ProfileCoAPOSCORE, FormSigned: ace.ProfileCoAPDTLS} {
			name := form.String()
			must(b.RegisterRS(t.Context(), RSRequest{Audience: name, URI: "coap://x", Form: form, Profiles: []ace.Profile{profile}}))
			e, key := b.keyed(t, "to-"+name, name)
			q := room1(ace.RoleRequester)
			if q.Audience = name; form == FormSigned {
				q = own(name, key)
			}
			token := b.issueFor(t, e, q).AccessToken
			if !bytes.HasPrefix(token, []byte{0xd8, 0x3d}) || json.Valid(token) || bytes.ContainsAny(token[:1], "{e") {
				t.Errorf("%s: %x", name, token)
			}
		}
	})
	t.Run("AC-153,AO-014,TR-TOK-02 a nested token is signed, then encrypted, and is stored after it was signed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://x", Lifetime: time.Hour, Form: FormNested}))
		if err := b.SetGrants(t.Context(), "lamp", []Grant{{Audience: "gm2", Group: "room1", Roles: ace.RoleResponder}}); err != nil {
			t.Fatal(err)
		}
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		resp := b.issueFor(t, b.lamp, q)
		v := must(b.Inspect(resp.AccessToken))
		if v.Refusal != nil || !v.Nested || !v.Strict || v.Audience != "gm2" || v.Token == nil || v.Token.Client != "lamp" || v.Claims.Cnf.OSC == nil {
			t.Fatalf("%+v, %v", v, v.Refusal)
		}
		if _, err := ace.OpenIssued(resp.AccessToken, must(b.TrustedAS("gm2"))[:1]); err == nil {
			t.Fatal("the encryption alone suffices")
		}
	})
	t.Run("AC-108,AC-117,AC-129,TR-TOK-01 a token for several is signed and bound to a public key, and no rs_cnf is sent", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		dtls := []ace.Profile{ace.ProfileCoAPDTLS}
		rsKey := must(cose.GenerateKey(cose.CurveP256, rand.Reader)).Public()
		for _, a := range []string{"rs1", "rs2"} {
			must(b.EnrolRS(t.Context(), RSRequest{Audience: a, URI: "coap://x", Profiles: dtls, PublicKey: rsKey, Form: FormSigned}))
		}
		if err := b.RegisterAudience(t.Context(), AudienceRequest{Audience: "all", Members: []string{"rs1", "rs2"}, Lifetime: time.Hour}); err != nil {
			t.Fatal(err)
		}
		e, key := b.keyed(t, "phone", "all", "rs1")
		resp := b.issueFor(t, e, own("all", key))
		if !bytes.HasPrefix(resp.AccessToken, []byte{0xd8, 0x3d, 0xd2}) || resp.RSCnf != nil || resp.Cnf != nil {
			t.Fatalf("%x", resp.AccessToken)
		}
		c := must(ace.OpenIssued(resp.AccessToken, must(b.TrustedAS("rs1"))))
		if len(c.Audience) != 1 || c.Audience[0] != "all" || !bytes.Equal(c.Cnf.Key.Bytes(), key) || c.Profile != ace.ProfileCoAPDTLS {
			t.Fatalf("%+v", c)
		}
		b.refused(t, e, func() *ace.TokenRequest { q := own("all", key); q.ReqCnf = nil; return q }(), ace.InvalidRequest)
		// Each member introspects it and learns of its end.
		rs1 := must(b.PeerByID([]byte{0, 2})).Peer
		if r := must(b.Introspect(t.Context(), rs1, &ace.IntrospectionRequest{Token: resp.AccessToken})); !r.Active {
			t.Fatalf("%+v", r)
		}
		b.ends(t, ace.HashToken(resp.AccessToken))
		for _, n := range []byte{2, 3} {
			if r := b.query(t, must(b.PeerByID([]byte{0, n})).Peer); len(r.Full) != 1 {
				t.Fatalf("%+v", r)
			}
		}
	})
	t.Run("AC-037,AC-125,AC-130,AC-123 for one resource server its key is told, and the client's has to be the one that is known", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		rsKey := must(cose.GenerateKey(cose.CurveP256, rand.Reader)).Public()
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "rs1", URI: "coap://x", Profiles: []ace.Profile{ace.ProfileCoAPDTLS}, PublicKey: rsKey}))
		e, key := b.keyed(t, "phone", "rs1")
		resp := must(ace.ParseAccessInformation(b.issueFor(t, e, own("rs1", key)).Marshal()))
		k := must(ace.ParsePoPKey(resp.RSCnf.Key.Bytes()))
		if !k.Public.Equal(rsKey) || resp.Cnf != nil || resp.Bearer {
			t.Fatalf("%+v", resp)
		}
		other := must(must(cose.GenerateKey(cose.CurveEd25519, rand.Reader)).Public().MarshalCBOR())
		b.refused(t, e, own("rs1", other), ace.UnsupportedPoPKey)
		b.refused(t, b.sw, own("rs1", other), ace.UnsupportedPoPKey)
	})
	t.Run("AC-043 a public key where the resource server has no profile for it is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e, key := b.keyed(t, "phone", "gm1")
		b.refused(t, e, own("gm1", key), ace.UnsupportedPoPKey)
	})
	t.Run("AC-122,AC-141 a symmetric key of the client's is refused, and one that is not complete", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "rs1", URI: "coap://x", Profiles: []ace.Profile{ace.ProfileCoAPDTLS}}))
		e, _ := b.keyed(t, "phone", "rs1")
		b.refused(t, e, own("rs1", append([]byte{0xa2, 1, 4, 0x20, 0x50}, make([]byte, 16)...)), ace.InvalidRequest)
		b.refused(t, e, own("rs1", []byte{0xa2, 1, 1, 0x20, 6}), ace.UnsupportedPoPKey)
		q := own("rs1", nil)
		q.ReqCnf = &ace.Confirmation{EncryptedKey: []byte{0x80}}
		b.refused(t, e, q, ace.IncompatibleACEProfiles)
	})
	t.Run("AC-044 a client and a resource server without a profile in common are refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "rs1", URI: "coap://x", Profiles: []ace.Profile{ace.ProfileCoAPDTLS}}))
		q := room1(ace.RoleResponder)
		q.Audience = "rs1"
		b.refused(t, b.lamp, q, ace.IncompatibleACEProfiles)
	})
	t.Run("AC-107 signed tokens are not for resource servers of the OSCORE profile", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for _, q := range []RSRequest{
			{Audience: "x", URI: "coap://x", Form: FormSigned}, {Audience: "x", URI: "coap://x", Form: 9}, {Audience: "x", URI: "coap://x", Profiles: []ace.Profile{3}},
		} {
			_, err := b.RegisterRS(t.Context(), q)
			wantErr(t, err, ErrInvalid)
		}
		for _, q := range []AudienceRequest{
			{Audience: "", Members: []string{"gm1", "gm1"}}, {Audience: "x", Members: []string{"gm1"}}, {Audience: "x", Members: []string{"gm1", "gm1"}},
			{Audience: "x", Members: []string{"gm1", "gm1"}, Lifetime: time.Second},
		} {
			wantErr(t, b.RegisterAudience(t.Context(), q), ErrInvalid)
		}
		wantErr(t, b.RegisterAudience(t.Context(), AudienceRequest{Audience: "x", Members: []string{"gm1", "gm9"}}), ErrNotFound)
	})
	t.Run("AC-100,AC-102 a token with exi has the resource server and a count of such tokens in cti", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		gm2 := must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://x", Lifetime: time.Hour, Exi: true}))
		if err := b.SetGrants(t.Context(), "lamp", []Grant{{Audience: "gm2", Group: "room1", Roles: ace.RoleResponder}}); err != nil {
			t.Fatal(err)
		}
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		for n := range uint64(3) {
			if n == 2 {
				b.restart(t)
			}
			c := must(ace.OpenToken(b.issueFor(t, b.lamp, q).AccessToken, gm2.Key))
			if !bytes.Equal(c.ID, ace.ExiID("gm2", n+1)) || c.Exi != 3600 || c.Expires.IsZero() {
				t.Fatalf("%+v", c)
			}
		}
	})
	t.Run("a token that was signed is not stored if the client has lost its grants meanwhile", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://x", Form: FormNested}))
		grant := []Grant{{Audience: "gm2", Group: "room1", Roles: ace.RoleResponder}}
		if err := b.SetGrants(t.Context(), "lamp", grant); err != nil {
			t.Fatal(err)
		}
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		i := &issue{s: b.Service, request: q, random: secret.Hide(make([]byte, 64))}
		if err := i.transact(t.Context(), b.peer(b.lamp), i.run); err != nil || i.token != nil {
			t.Fatal(err)
		}
		if err := errors.Join(i.sign(), b.SetGrants(t.Context(), "lamp", nil)); err != nil {
			t.Fatal(err)
		}
		var refusal *ace.Error
		if err := i.transact(t.Context(), b.peer(b.lamp), i.complete); !errors.As(err, &refusal) || refusal.Number != ace.InvalidScope {
			t.Fatal(err)
		}
		if list := must(b.Tokens(ace.TokenHash{}, 9)); len(list) != 0 {
			t.Fatal(list)
		}
	})
	t.Run("keys that sign rotate with an overlap", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://x", Form: FormNested}))
		first := must(b.TrustedAS("gm2"))
		file := must(b.RotateSigningKey(t.Context(), "gm2", time.Hour))
		if len(first) != 2 || len(must(b.TrustedAS("gm2"))) != 3 || file.Trusted[0].Verify.Key.Equal(first[1].Verify.Key) {
			t.Fatal("not one more key")
		}
		if err := b.SetGrants(t.Context(), "lamp", []Grant{{Audience: "gm2", Group: "room1", Roles: ace.RoleResponder}}); err != nil {
			t.Fatal(err)
		}
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		old := b.issueFor(t, b.lamp, q).AccessToken
		must(ace.OpenIssued(old, first))
		b.clock.Advance(time.Hour)
		fresh := b.issueFor(t, b.lamp, q).AccessToken
		if _, err := ace.OpenIssued(fresh, first); err == nil {
			t.Fatal("signed by the old key")
		}
		must(ace.OpenIssued(fresh, append(file.Trusted, first[0])))
		_, err := b.RotateSigningKey(t.Context(), "gm2", -1)
		wantErr(t, err, ErrInvalid)
		for range maxSigningKeys - 2 {
			must(b.RotateSigningKey(t.Context(), "gm2", 0))
		}
		_, err = b.RotateSigningKey(t.Context(), "gm2", 0)
		wantErr(t, err, ErrInvalid)
	})
}

package authserver

import (
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/secret"
)

// FuzzIssue sends whatever to the token endpoint as an enrolled device.
func FuzzIssue(f *testing.F) {
	for _, q := range []*ace.TokenRequest{
		room1(ace.RoleRequester),
		{GrantType: ace.GrantClientCredentials, AskProfile: true, CNonce: []byte{1}},
		{Audience: "gm1", ReqCnf: &ace.Confirmation{KID: []byte{1}}, GrantType: ace.GrantClientCredentials},
		{Audience: "gm1", ReqCnf: &ace.Confirmation{Key: secret.Hide([]byte{0xa1, 1, 1})}, Profile: 1},
	} {
		f.Add(q.Marshal())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBench(t)
		defer b.keys.Close()
		before := len(b.log(t))
		q, err := ace.ParseTokenRequest(in)
		if err != nil {
			if e, err := b.Refuse(t.Context(), b.peer(b.sw), "switch", err); err != nil || e.Code != codes.BadRequest || e.Number == 0 {
				t.Fatal(e, err)
			}
			return
		}
		resp, err := b.Issue(t.Context(), b.peer(b.sw), q)
		var e *ace.Error
		if (err == nil) != (resp != nil) || err != nil && (!errors.As(err, &e) || e.Code != codes.BadRequest) {
			t.Fatal(resp, err)
		}
		if len(b.log(t)) != before+1 {
			t.Fatal("not one audit record")
		}
		if err != nil {
			return
		}
		claims := must(ace.OpenToken(resp.AccessToken, b.gm.Key))
		for _, entry := range claims.Scope {
			if entry.IsAdmin() || entry.Group == "room1" && entry.Roles&^(ace.RoleRequester|ace.RoleResponder) != 0 || entry.Group != "room1" && entry.Roles != ace.RoleMonitor {
				t.Fatalf("granted %v", claims.Scope)
			}
		}
	})
}

// FuzzPresented introspects, inspects and looks up whatever.
func FuzzPresented(f *testing.F) {
	f.Add([]byte("abc"), []byte{0, 1})
	f.Add([]byte{0xd8, 0x3d, 0xd0, 0x80}, []byte{1})
	f.Fuzz(func(t *testing.T, token, id []byte) {
		b := newBench(t)
		defer b.keys.Close()
		gm2 := must(b.EnrolRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://192.0.2.2"}))
		resp, err := b.Introspect(t.Context(), must(b.PeerByID(gm2.AS.ID)).Peer, &ace.IntrospectionRequest{Token: token})
		if err != nil || resp.Active {
			t.Fatal(resp, err)
		}
		if v, err := b.Inspect(token); err != nil || v.Refusal == nil || v.Token != nil {
			t.Fatal(v, err)
		}
		a, err := b.PeerByID(id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if err == nil && string(a.Params.RecipientID) != string(id) {
			t.Fatalf("%x answers for %x", a.Params.RecipientID, id)
		}
	})
}

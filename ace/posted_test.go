package ace

import (
	"context"
	"encoding/base64"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// FuzzPosted posts whatever to authz-info, in clear and under an association, to a Resource Server that trusts a strict and a lenient
// issuer and keeps tokens with exi; and looks at it as an operator does.
func FuzzPosted(f *testing.F) {
	f.Add(post(unhex(exampleToken)))
	f.Add(post([]byte(base64.RawURLEncoding.EncodeToString(unhex(exampleToken)))))
	f.Add(post(unhex(rfc8392Signed)))
	f.Add((&AuthzInfoRequest{AccessToken: unhex(exampleUpdate)}).Marshal())
	f.Add((&AuthzInfoRequest{
		AccessToken: must(SealToken(exampleKey(), make([]byte, 13), &Claims{
			Issuer: "coap://as.example.com", Audience: []string{"gm1"}, Scope: Scope{}, ID: ExiID("gm1", 7), Exi: 60, Cnf: &Confirmation{KID: []byte{1}},
		})),
		Nonce1: vectorN1, RecipientID: vectorID1, WantSignInfo: true,
	}).Marshal())
	f.Fuzz(func(t *testing.T, in []byte) {
		lenient := rfc8392Trust()
		lenient[0].Lenient, lenient[0].Issuer = true, "coap://lenient"
		b, _ := exiBench(t, func(c *RSConfig) { c.Issuers = append(c.Issuers, lenient...) })
		p, err := b.PostToken(t.Context(), here, in)
		if e, ok := isError(err); (err == nil) != (p != nil) || err != nil && (!ok || e.Code == codes.InternalServerError) {
			t.Fatalf("%v, %v", p, err)
		}
		if err == nil {
			if r := must(ParseAuthzInfoResponse(p.Response)); len(r.Nonce2) != nonceSize || !p.Token.Expires.After(b.clock.Now()) {
				t.Fatalf("%+v, %+v", r, p.Token)
			}
		}
		current := &Token{Issuer: "coap://as.example.com", Client: "switch", Material: OSCOREInputMaterial{ID: []byte{1}}}
		b.store.assoc[1] = &Association{Number: 1}
		tok, err := b.Update(t.Context(), here, 1, current, in)
		if e, ok := isError(err); (err == nil) != (tok != nil) || err != nil && (!ok || e.Code != codes.BadRequest && e.Code != codes.Unauthorized && e.Code != codes.ServiceUnavailable) {
			t.Fatalf("%v, %v", tok, err)
		}
		if err == nil && (tok.Issuer != current.Issuer || tok.Client != current.Client) {
			t.Fatalf("an update by another: %+v", tok)
		}
		q, err := ParseAuthzInfoRequest(in)
		if err != nil {
			return
		}
		if v := b.Inspect(q.AccessToken); v.Refusal == nil && p == nil && v.Issuer == "" {
			t.Fatalf("%+v", v)
		}
	})
}

// TestPostsByStrangers plays what somebody can do who sees the network.
func TestPostsByStrangers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("AO-073,AO-044 an older token that is posted again ends nothing, and confirms only for who has its key", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		old := b.token(nil)
		a, _, err := b.Confirm(ctx, must(b.PostToken(ctx, here, post(old))))
		if err != nil {
			t.Fatal(err)
		}
		newer := b.token(func(c *Claims) {
			c.Cnf, c.Scope = &Confirmation{KID: []byte{1}}, Scope{{Group: "g2", Roles: RoleResponder}}
		})
		if _, err := b.Update(ctx, here, a.Number, &a.Token, (&AuthzInfoRequest{AccessToken: newer}).Marshal()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			must(b.PostToken(ctx, here, post(old)))
		}
		b.clock.Advance(time.Minute)
		if got := b.store.assoc[a.Number]; got == nil || got.Token.Scope.Group("g2") == 0 || len(b.store.assoc) != 1 || b.PendingCount() != 0 {
			t.Fatalf("%+v", got)
		}
		// The update itself is of no use in clear.
		_, err = b.PostToken(ctx, here, post(newer))
		wantCode(t, err, codes.Unauthorized)
	})
	t.Run("AC-086,AC-082 a token of one trusted issuer with the name of another is refused", func(t *testing.T) {
		t.Parallel()
		other := exampleKey()
		other.KID, other.Key = []byte("other"), other.Key.Clone()
		other.Key.Bytes()[0] ^= 1
		b := newBench(t, func(c *RSConfig) { c.Issuers = append(c.Issuers, TrustedAS{Issuer: "coap://other", Key: other}) })
		m := vectorMaterial()
		claims := &Claims{
			Issuer: "coap://as.example.com", Subject: "switch", Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Hour), Scope: Scope{}, Cnf: &Confirmation{OSC: &m},
		}
		err := b.judged(must(SealToken(other, make([]byte, 13), claims)))
		wantCode(t, err, codes.Unauthorized)
		claims.Issuer = "" // then it is of who protected it
		p := must(b.PostToken(ctx, here, post(must(SealToken(other, make([]byte, 13), claims)))))
		if p.Token.Issuer != "coap://other" {
			t.Fatal(p.Token.Issuer)
		}
	})
	t.Run("AO-043,AO-046 an update by another issuer does not touch the association, though its kid is the same", func(t *testing.T) {
		t.Parallel()
		other := exampleKey()
		other.KID, other.Key = []byte("other"), other.Key.Clone()
		other.Key.Bytes()[0] ^= 1
		b := newBench(t, func(c *RSConfig) { c.Issuers = append(c.Issuers, TrustedAS{Issuer: "coap://other", Key: other}) })
		a, _, err := b.Confirm(ctx, must(b.PostToken(ctx, here, post(b.token(nil)))))
		if err != nil {
			t.Fatal(err)
		}
		claims := &Claims{
			Subject: "switch", Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Hour), Scope: Scope{{Group: "all", Roles: RoleRequester}}, Cnf: &Confirmation{KID: []byte{1}},
		}
		_, err = b.Update(ctx, here, a.Number, &a.Token, (&AuthzInfoRequest{AccessToken: must(SealToken(other, make([]byte, 13), claims))}).Marshal())
		wantCode(t, err, codes.Unauthorized)
		if b.store.assoc[a.Number].Token.Scope.Group("all") != 0 {
			t.Fatal("replaced")
		}
	})
	t.Run("TR-RS-03,AO-046 a revoked token does not come back as an update", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		a, _, err := b.Confirm(ctx, must(b.PostToken(ctx, here, post(b.token(nil)))))
		if err != nil {
			t.Fatal(err)
		}
		token := b.token(func(c *Claims) { c.Cnf = &Confirmation{KID: []byte{1}} })
		b.revoked[HashToken(token)] = true
		for how, other := range forgeries(token) {
			if _, err := b.Update(ctx, here, a.Number, &a.Token, (&AuthzInfoRequest{AccessToken: other}).Marshal()); err == nil {
				t.Error(how)
			}
		}
		_, err = b.Update(ctx, here, a.Number, &a.Token, (&AuthzInfoRequest{AccessToken: token}).Marshal())
		wantCode(t, err, codes.Unauthorized)
	})
	t.Run("AO-037,AO-038,AO-052 equal nonces and identifiers of posts never give equal contexts", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		salts, ids := map[string]bool{}, map[string]bool{}
		for range 50 {
			p := must(b.PostToken(ctx, here, post(token)))
			salts[string(p.Params.MasterSalt)], ids[string(p.Params.RecipientID)] = true, true
		}
		if len(salts) != 50 || len(ids) != 50 {
			t.Fatalf("%d salts, %d identifiers", len(salts), len(ids))
		}
	})
	t.Run("AC-087 a clock that is set back does not bring an expired pending association to life", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.PendingLife = time.Hour })
		p := must(b.PostToken(ctx, here, post(b.token(func(c *Claims) { c.Expires = exampleTime.Add(time.Minute) }))))
		b.clock.Advance(2 * time.Minute)
		if _, _, err := b.Confirm(ctx, p); err == nil {
			t.Fatal("confirmed")
		}
		b.clock.Advance(-2 * time.Minute)
		_, _, err := b.Confirm(ctx, p)
		wantErr(t, err, ErrNotPending)
	})
	t.Run("AC-093 a flood of one token leaves no more than its share behind", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		for range 3000 {
			must(b.PostToken(ctx, here, post(token)))
		}
		if n := b.PendingCount(); n != defaultMaxPendingPerToken || len(b.dropped) != 3000-n {
			t.Fatalf("%d pending, %d dropped", n, len(b.dropped))
		}
	})
}

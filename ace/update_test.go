package ace

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// associated is a bench with a confirmed association.
func associated(t *testing.T) (*bench, *Association) {
	t.Helper()
	b := newBench(t, nil)
	a, _, err := b.Confirm(context.Background(), must(b.PostToken(context.Background(), here, post(b.token(nil)))))
	if err != nil {
		t.Fatal(err)
	}
	return b, a
}

func onlyToken(token []byte) []byte { return (&AuthzInfoRequest{AccessToken: token}).Marshal() }

func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	kid := func(c *Claims) { c.Cnf = &Confirmation{KID: []byte{1}} }
	t.Run("AO-043,AO-044,AO-047 the new token replaces the one of the association", func(t *testing.T) {
		t.Parallel()
		b, a := associated(t)
		before := a.Token
		token := b.token(func(c *Claims) { kid(c); c.Scope = Scope{{Group: "g2", Roles: RoleResponder}} })
		got := must(b.Update(ctx, here, a.Number, &before, onlyToken(token)))
		now := b.store.assoc[a.Number].Token
		if now.Hash != HashToken(token) || now.Scope.Group("g1") != 0 || now.Scope.Group("g2") != RoleResponder || got.Hash != now.Hash {
			t.Fatalf("token %+v", now)
		}
		if !bytes.Equal(now.Challenge, before.Challenge) || len(b.store.assoc) != 1 || b.PendingCount() != 0 {
			t.Fatal("the challenge was lost, or something new is pending")
		}
	})
	t.Run("AO-042 nonce and identifier beside the token play no part", func(t *testing.T) {
		t.Parallel()
		b, a := associated(t)
		must(b.Update(ctx, here, a.Number, &a.Token, post(b.token(kid))))
	})
	t.Run("AO-043,AO-046 another kid, issuer or client, or none, is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b, a := associated(t)
		current := a.Token
		for name, token := range map[string][]byte{
			"other kid":    b.token(func(c *Claims) { c.Cnf = &Confirmation{KID: []byte{2}} }),
			"own material": b.token(nil),
			"other client": b.token(func(c *Claims) { kid(c); c.Subject = "lamp" }),
		} {
			_, err := b.Update(ctx, here, a.Number, &current, onlyToken(token))
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			wantCode(t, err, codes.Unauthorized)
		}
		foreign := current
		foreign.Issuer = "coap://other"
		_, err := b.Update(ctx, here, a.Number, &foreign, onlyToken(b.token(kid)))
		wantCode(t, err, codes.Unauthorized)
		if b.store.assoc[a.Number].Token.Hash != current.Hash {
			t.Fatal("the token was replaced")
		}
	})
	t.Run("AO-046 a wrong audience, scope or time is answered 4.01 here too", func(t *testing.T) {
		t.Parallel()
		b, a := associated(t)
		for name, change := range map[string]func(*Claims){
			"audience": func(c *Claims) { c.Audience = []string{"x"} },
			"scope":    func(c *Claims) { c.Scope = nil },
			"expired":  func(c *Claims) { c.Expires = exampleTime.Add(-time.Second) },
			"cnf":      func(c *Claims) { c.Cnf = nil },
		} {
			_, err := b.Update(ctx, here, a.Number, &a.Token, onlyToken(b.token(func(c *Claims) { kid(c); change(c) })))
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			wantCode(t, err, codes.Unauthorized)
		}
	})
	t.Run("a request without token is answered 4.00, a failing store 5.00", func(t *testing.T) {
		t.Parallel()
		b, a := associated(t)
		_, err := b.Update(ctx, here, a.Number, &a.Token, unhex("a0"))
		wantCode(t, err, codes.BadRequest)
		b.store.fail = errors.New("disk full")
		_, err = b.Update(ctx, here, a.Number, &a.Token, onlyToken(b.token(kid)))
		wantCode(t, err, codes.InternalServerError)
		wantErr(t, err, b.store.fail)
	})
}

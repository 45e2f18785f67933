package ace

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/secret"
)

// nobodyAnswers is an Introspector that learns nothing.
type nobodyAnswers struct{}

func (nobodyAnswers) Introspect(context.Context, string, []byte) (*IntrospectionResponse, error) {
	return nil, errors.New("no answer")
}

func TestInspect(t *testing.T) {
	t.Parallel()
	t.Run("a token that would be taken is described", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		v := b.Inspect(b.token(nil))
		if v.Refusal != nil || !v.Strict || v.Shape != "61(16([…]))" || v.Alg != "AES-CCM-16-64-128" || string(v.KID) != "Symmetric128" || v.Issuer != "coap://as.example.com" ||
			v.Claims.Subject != "switch" || v.Bound != "OSCORE input material" || v.Nested {
			t.Fatalf("%+v", v)
		}
		if b.PendingCount() != 0 || len(b.seen) != 0 {
			t.Fatal("something came of it")
		}
		text := base64.RawURLEncoding.EncodeToString(b.token(nil))
		if v := b.Inspect([]byte(text)); v.Refusal != nil || len(v.Warnings) != 1 {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("its secrets do not print", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		v := b.Inspect(b.token(nil))
		for _, form := range []string{fmt.Sprintf("%+v", *v.Claims.Cnf.OSC), fmt.Sprintf("%v", v.Claims.Cnf.OSC), fmt.Sprintf("%#v", *v.Claims.Cnf.OSC)} {
			if !strings.Contains(form, "redacted") || strings.Contains(form, fmt.Sprintf("%x", []byte(vectorMS))) {
				t.Error(form)
			}
		}
	})
	t.Run("why one would be refused is told as PostToken decides", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		b.cfg.Exi.Raise("coap://as.example.com", 4)
		revoked := b.token(nil)
		b.revoked[HashToken(revoked)] = true
		forged := b.token(nil)
		forged[len(forged)-1] ^= 1
		for want, token := range map[Refusal][]byte{
			RefusedMalformed: unhex("ff"), RefusedWrapper: forged, RefusedRevoked: revoked,
			RefusedExpired:      b.token(func(c *Claims) { c.Expires = exampleTime }),
			RefusedNotYet:       b.token(func(c *Claims) { c.NotBefore = exampleTime.Add(time.Hour) }),
			RefusedIssuer:       b.token(func(c *Claims) { c.Issuer = "x" }),
			RefusedAudience:     b.token(func(c *Claims) { c.Audience = nil }),
			RefusedScope:        b.token(func(c *Claims) { c.Scope = nil }),
			RefusedConfirmation: b.token(func(c *Claims) { c.Cnf = nil }),
			RefusedProfile:      b.token(func(c *Claims) { c.Profile = ProfileCoAPDTLS }),
			RefusedBinding:      b.token(func(c *Claims) { c.Cnf = &Confirmation{KID: []byte{1}} }),
			RefusedExi:          b.exiToken(3),
			RefusedClaims:       b.token(func(c *Claims) { c.Exi = 5 }),
		} {
			v := b.Inspect(token)
			if v.Refusal == nil || v.Refusal.Refusal != want {
				t.Errorf("%v: %v", want, v.Refusal)
			}
			_, err := b.PostToken(t.Context(), here, post(token))
			if e, ok := isError(err); !ok || e.Refusal != want {
				t.Errorf("%v: PostToken says %v", want, err)
			}
		}
		if v := b.Inspect(b.exiToken(5)); v.Refusal != nil {
			t.Fatal(v.Refusal)
		}
		if _, known := b.cfg.Exi.Number("coap://as.example.com", HashToken(b.exiToken(5))); known {
			t.Fatal("its time has begun")
		}
	})
	t.Run("of tokens with exi another one of a running number is told, and want of room", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		for n := range uint64(8) {
			must(b.PostToken(t.Context(), here, post(b.exiToken(n+1))))
		}
		for want, token := range map[Refusal][]byte{RefusedExi: b.exiToken(8), RefusedBusy: b.exiToken(9)} {
			if v := b.Inspect(token); v.Refusal == nil || v.Refusal.Refusal != want {
				t.Errorf("%v: %v", want, v.Refusal)
			}
			_, err := b.PostToken(t.Context(), here, post(token))
			if e, ok := isError(err); !ok || e.Refusal != want {
				t.Errorf("%v: PostToken says %v", want, err)
			}
		}
	})
	t.Run("where there are references it is told that an issuer is asked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) {
			c.Issuers, c.Introspector = append(c.Issuers, TrustedAS{Issuer: "coap://other", References: true}), nobodyAnswers{}
		})
		if v := b.Inspect([]byte("abc")); v.Refusal == nil || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0], "coap://other") {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("text that opens with no key is named by the hash of its token", func(t *testing.T) {
		t.Parallel()
		token := must(SealToken(TokenKey{KID: []byte("other"), Alg: exampleKey().Alg, Key: secret.Hide(make([]byte, 16))}, make([]byte, 13), &Claims{}))
		v := newBench(t, nil).Inspect([]byte(base64.RawURLEncoding.EncodeToString(token)))
		if v.Hash != HashToken(token) || !v.Strict || v.Refusal.Refusal != RefusedWrapper || len(v.Warnings) != 1 {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("other shapes are named", func(t *testing.T) {
		t.Parallel()
		list := rfc8392Trust()
		list[0].Lenient = true
		b := newBench(t, func(c *RSConfig) { c.Issuers = list })
		if v := b.Inspect(unhex(rfc8392Signed)); v.Shape != "18([…])" || v.Strict || v.Claims == nil || v.Refusal.Refusal != RefusedExpired {
			t.Fatalf("%+v", v)
		}
		if v := b.Inspect(unhex("a0")); v.Shape != "" || v.Refusal.Refusal != RefusedWrapper {
			t.Fatalf("%+v", v)
		}
	})
}

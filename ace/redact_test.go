package ace

import (
	"context"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/internal/secret/secrettest"
)

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	t.Run("no field is of a type that fmt can reach", func(t *testing.T) {
		t.Parallel()
		secrettest.Fields(t, ".")
	})
	b := newBench(t, nil)
	p := must(b.PostToken(context.Background(), here, post(b.token(nil))))
	a, _, err := b.Confirm(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	key, salt, tokenKey := vectorMS, vectorMaterial().Salt.Bytes(), exampleKey().Key.Bytes()
	symmetric := unhex("a2 01 04 20 50 000102030405060708090a0b0c0d0e0f")
	pop := must(ParsePoPKey(symmetric))
	material := vectorMaterial()
	osc := &Confirmation{OSC: &material}
	claims := &Claims{Cnf: osc}
	t.Run("messages", func(t *testing.T) {
		t.Parallel()
		secrettest.Printed(t, material, key, salt)
		secrettest.Printed(t, *osc, key, salt)
		secrettest.Printed(t, Confirmation{Key: secret.Hide(symmetric)}, symmetric, symmetric[5:])
		secrettest.Printed(t, *pop, symmetric[5:])
		secrettest.Printed(t, *claims, key, salt)
		secrettest.Printed(t, *must(readClaims(claims.Marshal())), key, salt)
		secrettest.Printed(t, TokenResponse{Cnf: osc}, key, salt)
		response := &IntrospectionResponse{Active: true, Claims: claims}
		secrettest.Printed(t, *response, key, salt)
		secrettest.Printed(t, *must(ParseIntrospectionResponse(response.Marshal())), key, salt)
		secrettest.Printed(t, *b.Inspect(b.token(nil)), key, salt)
	})
	t.Run("keys and enrolments", func(t *testing.T) {
		t.Parallel()
		e, rs := exampleEnrolment(), exampleRSEnrolment()
		secrettest.Printed(t, *e, e.AS.Secret.Bytes(), e.AS.Salt.Bytes())
		secrettest.Printed(t, e.AS, e.AS.Secret.Bytes(), e.AS.Salt.Bytes())
		secrettest.Printed(t, *rs, rs.AS.Secret.Bytes(), rs.AS.Salt.Bytes(), tokenKey)
		secrettest.Printed(t, exampleKey(), tokenKey)
		secrettest.Printed(t, TrustedAS{Key: exampleKey()}, tokenKey)
		secrettest.Printed(t, signer(), signer().Key.Secret())
		secrettest.Printed(t, b.cfg, tokenKey)
	})
	t.Run("state", func(t *testing.T) {
		t.Parallel()
		secrettest.Printed(t, a.Token, key, salt)
		secrettest.Printed(t, b.ResourceServer, tokenKey)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} { // Params is of package oscore
			secrettest.Shown(t, verb, fmt.Sprintf(verb, p)+fmt.Sprintf(verb, a)+fmt.Sprintf(verb, *a), key, salt)
		}
		n := must(NewClientNonces(b.clock, b.cfg.Rand, 0))
		secrettest.Printed(t, n, n.key.Bytes())
	})
}

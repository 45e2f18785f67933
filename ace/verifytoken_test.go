package ace

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// judged posts one token and returns what becomes of it.
func (b *bench) judged(token []byte) error {
	_, err := b.PostToken(context.Background(), here, post(token))
	return err
}

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	t.Run("AC-077,AO-036 what is no token or no complete request is answered 4.00", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for _, payload := range [][]byte{nil, unhex("a0"), unhex(exampleToken), post(unhex("ff")), post(unhex("8301"))} {
			_, err := b.PostToken(context.Background(), here, payload)
			wantCode(t, err, codes.BadRequest)
		}
	})
	t.Run("AC-083,AC-080 a token that does not open is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		bad := b.token(nil)
		bad[len(bad)-1] ^= 1
		wantCode(t, b.judged(bad), codes.Unauthorized)
		if b.PendingCount() != 0 {
			t.Fatal("an association is pending")
		}
	})
	t.Run("AC-082,AC-083 a token of an authorization server that is not trusted is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		k := TokenKey{KID: []byte("other"), Alg: cose.AlgAESCCM16_64_128, Key: secret.Hide(make([]byte, 16))}
		wantCode(t, b.judged(must(SealToken(k, make([]byte, 13), &Claims{}))), codes.Unauthorized)
	})
	t.Run("AC-084 claims that cannot be read are answered 4.00", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		k := exampleKey()
		for _, claims := range []string{"80", "a1 01 01", "a1 04 c1 01"} {
			sealed := must(cose.SealEncrypt0(k.Alg, k.Key.Bytes(), k.KID, make([]byte, 13), nil, unhex(claims)))
			wantCode(t, b.judged(append([]byte(prefixEncrypted), sealed...)), codes.BadRequest)
		}
	})
	t.Run("AC-086 another issuer than the one that sealed it is answered 4.01, none is taken for that one", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Issuer = "coap://other" })), codes.Unauthorized)
		p := must(b.PostToken(context.Background(), here, post(b.token(func(c *Claims) { c.Issuer = "" }))))
		if p.Token.Issuer != "coap://as.example.com" {
			t.Fatal(p.Token.Issuer)
		}
	})
	t.Run("AC-086 the key of one issuer does not serve another", func(t *testing.T) {
		t.Parallel()
		k := exampleKey()
		k.KID, k.Key = []byte("second"), secret.Hide(bytes.Repeat([]byte{7}, 16))
		b := newBench(t, func(c *RSConfig) { c.Issuers = append(c.Issuers, TrustedAS{Issuer: "coap://second", Key: k}) })
		token := func(iss string) []byte {
			m := vectorMaterial()
			b.iv++
			return must(SealToken(k, append(make([]byte, 12), b.iv), &Claims{
				Issuer: iss, Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Hour), Scope: Scope{}, Cnf: &Confirmation{OSC: &m},
			}))
		}
		wantCode(t, b.judged(token("coap://as.example.com")), codes.Unauthorized)
		if err := b.judged(token("coap://second")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-087 an expired token is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Expires = exampleTime })), codes.Unauthorized)
		if err := b.judged(b.token(func(c *Claims) { c.Expires = exampleTime.Add(time.Second) })); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-148 a token that is not valid yet is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.NotBefore = exampleTime.Add(time.Second) })), codes.Unauthorized)
		if err := b.judged(b.token(func(c *Claims) { c.NotBefore = exampleTime })); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-088,AC-132 a token for another audience is answered 4.03", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Audience = []string{"gm2"} })), codes.Forbidden)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Audience = nil })), codes.Forbidden)
		if err := b.judged(b.token(func(c *Claims) { c.Audience = []string{"gm2", "gm1"} })); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-089,AO-036 a scope that is not understood is answered 4.00", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		err := b.judged(b.token(func(c *Claims) { c.Scope = nil }))
		wantCode(t, err, codes.BadRequest)
		wantErr(t, err, ErrScope)
	})
	t.Run("AC-085 of several faults the first of iss, exp, aud and scope is answered", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		spoil := []func(*Claims){
			func(c *Claims) { c.Issuer = "x" },
			func(c *Claims) { c.Expires = exampleTime },
			func(c *Claims) { c.Audience = []string{"x"} },
			func(c *Claims) { c.Scope = nil },
		}
		want := []codes.Code{codes.Unauthorized, codes.Unauthorized, codes.Forbidden, codes.BadRequest}
		for i := range spoil {
			err := b.judged(b.token(func(c *Claims) {
				for _, f := range spoil[i:] {
					f(c)
				}
			}))
			wantCode(t, err, want[i])
		}
	})
	t.Run("AO-036,AO-022,AO-077 material that cannot be used is answered 4.00", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for _, change := range []func(*OSCOREInputMaterial){
			func(m *OSCOREInputMaterial) { m.MasterSecret = secret.Hidden{} },
			func(m *OSCOREInputMaterial) { m.ID = nil },
			func(m *OSCOREInputMaterial) { m.AEAD = cose.AlgEdDSA },
			func(m *OSCOREInputMaterial) { m.HKDF = cose.AlgES256 },
		} {
			wantCode(t, b.judged(b.token(func(c *Claims) { change(c.Cnf.OSC) })), codes.BadRequest)
		}
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Cnf = nil })), codes.BadRequest)
	})
	t.Run("AC-081 tokens without an expiration time, with exi or for another profile are not served", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		for _, change := range []func(*Claims){
			func(c *Claims) { c.Expires = time.Time{} },
			func(c *Claims) { c.Exi = 60 },
			func(c *Claims) { c.Profile = ProfileCoAPDTLS },
		} {
			wantCode(t, b.judged(b.token(change)), codes.BadRequest)
		}
	})
	t.Run("a token bound to earlier material is refused in an unprotected post", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.token(func(c *Claims) { c.Cnf = &Confirmation{KID: []byte{1}} })), codes.Unauthorized)
	})
	t.Run("TR-RS-03 a revoked token is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		b.revoked[HashToken(token)] = true
		wantCode(t, b.judged(token), codes.Unauthorized)
	})
	t.Run("issuers can be exchanged while it runs", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		b.SetIssuers(nil)
		wantCode(t, b.judged(token), codes.Unauthorized)
		b.SetIssuers([]TrustedAS{{Issuer: "coap://as.example.com", Key: exampleKey()}})
		if err := b.judged(token); err != nil {
			t.Fatal(err)
		}
	})
}

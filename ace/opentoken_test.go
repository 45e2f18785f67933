package ace

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

// The tokens of RFC 8392, Appendices A.3 and A.5: of one COSE tag, with key identifiers and nonce unprotected.
const (
	rfc8392Claims = "a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d" +
		"041a5612aeb0051a5610d9f0061a5610d9f007420b71"
	rfc8392Signed = "d28443a10126a104524173796d6d65747269634543445341323536" + "5850" + rfc8392Claims +
		"58405427c1ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f85951ecee743a52b9b63632c57209120e1c9e30"
	rfc8392Encrypted = "d08343a1010aa2044c53796d6d6574726963313238054d99a0d7846e762c49ffe8a63e0b5858b918a11fd81e438b7f973d9e2e119bcb22424ba0f38a80" +
		"f27562f400ee1d0d6c0fdb559c02421fd384fc2ebe22d7071378b0ea7428fff157444d45f7e6afcda1aae5f6495830c58627087fc5b4974f319a8707a635dd643b"
)

// rfc8392Trust trusts the issuer of these tokens.
func rfc8392Trust() []TrustedAS {
	pub := must(cose.NewPublicKey(cose.CurveP256, unhex("143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f"),
		unhex("60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9")))
	return []TrustedAS{{
		Issuer: "coap://as.example.com", Key: exampleKey(),
		Verify: VerifyKey{KID: []byte("AsymmetricECDSA256"), Alg: cose.AlgES256, Key: pub},
	}}
}

// signer is a signing key for tests.
func signer() SigningKey {
	return SigningKey{KID: []byte("sign"), Alg: cose.AlgEdDSA, Key: must(cose.NewPrivateKey(cose.CurveEd25519, bytes.Repeat([]byte{9}, 32)))}
}

func TestTokenForms(t *testing.T) {
	t.Parallel()
	iv := unhex("000102030405060708090a0b0c")
	public := &Confirmation{Key: secret.Hide(must(signer().Key.Public().MarshalCBOR()))}
	claims := &Claims{Issuer: "coap://as.example.com", Audience: []string{"gm1"}, Scope: Scope{}, Cnf: public}
	material := vectorMaterial()
	hidden := &Claims{Issuer: "coap://as.example.com", Audience: []string{"gm1"}, Scope: Scope{}, Cnf: &Confirmation{OSC: &material}}
	both := []TrustedAS{{Issuer: "coap://as.example.com", Key: exampleKey(), Verify: signer().Public()}}

	t.Run("TR-TOK-01,TR-TOK-02,TR-TOK-03,AC-081,AC-134 a signed token is tag 61 around tag 18 with every header protected", func(t *testing.T) {
		t.Parallel()
		token := must(SignToken(signer(), claims))
		if !bytes.HasPrefix(token, unhex("d83dd2 84 49 a201270444 7369676e a0")) {
			t.Fatalf("token %x", token)
		}
		o, err := openToken(token, both)
		if err != nil || o.encrypted || !o.signed || !bytes.Equal(o.claims, claims.Marshal()) {
			t.Fatalf("%+v, %v", o, err)
		}
	})
	t.Run("AC-153,AC-137,TR-TOK-02 a nested token is signed, tagged, then encrypted", func(t *testing.T) {
		t.Parallel()
		token := must(SealSignedToken(exampleKey(), iv, signer(), hidden))
		outer := must(cose.ParseEncrypt0(token[len(prefixEncrypted):]))
		inner := must(outer.Open(exampleKey().Key.Bytes(), nil))
		if inner[0] != 0xd2 || !outer.UnprotectedEmpty {
			t.Fatalf("inner %x", inner)
		}
		if s := must(cose.ParseSign1(inner[1:])); !s.UnprotectedEmpty || !bytes.Equal(s.Payload, hidden.Marshal()) {
			t.Fatalf("%+v", s)
		}
		o, err := openToken(token, both)
		if err != nil || !o.encrypted || !o.signed || !bytes.Equal(o.claims, hidden.Marshal()) {
			t.Fatalf("%+v, %v", o, err)
		}
	})
	t.Run("AC-137,TR-RS-04 each layer of a nested token is verified", func(t *testing.T) {
		t.Parallel()
		signed := must(cose.SealSign1(cose.AlgEdDSA, signer().Key, []byte("sign"), nil, hidden.Marshal()))
		forged := bytes.Clone(signed)
		forged[len(forged)-1] ^= 1
		bare := append(unhex("84 43 a10127 a1 0444 7369676e"), signed[len(signed)-66-len(hidden.Marshal())-2:]...)
		for name, inner := range map[string][]byte{
			"forged signature":    append([]byte(prefixInner), forged...),
			"tag of Encrypt0":     append([]byte{0xd0}, signed...),
			"tags of a CWT":       append([]byte(prefixSigned), signed...),
			"long tag":            append(unhex("d812"), signed...),
			"unprotected headers": append([]byte(prefixInner), bare...),
			"COSE_Mac0":           append([]byte{0xd1}, signed...),
		} {
			if _, err := openToken(must(seal(exampleKey(), iv, inner)), both); !errors.Is(err, ErrToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		deep := must(seal(exampleKey(), iv, append([]byte{0xd0}, must(SealSignedToken(exampleKey(), iv, signer(), hidden))[3:]...)))
		deepTrust := []TrustedAS{{Issuer: "a", Key: exampleKey(), Verify: signer().Public(), Lenient: true}}
		if _, err := openToken(deep, deepTrust); !errors.Is(err, ErrToken) {
			t.Errorf("three layers: %v", err)
		}
	})
	t.Run("AC-082,AC-086 the layers of a token are by one issuer", func(t *testing.T) {
		t.Parallel()
		token := must(SealSignedToken(exampleKey(), iv, signer(), hidden))
		apart := []TrustedAS{{Issuer: "a", Key: exampleKey()}, {Issuer: "b", Verify: signer().Public()}}
		if _, err := openToken(token, apart); !errors.Is(err, ErrToken) {
			t.Fatal(err)
		}
		apart[1].Issuer = "a"
		if _, err := openToken(token, apart); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-107,AC-142,AO-014 no token that everybody can read gets a secret key", func(t *testing.T) {
		t.Parallel()
		symmetric := unhex("a2 01 04 20 50 000102030405060708090a0b0c0d0e0f")
		for _, cnf := range []*Confirmation{hidden.Cnf, {Key: secret.Hide(symmetric)}, {Key: secret.Hide(unhex("a1 01 01"))}} {
			_, err := SignToken(signer(), &Claims{Cnf: cnf})
			wantErr(t, err, ErrSecretInClear)
		}
		sealed := must(SealKey(exampleKey(), iv, symmetric))
		token := must(SignToken(signer(), &Claims{Cnf: sealed}))
		if bytes.Contains(token, symmetric[5:]) {
			t.Fatal("the key can be read")
		}
		o := must(openToken(token, both))
		c := must(ParseClaims(o.claims))
		if k := must(c.Cnf.OpenKey(exampleKey())); !bytes.Equal(k.Symmetric.Bytes(), symmetric[5:]) {
			t.Fatalf("%+v", k)
		}
	})
	t.Run("AO-014,AC-107 material that came in the clear is not used", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.Issuers = both })
		c := *hidden
		c.Expires, c.Scope = exampleTime.Add(time.Hour), Scope{{Group: "g1", Roles: RoleMonitor}}
		signed := append([]byte(prefixSigned), must(sign(signer(), &c))...)
		err := b.judged(signed)
		wantCode(t, err, codes.BadRequest)
		wantErr(t, err, ErrSecretInClear)
		if err := b.judged(must(SealSignedToken(exampleKey(), iv, signer(), &c))); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a key of either kind can be missing", func(t *testing.T) {
		t.Parallel()
		for _, list := range [][]TrustedAS{nil, {{Issuer: "a", Key: exampleKey()}}} {
			if _, err := openToken(must(SignToken(signer(), claims)), list); !errors.Is(err, ErrToken) {
				t.Error(err)
			}
		}
		if _, err := openToken(unhex(exampleToken), []TrustedAS{{Issuer: "a", Verify: signer().Public()}}); !errors.Is(err, ErrToken) {
			t.Error(err)
		}
	})
}

func TestLenient(t *testing.T) {
	t.Parallel()
	strict, lenient := rfc8392Trust(), rfc8392Trust()
	lenient[0].Lenient = true
	t.Run("AC-136,AC-134,AC-133 from a lenient issuer tokens of one tag or none are taken, and untagged types are told by context", func(t *testing.T) {
		t.Parallel()
		for name, in := range map[string]string{
			"encrypted, one tag": rfc8392Encrypted, "encrypted, no tag": rfc8392Encrypted[2:], "encrypted, two tags": "d83d" + rfc8392Encrypted,
			"signed, one tag": rfc8392Signed, "signed, no tag": rfc8392Signed[2:], "signed, two tags": "d83d" + rfc8392Signed,
			"long tags": "d9003dd810" + rfc8392Encrypted[2:],
		} {
			o, err := openToken(unhex(in), lenient)
			if err != nil || !bytes.Equal(o.claims, unhex(rfc8392Claims)) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			c := must(ParseClaims(o.claims))
			if c.Issuer != "coap://as.example.com" || c.Subject != "erikw" || !bytes.Equal(c.ID, unhex("0b71")) || !c.Expires.Equal(time.Unix(1444064944, 0)) {
				t.Errorf("%s: %+v", name, c)
			}
			if _, err := openToken(unhex(in), strict); !errors.Is(err, ErrToken) {
				t.Errorf("%s: from another issuer: %v", name, err)
			}
		}
	})
	t.Run("AC-134,AC-135 other tags are refused from lenient issuers too", func(t *testing.T) {
		t.Parallel()
		for name, in := range map[string]string{
			"a CWT tag alone": "d83d" + rfc8392Encrypted[2:], "CWT tag inside": "d0d83d" + rfc8392Encrypted[2:], "CWT tag twice": "d83dd83d" + rfc8392Encrypted,
			"COSE_Mac0": "d1" + rfc8392Signed[2:], "COSE_Encrypt": "d860" + rfc8392Encrypted[2:], "tag of the other kind": "d2" + rfc8392Encrypted[2:],
			"a map": "a0", "an empty array": "80",
		} {
			if _, err := openToken(unhex(in), lenient); !errors.Is(err, ErrToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("AC-135 header parameters that are not understood are refused", func(t *testing.T) {
		t.Parallel()
		k := exampleKey()
		iv := unhex("000102030405060708090a0b0c")
		sealed := must(cose.SealEncrypt0(k.Alg, k.Key.Bytes(), k.KID, iv, nil, unhex(rfc8392Claims)))
		at := bytes.IndexByte(sealed[:40], 0xa0)
		with := bytes.Join([][]byte{sealed[:at], unhex("a1 1863 01"), sealed[at+1:]}, nil)
		if _, err := openToken(append([]byte(prefixEncrypted), with...), lenient); !errors.Is(err, ErrToken) {
			t.Fatal(err)
		}
	})
	t.Run("a key identifier may be missing then", func(t *testing.T) {
		t.Parallel()
		k := exampleKey()
		k.KID = nil
		token := must(SealToken(k, unhex("000102030405060708090a0b0c"), &Claims{}))
		if _, err := openToken(token, lenient); err != nil {
			t.Fatal(err)
		}
		if _, err := openToken(token, strict); !errors.Is(err, ErrToken) {
			t.Fatal(err)
		}
	})
}

func TestNoJSONTokens(t *testing.T) {
	t.Parallel()
	const head, payload = "eyJhbGciOiJFZERTQSJ9", "eyJpc3MiOiJjb2FwOi8vYXMuZXhhbXBsZS5jb20ifQ"
	tokens := map[string]string{
		"JWT":                         head + "." + payload + ".c2ln",
		"JWE":                         head + ".a2V5.aXY.Y3Q.dGFn",
		"JWS JSON, unprotected":       `{"payload":"` + payload + `","protected":"` + head + `","header":{"kid":"1"},"signature":"c2ln"}`,
		"JWS JSON":                    `{"payload":"` + payload + `","protected":"` + head + `","signature":"c2ln"}`,
		"JWE JSON, shared header":     `{"protected":"` + head + `","unprotected":{"kid":"1"},"ciphertext":"Y3Q"}`,
		"JWE JSON, recipients header": `{"protected":"` + head + `","recipients":[{"header":{"kid":"1"}}],"ciphertext":"Y3Q"}`,
	}
	t.Run("TR-TOK-04,TR-HASH-05 no token in JSON is taken, as it is or in base64url, so that it never has two hashes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.Issuers[0].Lenient = true })
		for name, token := range tokens {
			for _, form := range []string{token, base64.RawURLEncoding.EncodeToString([]byte(token))} {
				err := b.judged([]byte(form))
				wantCode(t, err, codes.BadRequest)
				if e, _ := isError(err); e.Refusal != RefusedMalformed {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if len(b.seen) != 0 || b.PendingCount() != 0 {
			t.Fatal("something was kept of them")
		}
	})
}

func TestTokenInfo(t *testing.T) {
	t.Parallel()
	token := unhex(exampleToken)
	text := []byte(base64.RawURLEncoding.EncodeToString(token))
	t.Run("TR-HASH-03 what a client posts is first taken for the token itself", func(t *testing.T) {
		t.Parallel()
		o, _, err := openInfo(token, trust(exampleKey()))
		if err != nil || o.hash.String() != exampleHash {
			t.Fatal(o, err)
		}
	})
	t.Run("TR-HASH-04 then for its base64url text, which is hashed as it came", func(t *testing.T) {
		t.Parallel()
		o, wellformed, err := openInfo(text, trust(exampleKey()))
		if err != nil || !bytes.Equal(o.claims, must(openToken(token, trust(exampleKey()))).claims) || o.hash != HashTokenText(string(text)) || !wellformed {
			t.Fatal(o, err)
		}
		b := newBench(t, nil)
		p := must(b.PostToken(t.Context(), here, post(text)))
		if p.Token.Hash.String() != exampleHash {
			t.Fatal(p.Token.Hash)
		}
	})
	t.Run("TR-HASH-04,TR-RS-03 a revoked token is refused in either form", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		b.revoked[HashToken(token)] = true
		for _, form := range [][]byte{token, text} {
			err := b.judged(form)
			wantCode(t, err, codes.Unauthorized)
		}
		if len(b.seen) != 2 {
			t.Fatal(b.seen)
		}
	})
	t.Run("other texts, and texts of tokens that do not open, are refused", func(t *testing.T) {
		t.Parallel()
		bad := bytes.Clone(token)
		bad[len(bad)-1] ^= 1
		for in, want := range map[string]bool{
			string(text) + "=": false, string(text[:len(text)-2]): false, "?": false, base64.RawURLEncoding.EncodeToString(bad): true, "": false,
		} {
			_, wellformed, err := openInfo([]byte(in), trust(exampleKey()))
			if err == nil || wellformed != want {
				t.Errorf("%q: %v, %v", in, wellformed, err)
			}
		}
		// A byte string that is both CBOR and base64url text.
		both := append([]byte("xA"), bytes.Repeat([]byte("A"), 65)...)
		if cborx.Wellformed(both) != nil {
			t.Fatal("not CBOR")
		}
		if _, _, err := openInfo(both, trust(exampleKey())); !errors.Is(err, ErrToken) {
			t.Fatal(err)
		}
	})
}

package ace

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// The token of the worked example: claims, key (RFC 8392, Appendix A.2.1), nonce and result, computed apart from this code.
const (
	exampleClaims = "a7 01 75 636f61703a2f2f61732e6578616d706c652e636f6d 03 63 676d31 04 1a 6955c710 06 1a 6955b900" +
		"09 50 81826c66656564636135373030303002 1826 02" +
		"08 a1 04 a3 00 41 01 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 05 48 5a175a175a175a17"
	exampleToken = "d83dd0835820a3010a044c53796d6d6574726963313238054d000102030405060708090a0b0ca058697242df891ecb6ff2a59b8e2fdca226ce" +
		"22e9130d50e24c0cc170d0d965571eda9aa99649063a27d8b9a4a90e61d38565d1c074ea40787ee69a6b00215a185491f1bdd7a160b0e53eac" +
		"55b6c8f1493dee279e7b4fcafe53931fadea0a66c386dbb0ceab9118932378e6"
	exampleHash   = "01f06d9ac8aaa2e2ac258be1e1988ed6745ed2342457b515a33da0cb27ca8f8fd8"
	exampleUpdate = "d83dd0835820a3010a044c53796d6d6574726963313238054d000102030405060708090a0b0da0584b885ba124fe14c7d48cef4bda7f7385bc" +
		"e94c293e70d2f4a014b8e1829f5eed079717430fd81cfd2671f9148f8664cfdd2bd0d8d775720c27970d627d1d36232930bf7e2e3957fba772" +
		"137d"
)

func exampleKey() TokenKey {
	return TokenKey{KID: []byte("Symmetric128"), Alg: cose.AlgAESCCM16_64_128, Key: secret.Hide(unhex("231f4c4d4d3051fdc2ec0a3851d5b383"))}
}

// trust makes records of keys, of one issuer.
func trust(keys ...TokenKey) []TrustedAS {
	var list []TrustedAS
	for _, k := range keys {
		list = append(list, TrustedAS{Issuer: "coap://as.example.com", Key: k})
	}
	return list
}

func TestToken(t *testing.T) {
	t.Parallel()
	t.Run("TR-TOK-01,TR-TOK-02,TR-TOK-03,AC-134 a token is tag 61 around tag 16 with every header protected", func(t *testing.T) {
		t.Parallel()
		iv := unhex("000102030405060708090a0b0c")
		token := must(SealToken(exampleKey(), iv, &Claims{Issuer: "x"}))
		want := "d83dd0 83 5820 a3010a044c53796d6d6574726963313238054d000102030405060708090a0b0c a0"
		if !bytes.HasPrefix(token, unhex(want)) {
			t.Fatalf("token %x", token)
		}
	})
	t.Run("AO-010,AO-013,AO-014,AC-072,AC-132 the token of the worked example opens", func(t *testing.T) {
		t.Parallel()
		c := must(OpenToken(unhex(exampleToken), exampleKey()))
		if c.Issuer != "coap://as.example.com" || len(c.Audience) != 1 || c.Audience[0] != "gm1" ||
			!c.Expires.Equal(time.Unix(1767229200, 0)) || !c.IssuedAt.Equal(time.Unix(1767225600, 0)) ||
			c.Profile != ProfileCoAPOSCORE || c.Scope.Group("feedca570000") != RoleRequester {
			t.Fatalf("claims %+v", c)
		}
		m := c.Cnf.OSC
		if m == nil || !m.MasterSecret.Equal(vectorMS) || string(m.ID) != "\x01" {
			t.Fatalf("cnf %+v", c.Cnf)
		}
	})
	t.Run("AO-017 the token of a rights update names the material by kid", func(t *testing.T) {
		t.Parallel()
		c := must(OpenToken(unhex(exampleUpdate), exampleKey()))
		if c.Cnf.OSC != nil || string(c.Cnf.KID) != "\x01" || c.Scope.Group("feedca570000") != 6 {
			t.Fatalf("claims %+v", c)
		}
	})
	t.Run("TR-RS-04,AC-135,AC-136 another shape than that is refused", func(t *testing.T) {
		t.Parallel()
		good := unhex(exampleToken)
		body := good[3:]
		with := func(prefix string, body []byte) []byte { return append(unhex(prefix), body...) }
		unprotected := must(cose.SealEncrypt0(cose.AlgAESCCM16_64_128, exampleKey().Key.Bytes(), exampleKey().KID, unhex("000102030405060708090a0b0c"), nil, unhex(exampleClaims)))
		at := bytes.LastIndexByte(unprotected[:40], 0xa0)
		for name, in := range map[string][]byte{
			"untagged":            body,
			"one tag":             with("d0", body),
			"CWT tag alone":       with("d83d", body),
			"long CWT tag":        with("d9003dd0", body),
			"long COSE tag":       with("d83dd810", body),
			"tag of COSE_Mac0":    with("d83dd1", body),
			"tags twice":          with("d83dd0d83dd0", body),
			"unprotected headers": with("d83dd0", bytes.Join([][]byte{unprotected[:at], unhex("a1 04 41 01"), unprotected[at+1:]}, nil)),
			"trailing byte":       append(bytes.Clone(good), 0),
			"truncated":           good[:len(good)-1],
			"nothing":             nil,
		} {
			_, err := OpenToken(in, exampleKey())
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			wantErr(t, err, ErrToken)
		}
	})
	t.Run("every flipped bit is refused", func(t *testing.T) {
		t.Parallel()
		good := unhex(exampleToken)
		for i := range len(good) * 8 {
			bad := bytes.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			if _, err := openToken(bad, trust(exampleKey())); err == nil {
				t.Fatalf("bit %d: accepted", i)
			}
		}
	})
	t.Run("the key is found by key identifier and algorithm", func(t *testing.T) {
		t.Parallel()
		other, same := exampleKey(), exampleKey()
		other.KID = []byte("other")
		same.Key = secret.Hide(make([]byte, 16)) // of equal identifier
		list := trust(other, same, exampleKey())
		if o, err := openToken(unhex(exampleToken), list); err != nil || o.as != &list[2] || !o.encrypted || o.signed {
			t.Fatalf("%+v, %v", o, err)
		}
		_, err := openToken(unhex(exampleToken), list[:2])
		wantErr(t, err, ErrToken)
	})
}

func TestTokenHash(t *testing.T) {
	t.Parallel()
	t.Run("TR-HASH-01,TR-HASH-06 the hash is over the base64url text of the token", func(t *testing.T) {
		t.Parallel()
		if got := HashToken(unhex(exampleToken)).String(); got != exampleHash {
			t.Fatal(got)
		}
	})
	t.Run("TR-HASH-08 the token of RFC 9770, Figure 3", func(t *testing.T) {
		t.Parallel()
		if got := HashToken(unhex(rfc9770Token)).String(); got != "011a06427bcbe5d29385202b8255820b8370ae481065a1e94017c0185bfbd51707" {
			t.Fatal(got)
		}
		if _, err := OpenToken(unhex(rfc9770Token), exampleKey()); err == nil {
			t.Fatal("its ciphertext was made with another header than the one printed beside it")
		}
	})
	t.Run("TR-HASH-02 a token in JSON is hashed as it stands", func(t *testing.T) {
		t.Parallel()
		text := base64.RawURLEncoding.EncodeToString(unhex(exampleToken))
		if got := HashTokenText(text).String(); got != exampleHash {
			t.Fatal(got)
		}
		if HashTokenText("a.b.c") == HashToken([]byte("a.b.c")) {
			t.Fatal("text and bytes are hashed alike")
		}
	})
	t.Run("TR-HASH-07 the hash function is SHA-256, by its number in the registry", func(t *testing.T) {
		t.Parallel()
		h := HashToken([]byte{1})
		if h[0] != 1 || must(ParseTokenHash(h.String())) != h || must(TokenHashFromBytes(h[:])) != h {
			t.Fatal(h)
		}
		for _, in := range []string{"", "02" + exampleHash[2:], exampleHash + "00", "zz"} {
			_, err := ParseTokenHash(in)
			wantErr(t, err, ErrTokenHash)
		}
	})
}

// rfc9770Token is the access token of RFC 9770, Figure 3.
const rfc9770Token = "d83dd0835820a3010a044c53796d6d6574726963313238054d99a0d7846e762c49ffe8a63e0ba05858b918a11fd81e438b7f973d9e2e119bcb22424b" +
	"a0f38a80f27562f400ee1d0d6c0fdb559c02421fd384fc2ebe22d7071378b0ea7428fff157444d45f7e6afcda1aae5f6495830c58627087fc5b4974f319a8707a635dd643b"

func FuzzOpenToken(f *testing.F) {
	f.Add(unhex(exampleToken))
	f.Add(unhex(exampleUpdate))
	f.Add(unhex(rfc8392Encrypted))
	f.Add(unhex(rfc8392Signed))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString(unhex(exampleToken))))
	for _, token := range [][]byte{
		must(SignToken(signer(), &Claims{Issuer: "x"})),
		must(SealSignedToken(exampleKey(), unhex("000102030405060708090a0b0c"), signer(), &Claims{Issuer: "x"})),
	} {
		f.Add(token)
	}
	strict, lenient := trust(exampleKey()), rfc8392Trust()
	strict = append(strict, TrustedAS{Issuer: strict[0].Issuer, Verify: signer().Public()})
	lenient[0].Lenient = true
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, list := range [][]TrustedAS{strict, lenient} {
			o, wellformed, err := openInfo(in, list)
			if (err == nil) != (o != nil) || (err == nil && !wellformed) {
				t.Fatal(o, wellformed, err)
			}
			if err != nil {
				continue
			}
			if !o.encrypted && !o.signed {
				t.Fatal("not protected")
			}
			if !o.as.Lenient && o.hash != HashToken(in) && o.hash != HashTokenText(string(in)) {
				t.Fatal("another form than the one that is issued")
			}
		}
	})
}

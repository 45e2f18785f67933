package ace

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// wider returns the encodings of one string or array item whose head is longer than necessary.
func wider(item []byte) [][]byte {
	major, info := item[0]&0xe0, item[0]&0x1f
	var n uint64
	rest := item[1:]
	switch {
	case info < 24:
		n = uint64(info)
	case info == 24:
		n, rest = uint64(item[1]), item[2:]
	default:
		panic("too long for this test")
	}
	out := [][]byte{
		append([]byte{major | 25, byte(n >> 8), byte(n)}, rest...),
		append([]byte{major | 26, 0, 0, byte(n >> 8), byte(n)}, rest...),
		append([]byte{major | 27, 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n)}, rest...),
	}
	if info < 24 {
		out = append(out, append([]byte{major | 24, byte(n)}, rest...))
	}
	return out
}

// forgeries returns what anybody who sees a token can make of it that protects the same content.
func forgeries(token []byte) map[string][]byte {
	out := make(map[string][]byte)
	body := token[3:]
	n := int(body[0] & 0x1f)
	items := make([][]byte, n)
	rest := body[1:]
	for i := range items {
		items[i], rest, _ = cborx.First(rest)
	}
	join := func(head []byte, items [][]byte) []byte {
		return append(append(bytes.Clone(token[:3]), head...), bytes.Join(items, nil)...)
	}
	for j, h := range wider(body[:1]) {
		out[fmt.Sprint("array head ", j)] = join(h, items)
	}
	for i, it := range items {
		for j, w := range wider(it) {
			changed := append([][]byte(nil), items...)
			changed[i] = w
			out[fmt.Sprint("element ", i, " head ", j)] = join(body[:1], changed)
		}
	}
	text := base64.RawURLEncoding.EncodeToString(token)
	out["text with a line feed"] = []byte(text[:9] + "\n" + text[9:])
	out["text with a carriage return"] = []byte(text + "\r")
	out["text with line breaks around"] = []byte("\r\n" + text + "\r\n")
	out["padded text"] = []byte(base64.URLEncoding.EncodeToString(append(token, 0xf6)))
	out["a byte after it"] = append(bytes.Clone(token), 0)
	out["long tags"] = append(append([]byte{0xd8, 0x3d, 0xd8}, token[2]&0x1f), body...)
	out["tag of a CWT only"] = append([]byte{0xd8, 0x3d}, body...)
	out["no tags"] = body
	return out
}

func TestTokensHaveOneForm(t *testing.T) {
	t.Parallel()
	orders := map[string]*big.Int{"ES256": elliptic.P256().Params().N, "ES384": elliptic.P384().Params().N, "ES512": elliptic.P521().Params().N}
	keys := map[string]SigningKey{
		"EdDSA": signer(),
		"ES256": {KID: []byte("es256"), Alg: cose.AlgES256, Key: must(cose.GenerateKey(cose.CurveP256, nil))},
		"ES384": {KID: []byte("es384"), Alg: cose.AlgES384, Key: must(cose.GenerateKey(cose.CurveP384, nil))},
		"ES512": {KID: []byte("es512"), Alg: cose.AlgES512, Key: must(cose.GenerateKey(cose.CurveP521, nil))},
	}
	issuers := func(lenient bool) []TrustedAS {
		list := []TrustedAS{{Issuer: "coap://as.example.com", Key: exampleKey(), Lenient: lenient}}
		for _, k := range keys {
			list = append(list, TrustedAS{Issuer: "coap://as.example.com", Verify: k.Public(), Lenient: lenient})
		}
		return list
	}
	update := &Claims{
		Issuer: "coap://as.example.com", Subject: "switch", Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Hour),
		Scope: Scope{{Group: "g1", Roles: RoleRequester}}, Cnf: &Confirmation{KID: []byte{1}},
	}
	t.Run("TR-RS-03,TR-RS-04,TR-HASH-04 a revoked token is not taken in another encoding", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		b.revoked[HashToken(token)] = true
		for how, other := range forgeries(token) {
			if p, err := b.PostToken(t.Context(), here, post(other)); err == nil {
				t.Errorf("%s: taken, with hash %v", how, p.Token.Hash)
			}
		}
	})
	t.Run("TR-RS-04,TR-TOK-02 nor is one that was not revoked", func(t *testing.T) {
		t.Parallel()
		list := issuers(false)
		for name, token := range map[string][]byte{
			"encrypted": must(SealToken(exampleKey(), unhex("000102030405060708090a0b0c"), update)),
			"nested":    must(SealSignedToken(exampleKey(), unhex("000102030405060708090a0b0d"), keys["ES256"], update)),
			"EdDSA":     must(SignToken(keys["EdDSA"], update)), "ES256": must(SignToken(keys["ES256"], update)),
		} {
			if o, err := openToken(token, list); err != nil || o.hash != HashToken(token) {
				t.Fatalf("%s: %v", name, err)
			}
			for how, other := range forgeries(token) {
				if _, _, err := openInfo(other, list); !errors.Is(err, ErrToken) && !errors.Is(err, ErrMalformed) {
					t.Errorf("%s, %s: %v", name, how, err)
				}
			}
		}
	})
	t.Run("TR-RS-03,TR-RS-04 the other form of an ECDSA signature is not taken", func(t *testing.T) {
		t.Parallel()
		for name, k := range keys {
			if name == "EdDSA" {
				continue
			}
			for range 8 { // of every second signature s is above n/2 before it is brought down
				token := must(SignToken(k, update))
				if _, err := openToken(token, issuers(false)); err != nil {
					t.Fatalf("%s: own token: %v", name, err)
				}
				mirrored := bytes.Clone(token)
				n := orders[name]
				s := mirrored[len(mirrored)-(n.BitLen()+7)/8:]
				new(big.Int).Sub(n, new(big.Int).SetBytes(s)).FillBytes(s)
				if m := must(cose.ParseSign1(mirrored[3:])); m.Verify(k.Key.Public(), nil) != nil {
					t.Fatalf("%s: the other form does not verify", name)
				}
				if _, err := openToken(mirrored, issuers(false)); !errors.Is(err, ErrToken) {
					t.Fatalf("%s: %v", name, err)
				}
				if o, err := openToken(mirrored, issuers(true)); err != nil || o.hash != HashToken(token) {
					t.Fatalf("%s from a lenient issuer: %v", name, err)
				}
			}
		}
	})
	t.Run("from a lenient issuer all encodings of a token are one token", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.Issuers = issuers(true) })
		token := b.token(nil)
		taken := 0
		for how, other := range forgeries(token) {
			p, err := b.PostToken(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, byte(taken)}), post(other))
			if err != nil {
				continue // some are no tokens at all
			}
			if taken++; p.Token.Hash != HashToken(token) {
				t.Errorf("%s: another hash", how)
			}
		}
		if taken < 10 || b.PendingCount() > sourcesPerToken*defaultMaxPendingPerToken {
			t.Fatalf("%d taken, %d pending", taken, b.PendingCount())
		}
		b.revoked[HashToken(token)] = true
		for how, other := range forgeries(token) {
			if _, err := b.PostToken(t.Context(), here, post(other)); err == nil {
				t.Errorf("%s: taken although it is revoked", how)
			}
		}
	})
}

package cose

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// rfc8392 is the encrypted CWT of RFC 8392, Appendix A.5, without its tag.
const (
	rfc8392Key  = "231f4c4d4d3051fdc2ec0a3851d5b383"
	rfc8392CWT  = "8343a1010aa2044c53796d6d6574726963313238054d99a0d7846e762c49ffe8a63e0b5858b918a11fd81e438b7f973d9e2e119bcb22424ba0f38a80f27562f400ee1d0d6c0fdb559c02421fd384fc2ebe22d7071378b0ea7428fff157444d45f7e6afcda1aae5f6495830c58627087fc5b4974f319a8707a635dd643b"
	rfc8392Text = "a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b71"
)

func TestEncrypt0RFC8392(t *testing.T) {
	t.Parallel()
	e, err := ParseEncrypt0(unhex(t, rfc8392CWT))
	if err != nil {
		t.Fatal(err)
	}
	if e.Alg != AlgAESCCM16_64_128 || string(e.KID) != "Symmetric128" || !bytes.Equal(e.IV, unhex(t, "99a0d7846e762c49ffe8a63e0b")) || e.UnprotectedEmpty {
		t.Errorf("%v %q %x %v", e.Alg, e.KID, e.IV, e.UnprotectedEmpty)
	}
	got, err := e.Open(unhex(t, rfc8392Key), nil)
	if err != nil || !bytes.Equal(got, unhex(t, rfc8392Text)) {
		t.Errorf("%x %v", got, err)
	}
}

// A token of the shape that RFC 9770 asks for, and its Enc_structure.
const (
	tokenKey    = "231f4c4d4d3051fdc2ec0a3851d5b383"
	tokenKID    = "53796d6d6574726963313238"
	tokenIV     = "000102030405060708090a0b0c"
	tokenHeader = "a3010a044c53796d6d6574726963313238054d000102030405060708090a0b0c"
)

// A whole token: claims of an access token for a Group Manager, and the bytes that an
// independent implementation made of them, without the tags 61 and 16 in front.
const (
	tokenClaims = "a70175636f61703a2f2f61732e6578616d706c652e636f6d0363676d31041a6955c710061a6955b900095081826c6665656463613537303030300218260208a104a30041010250a1a2a3a4a5a6a7a8a9aaabacadaeafb005485a175a175a175a17"
	tokenBytes  = "835820" + tokenHeader + "a058697242df891ecb6ff2a59b8e2fdca226ce22e9130d50e24c0cc170d0d965571eda9aa99649063a27d8b9a4a90e61d38565d1c074ea40787ee69a6b00215a185491f1bdd7a160b0e53eac55b6c8f1493dee279e7b4fcafe53931fadea0a66c386dbb0ceab9118932378e6"
)

func TestSealEncrypt0(t *testing.T) {
	t.Parallel()
	t.Run("a token byte for byte", func(t *testing.T) {
		b, err := SealEncrypt0(AlgAESCCM16_64_128, unhex(t, tokenKey), unhex(t, tokenKID), unhex(t, tokenIV), nil, unhex(t, tokenClaims))
		if err != nil || !bytes.Equal(b, unhex(t, tokenBytes)) {
			t.Errorf("%x %v", b, err)
		}
	})
	key, kid, iv, claims := unhex(t, tokenKey), unhex(t, tokenKID), unhex(t, tokenIV), []byte("claims")
	t.Run("all headers are protected", func(t *testing.T) {
		b, err := SealEncrypt0(AlgAESCCM16_64_128, key, kid, iv, nil, claims)
		if err != nil {
			t.Fatal(err)
		}
		if prefix := unhex(t, "835820"+tokenHeader+"a0"); !bytes.HasPrefix(b, prefix) {
			t.Errorf("%x does not begin with %x", b, prefix)
		}
		e, err := ParseEncrypt0(b)
		if err != nil || !e.UnprotectedEmpty || !bytes.Equal(e.KID, kid) || !bytes.Equal(e.IV, iv) || !bytes.Equal(e.Protected, unhex(t, tokenHeader)) {
			t.Fatalf("%+v %v", e, err)
		}
		if got, err := e.Open(key, nil); err != nil || !bytes.Equal(got, claims) {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("every AEAD", func(t *testing.T) {
		for _, a := range algorithmTable {
			p, ok := a.alg.AEAD()
			if !ok {
				continue
			}
			key, iv := bytes.Repeat([]byte{1}, p.KeySize), bytes.Repeat([]byte{2}, p.NonceSize)
			b, err := SealEncrypt0(a.alg, key, nil, iv, []byte("external"), claims)
			if err != nil {
				t.Fatal(err)
			}
			e, err := ParseEncrypt0(b)
			if err != nil || e.Alg != a.alg || e.KID != nil || len(e.Ciphertext) != len(claims)+p.TagSize {
				t.Fatalf("%v: %+v %v", a.alg, e, err)
			}
			if got, err := e.Open(key, []byte("external")); err != nil || !bytes.Equal(got, claims) {
				t.Errorf("%v: %q %v", a.alg, got, err)
			}
			if got, err := e.Open(key, nil); !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("%v without external_aad: %q %v", a.alg, got, err)
			}
			key[0] ^= 1
			if got, err := e.Open(key, []byte("external")); !errors.Is(err, ErrDecrypt) || got != nil {
				t.Errorf("%v with another key: %q %v", a.alg, got, err)
			}
		}
	})
	t.Run("an empty kid is not an absent one", func(t *testing.T) {
		b, err := SealEncrypt0(AlgAESCCM16_64_128, key, []byte{}, iv, nil, claims)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := ParseEncrypt0(b); err != nil || e.KID == nil || len(e.KID) != 0 {
			t.Errorf("%+v %v", e, err)
		}
	})
	t.Run("no bit can be changed", func(t *testing.T) {
		b, err := SealEncrypt0(AlgAESCCM16_64_128, key, kid, iv, nil, claims)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(b) * 8 {
			b[i/8] ^= 1 << (i % 8)
			if e, err := ParseEncrypt0(b); err == nil {
				if _, err := e.Open(key, nil); err == nil {
					t.Errorf("bit %d", i)
				}
			}
			b[i/8] ^= 1 << (i % 8)
		}
	})
	for name, c := range map[string]struct {
		alg     Algorithm
		key, iv []byte
		length  int
		want    error
	}{
		"not an AEAD":    {AlgA128CTR, key, iv[:12], 1, ErrAlgorithm},
		"a signature":    {AlgEdDSA, key, iv, 1, ErrAlgorithm},
		"no algorithm":   {0, key, iv, 1, ErrAlgorithm},
		"short key":      {AlgAESCCM16_64_128, key[:15], iv, 1, ErrKeySize},
		"short IV":       {AlgAESCCM16_64_128, key, iv[:12], 1, ErrMessage},
		"no IV":          {AlgAESCCM16_64_128, key, nil, 1, ErrMessage},
		"long plaintext": {AlgAESCCM16_64_128, key, iv, 65536, ErrTooLong},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if b, err := SealEncrypt0(c.alg, c.key, nil, c.iv, nil, make([]byte, c.length)); !errors.Is(err, c.want) || b != nil {
				t.Errorf("%x %v", b, err)
			}
		})
	}
}

func TestParseEncrypt0(t *testing.T) {
	t.Parallel()
	const iv = "054d000102030405060708090a0b0c"
	for name, s := range map[string]string{
		"nothing":                      "",
		"tagged":                       "d0 83 43a1010a a0 40",
		"a map":                        "a0",
		"null":                         "f6",
		"two elements":                 "82 43a1010a a0",
		"four elements":                "84 43a1010a a0 40 40",
		"trailing byte":                "83 43a1010a a0 40 00",
		"indefinite array":             "9f 43a1010a a0 40 ff",
		"protected is a map":           "83 a1010a a0 40",
		"protected is empty":           "83 40 a1010a 40",
		"protected is no map":          "83 4180 a0 40",
		"protected has trailing bytes": "83 44a1010a00 a0 40",
		"protected has duplicates":     "83 45a2010a010a a0 40",
		"protected is indefinite":      "83 45bf010aff a0 40",
		"alg unprotected":              "83 41a0 a1010a 40",
		"alg in both":                  "83 43a1010a a1010a 40",
		"alg is text":                  "83 44a1016141 a0 40",
		"unprotected is an array":      "83 43a1010a 80 40",
		"unprotected is null":          "83 43a1010a f6 40",
		"unprotected is a byte string": "83 43a1010a 41a0 40",
		"ciphertext is null":           "83 43a1010a a0 f6",
		"ciphertext is text":           "83 43a1010a a0 60",
		"ciphertext is an array":       "83 43a1010a a0 8101",
		"kid is an integer":            "83 43a1010a a10401 40",
		"kid in both":                  "83 46a2010a044101 a1044101 40",
		"IV in both":                   "83 52a2010a" + iv + " a1" + iv + " 40",
		"crit":                         "83 47a2010a02811863 a0 40",
		"Partial IV":                   "83 43a1010a a1064101 40",
		"unknown header":               "83 43a1010a a1186301 40",
		"text header":                  "83 43a1010a a1616101 40",
	} {
		t.Run("AC-135 refused: "+name, func(t *testing.T) {
			if e, err := ParseEncrypt0(unhex(t, s)); !errors.Is(err, ErrMessage) || e != nil {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
	t.Run("opening needs a fitting algorithm, key and IV", func(t *testing.T) {
		for s, want := range map[string]error{
			"83 43a1010a a0 48 0000000000000000":                        ErrMessage, // no IV
			"83 43a1010a a1054100 48 0000000000000000":                  ErrMessage, // IV of one byte
			"83 43a10126 a1" + iv + " 48 0000000000000000":              ErrAlgorithm,
			"83 45a10139fffd a1" + iv + " 48 0000000000000000":          ErrAlgorithm, // A128CTR
			"83 43a1010b a1" + iv + " 48 0000000000000000":              ErrKeySize,
			"83 43a1010a a1" + iv + " 48 0000000000000000":              ErrDecrypt,
			"83 43a1010a a1" + iv + " 40":                               ErrDecrypt,
			"83 43a1010a a1" + iv + " 47 00000000000000":                ErrDecrypt,
			"83 43a1010a a1" + iv + " 4a 00000000000000000000":          ErrDecrypt,
			"83 47a1011a7fffffff a1" + iv + " 48 00000000000000" + "00": ErrAlgorithm,
		} {
			e, err := ParseEncrypt0(unhex(t, s))
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if _, err := e.Open(make([]byte, 16), nil); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", s, err, want)
			}
		}
	})
	t.Run("the caller's bytes are copied", func(t *testing.T) {
		b := unhex(t, rfc8392CWT)
		e, err := ParseEncrypt0(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if _, err := e.Open(unhex(t, rfc8392Key), nil); err != nil {
			t.Error(err)
		}
	})
}

func TestEncStructure(t *testing.T) {
	t.Parallel()
	t.Run("bytes", func(t *testing.T) {
		if got := AppendEncStructure(nil, unhex(t, "a1010a"), nil); !bytes.Equal(got, unhex(t, "8368456e63727970743043a1010a40")) {
			t.Errorf("%x", got)
		}
	})
	t.Run("OS-5-2 the protected headers are the empty string", func(t *testing.T) {
		if got := AppendEncStructure([]byte{9}, nil, []byte{1, 2}); !bytes.Equal(got, unhex(t, "09 83 68456e637279707430 40 42 0102")) {
			t.Errorf("%x", got)
		}
	})
	t.Run("as the library encodes it", func(t *testing.T) {
		for _, n := range []int{0, 1, 23, 24, 255, 256, 70000} {
			aad := bytes.Repeat([]byte{7}, n)
			want, err := cborx.Marshal([]any{"Encrypt0", []byte{}, aad})
			if err != nil {
				t.Fatal(err)
			}
			if got := AppendEncStructure(nil, nil, aad); !bytes.Equal(got, want) {
				t.Errorf("%d bytes: differs", n)
			}
		}
	})
}

func FuzzParseEncrypt0(f *testing.F) {
	f.Add(unhex(f, rfc8392CWT))
	b, _ := SealEncrypt0(AlgAESCCM16_64_128, unhex(f, tokenKey), unhex(f, tokenKID), unhex(f, tokenIV), nil, []byte("claims"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEncrypt0(b)
		if err != nil {
			return
		}
		if p, ok := e.Alg.AEAD(); ok {
			_, err := e.Open(make([]byte, p.KeySize), nil)
			if err == nil {
				return
			}
			if !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrMessage) {
				t.Fatal(err)
			}
		}
	})
}

func ExampleSealEncrypt0() {
	key, iv := bytes.Repeat([]byte{1}, 16), make([]byte, 13)
	token, err := SealEncrypt0(AlgAESCCM16_64_128, key, []byte("as-1"), iv, nil, []byte("claims"))
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := ParseEncrypt0(token)
	if err != nil {
		fmt.Println(err)
		return
	}
	claims, err := e.Open(key, nil)
	fmt.Println(string(e.KID), strings.ToUpper(string(claims)), err)
	// Output: as-1 CLAIMS <nil>
}

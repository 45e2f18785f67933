package cose

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"testing"

	"pgregory.net/rapid"
)

// libraryHKDF is the standard library's HKDF, the oracle.
func libraryHKDF(hmac Algorithm, salt, ikm, info []byte, length int) ([]byte, error) {
	var h func() hash.Hash
	switch hmac {
	case AlgHMAC256:
		h = sha256.New
	case AlgHMAC384:
		h = sha512.New384
	default:
		h = sha512.New
	}
	return hkdf.Key(h, ikm, salt, string(info), length)
}

var hkdfAlgorithms = []Algorithm{AlgHMAC256, AlgHMAC384, AlgHMAC512}

func TestHKDFAgainstLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 80), rapid.IntRange(100, 160), rapid.IntRange(200, 700))
		draw := func(name string) []byte {
			n := size.Draw(t, name+" size")
			return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name)
		}
		alg := rapid.SampledFrom(hkdfAlgorithms).Draw(t, "alg")
		salt, ikm, info := draw("salt"), draw("ikm"), draw("info")
		length := rapid.OneOf(rapid.IntRange(1, 200), rapid.Just(255*32)).Draw(t, "length")
		want, err := libraryHKDF(alg, salt, ikm, info, length)
		if err != nil {
			t.Fatal(err)
		}
		got, err := AppendHKDF([]byte("head"), alg, salt, ikm, info, length)
		if err != nil || !bytes.Equal(got, append([]byte("head"), want...)) {
			t.Fatalf("got %x, %v, want %x", got, err, want)
		}
	})
}

func TestHKDFWycheproof(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"sha256", "sha384", "sha512"} {
		var cases []struct {
			ID                       int
			Comment, IKM, Salt, Info string
			Size                     int
			OKM, Result              string
		}
		loadJSON(t, "wycheproof/hkdf_"+name+".json", &cases)
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s %d %s", name, c.ID, c.Comment), func(t *testing.T) {
				got, err := HKDF(hkdfAlgorithms[i], unhex(t, c.Salt), unhex(t, c.IKM), unhex(t, c.Info), c.Size)
				if c.Result == "invalid" {
					if !errors.Is(err, ErrTooLong) {
						t.Errorf("%v", err)
					}
				} else if err != nil || !bytes.Equal(got, unhex(t, c.OKM)) {
					t.Errorf("%x %v", got, err)
				}
			})
		}
	}
}

func TestHKDFAgainstExchanges(t *testing.T) {
	t.Parallel()
	for i, v := range loadExchanges(t).Derivations {
		t.Run(fmt.Sprintf("%d %s of %s", i, v.What, v.Source), func(t *testing.T) {
			got, err := HKDF(v.HKDF, unhex(t, v.Salt), unhex(t, v.IKM), unhex(t, v.Info), v.Length)
			if err != nil || !bytes.Equal(got, unhex(t, v.OKM)) {
				t.Errorf("%x %v, want %s", got, err, v.OKM)
			}
		})
	}
}

func TestHKDFRules(t *testing.T) {
	t.Parallel()
	t.Run("OS-3.2.1-2,GO-10-1 HKDF SHA-256 is Extract and Expand of RFC 5869, A.1", func(t *testing.T) {
		got, err := HKDF(AlgHMAC256, unhex(t, "000102030405060708090a0b0c"), bytes.Repeat([]byte{0x0b}, 22), unhex(t, "f0f1f2f3f4f5f6f7f8f9"), 42)
		want := unhex(t, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x %v", got, err)
		}
	})
	t.Run("OS-3.2.1-1,GO-2.1.2-1 only the HMAC-based HKDFs are taken", func(t *testing.T) {
		for a := Algorithm(-70000); a < 1000; a++ {
			_, err := HKDF(a, nil, nil, nil, 16)
			if ok := a == 5 || a == 6 || a == 7; ok != (err == nil) || !ok && !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%v: %v", a, err)
			}
		}
	})
	t.Run("an absent salt is an empty one", func(t *testing.T) {
		a, errA := HKDF(AlgHMAC256, nil, []byte("ikm"), nil, 16)
		b, errB := HKDF(AlgHMAC256, []byte{}, []byte("ikm"), nil, 16)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%x %x", a, b)
		}
	})
	t.Run("lengths out of range are refused", func(t *testing.T) {
		for _, n := range []int{-1, 255*32 + 1} {
			if _, err := HKDF(AlgHMAC256, nil, nil, nil, n); !errors.Is(err, ErrTooLong) {
				t.Errorf("%d: %v", n, err)
			}
		}
		if b, err := HKDF(AlgHMAC512, nil, nil, nil, 255*64); err != nil || len(b) != 255*64 {
			t.Error(err)
		}
		if b, err := HKDF(AlgHMAC256, nil, nil, nil, 0); err != nil || len(b) != 0 {
			t.Error(err)
		}
	})
}

func TestAppendHKDFDoesNotAllocate(t *testing.T) {
	dst, piv, key, info := make([]byte, 0, 132), []byte{5}, make([]byte, 32), make([]byte, 24)
	for _, alg := range hkdfAlgorithms {
		if n := testing.AllocsPerRun(100, func() { _, _ = AppendHKDF(dst, alg, piv, key, info, 132) }); n != 0 {
			t.Errorf("%v: %v allocations", alg, n)
		}
	}
}

func BenchmarkKeystream(b *testing.B) {
	dst, piv, key, info := make([]byte, 0, 64), []byte{5}, make([]byte, 16), make([]byte, 12)
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = AppendHKDF(dst, AlgHMAC256, piv, key, info, 64)
		}
	})
	b.Run("crypto/hkdf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = libraryHKDF(AlgHMAC256, piv, key, info, 64)
		}
	})
}

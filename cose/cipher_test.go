package cose

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"testing"
)

func TestCiphersAgainstExchanges(t *testing.T) {
	t.Parallel()
	for i, v := range loadExchanges(t).Ciphers {
		t.Run(fmt.Sprintf("%d %v %s", i, v.Alg, v.Source), func(t *testing.T) {
			a, err := NewCipher(v.Alg, unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			nonce, aad, pt, ct := unhex(t, v.Nonce), unhex(t, v.AAD), unhex(t, v.Plaintext), unhex(t, v.Ciphertext)
			if got := a.Seal(nil, nonce, pt, aad); !bytes.Equal(got, ct) {
				t.Errorf("sealed %x, want %x", got, ct)
			}
			if got, err := a.Open(nil, nonce, ct, aad); err != nil || !bytes.Equal(got, pt) {
				t.Errorf("opened %x, %v", got, err)
			}
			if v.Alg.IsAEAD() {
				if enc := AppendEncStructure(nil, nil, unhex(t, v.ExternalAAD)); !bytes.Equal(enc, aad) {
					t.Errorf("Enc_structure %x, want %x", enc, aad)
				}
			}
		})
	}
}

func TestNewCipher(t *testing.T) {
	t.Parallel()
	for _, a := range algorithmTable {
		t.Run(a.name, func(t *testing.T) {
			for size := range 70 {
				c, err := NewCipher(a.alg, make([]byte, size))
				switch {
				case a.key == 0:
					if !errors.Is(err, ErrAlgorithm) || c != nil {
						t.Fatalf("%v, %v", c, err)
					}
				case size != a.key:
					if !errors.Is(err, ErrKeySize) || c != nil {
						t.Fatalf("key of %d: %v, %v", size, c, err)
					}
				case err != nil || c.NonceSize() != a.nonce || c.Overhead() != a.tag:
					t.Fatalf("key of %d: %v", size, err)
				}
			}
		})
	}
	t.Run("GO-2.1.7-5 A128CBC, A192CBC and A256CBC are refused", func(t *testing.T) {
		for alg, size := range map[Algorithm]int{AlgA128CBC: 16, AlgA192CBC: 24, AlgA256CBC: 32} {
			if _, err := NewCipher(alg, make([]byte, size)); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%v: %v", alg, err)
			}
			if _, ok := alg.Cipher(); ok {
				t.Errorf("%v has sizes", alg)
			}
		}
	})
}

func TestCTR(t *testing.T) {
	t.Parallel()
	key, nonce := []byte("0123456789abcdef"), []byte("twelve bytes")
	a, err := NewCipher(AlgA128CTR, key)
	if err != nil {
		t.Fatal(err)
	}
	msg := bytes.Repeat([]byte("a longer message "), 20)
	t.Run("GO-2.1.7-3 the IV is the 12-byte nonce and four zero bytes", func(t *testing.T) {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, len(msg))
		cipher.NewCTR(block, append(bytes.Clone(nonce), 0, 0, 0, 0)).XORKeyStream(want, msg)
		if got := a.Seal([]byte("head"), nonce, msg, nil); !bytes.Equal(got, append([]byte("head"), want...)) {
			t.Errorf("got %x, want %x", got, want)
		}
	})
	t.Run("GO-10-5 additional data is refused", func(t *testing.T) {
		mustPanic(t, func() { a.Seal(nil, nonce, msg, []byte{1}) })
		mustPanic(t, func() { _, _ = a.Open(nil, nonce, msg, []byte{1}) })
	})
	t.Run("GO-2.1.7-4 the longest message has 2^36 bytes", func(t *testing.T) {
		for _, alg := range []Algorithm{AlgA128CTR, AlgA192CTR, AlgA256CTR} {
			if n := alg.MaxPlaintext(); n != 1<<36 {
				t.Errorf("%v: %d", alg, n)
			}
			if err := alg.checkLength(1 << 36); err != nil {
				t.Error(err)
			}
			if err := alg.checkLength(1<<36 + 1); !errors.Is(err, ErrTooLong) {
				t.Error(err)
			}
		}
	})
	t.Run("works in place", func(t *testing.T) {
		want := a.Seal(nil, nonce, msg, nil)
		buf := bytes.Clone(msg)
		if got := a.Seal(buf[:0], nonce, buf, nil); !bytes.Equal(got, want) || &got[0] != &buf[0] {
			t.Error("sealing in place gives something else")
		}
		if got, err := a.Open(buf[:0], nonce, buf, nil); err != nil || !bytes.Equal(got, msg) {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("inexact overlap panics", func(t *testing.T) {
		buf := make([]byte, 64)
		mustPanic(t, func() { a.Seal(buf[:0], nonce, buf[1:40], nil) })
	})
	t.Run("a wrong nonce size panics", func(t *testing.T) {
		mustPanic(t, func() { a.Seal(nil, nonce[:11], msg, nil) })
		mustPanic(t, func() { _, _ = a.Open(nil, append(nonce, 0), msg, nil) })
	})
	t.Run("empty message", func(t *testing.T) {
		if got := a.Seal(nil, nonce, nil, nil); len(got) != 0 {
			t.Errorf("%x", got)
		}
	})
}

func mustPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

package ccm

import (
	"bytes"
	"crypto/aes"
	"testing"

	pion "github.com/pion/dtls/v3/pkg/crypto/ccm"
	"pgregory.net/rapid"
)

// TestAgainstPion compares with another implementation, over all shapes and over
// additional data on both sides of 0xff00 bytes, where its length changes form.
func TestAgainstPion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")
		tagSize := 2 * rapid.IntRange(2, 8).Draw(t, "tag/2")
		nonceSize := rapid.IntRange(7, 13).Draw(t, "nonce size")
		nonce := rapid.SliceOfN(rapid.Byte(), nonceSize, nonceSize).Draw(t, "nonce")
		msg := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "msg")
		var aad []byte
		if n := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0xff00-20, 0xff00+20)).Draw(t, "aad size"); n > 0 {
			aad = bytes.Repeat([]byte{rapid.Byte().Draw(t, "aad")}, n)
		}
		compare(t, key, tagSize, nonce, msg, aad)
	})
}

type fataler interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func compare(t fataler, key []byte, tagSize int, nonce, msg, aad []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := New(block, tagSize, len(nonce))
	if err != nil {
		t.Fatal(err)
	}
	other, err := pion.NewCCM(block, tagSize, len(nonce))
	if err != nil {
		t.Fatal(err)
	}
	want := other.Seal(nil, nonce, msg, aad)
	got := own.Seal(nil, nonce, msg, aad)
	if !bytes.Equal(got, want) {
		t.Fatalf("sealed %x, pion %x", got, want)
	}
	opened, err := own.Open(nil, nonce, got, aad)
	if err != nil || !bytes.Equal(opened, msg) {
		t.Fatalf("opened %x, %v", opened, err)
	}
}

func FuzzAgainstPion(f *testing.F) {
	f.Add(make([]byte, 16), uint8(8), make([]byte, 13), []byte("message"), []byte("data"))
	f.Add(make([]byte, 32), uint8(16), make([]byte, 7), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key []byte, tag uint8, nonce, msg, aad []byte) {
		if n := len(key); n != 16 && n != 24 && n != 32 || len(nonce) < 7 || len(nonce) > 13 || tag < 4 || tag > 16 || tag%2 != 0 || len(msg) > 65535 {
			return
		}
		compare(t, key, int(tag), nonce, msg, aad)
	})
}

// FuzzOpen takes arbitrary ciphertexts: they are refused, without a panic, unless
// they are what Seal makes of the plaintext found.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("ciphertext and tag"), []byte("data"))
	f.Add([]byte{}, []byte{})
	block, _ := aes.NewCipher(make([]byte, 16))
	a, _ := New(block, 4, 13)
	nonce := make([]byte, 13)
	f.Add(a.Seal(nil, nonce, []byte("message"), nil), []byte{})
	f.Fuzz(func(t *testing.T, ct, aad []byte) {
		msg, err := a.Open(nil, nonce, ct, aad)
		if err == nil && !bytes.Equal(a.Seal(nil, nonce, msg, aad), ct) {
			t.Fatal("opened what was not sealed")
		}
	})
}

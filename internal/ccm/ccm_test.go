package ccm

import (
	"bytes"
	"crypto/aes"
	"crypto/des"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
)

type vector struct {
	ID        int    `json:"id"`
	Comment   string `json:"comment"`
	NonceSize int    `json:"nonce_size"`
	TagSize   int    `json:"tag_size"`
	Key       string `json:"key"`
	Nonce     string `json:"nonce"`
	AAD       string `json:"aad"`
	Msg       string `json:"msg"`
	CT        string `json:"ct"`
	Result    string `json:"result"`
}

func load(t testing.TB, name string) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var v []vector
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFC3610(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, "rfc3610.json") {
		t.Run(fmt.Sprintf("packet %d", v.ID), func(t *testing.T) {
			block, err := aes.NewCipher(unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			a, err := New(block, v.TagSize, 13)
			if err != nil {
				t.Fatal(err)
			}
			nonce, aad, msg, ct := unhex(t, v.Nonce), unhex(t, v.AAD), unhex(t, v.Msg), unhex(t, v.CT)
			if got := a.Seal(nil, nonce, msg, aad); !bytes.Equal(got, ct) {
				t.Errorf("sealed %x, want %x", got, ct)
			}
			if got, err := a.Open(nil, nonce, ct, aad); err != nil || !bytes.Equal(got, msg) {
				t.Errorf("opened %x, %v", got, err)
			}
		})
	}
}

func TestWycheproof(t *testing.T) {
	t.Parallel()
	for _, v := range load(t, "wycheproof.json") {
		t.Run(fmt.Sprintf("%d %s", v.ID, v.Comment), func(t *testing.T) {
			block, err := aes.NewCipher(unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			a, err := New(block, v.TagSize, v.NonceSize)
			nonce, aad, msg, ct := unhex(t, v.Nonce), unhex(t, v.AAD), unhex(t, v.Msg), unhex(t, v.CT)
			if err != nil {
				if v.Result != "invalid" {
					t.Fatalf("%s vector: %v", v.Result, err)
				}
				return
			}
			got, err := a.Open(nil, nonce, ct, aad)
			switch v.Result {
			case "valid":
				if err != nil || !bytes.Equal(got, msg) {
					t.Errorf("opened %x, %v", got, err)
				}
				if sealed := a.Seal(nil, nonce, msg, aad); !bytes.Equal(sealed, ct) {
					t.Errorf("sealed %x, want %x", sealed, ct)
				}
			case "invalid":
				if !errors.Is(err, ErrOpen) {
					t.Errorf("opened %x, %v", got, err)
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][2]int{{2, 13}, {3, 13}, {5, 13}, {18, 13}, {0, 13}, {-8, 13}, {8, 6}, {8, 14}, {8, 0}} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			if _, err := New(block, p[0], p[1]); !errors.Is(err, ErrParameters) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("8-byte blocks", func(t *testing.T) {
		small, err := des.NewTripleDESCipher(make([]byte, 24))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(small, 8, 13); !errors.Is(err, ErrParameters) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("all sizes that exist are taken", func(t *testing.T) {
		for tag := 4; tag <= 16; tag += 2 {
			for nonce := 7; nonce <= 13; nonce++ {
				a, err := New(block, tag, nonce)
				if err != nil || a.Overhead() != tag || a.NonceSize() != nonce {
					t.Errorf("tag %d, nonce %d: %v", tag, nonce, err)
				}
			}
		}
	})
}

func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][2]int{{8, 13}, {16, 13}, {8, 7}, {16, 7}} {
		a, err := New(block, shape[0], shape[1])
		if err != nil {
			t.Fatal(err)
		}
		nonce, aad := make([]byte, shape[1]), []byte("external")
		ct := a.Seal(nil, nonce, []byte("a message of more than one block"), aad)
		for _, in := range [][]byte{nonce, aad, ct} {
			for i := range len(in) * 8 {
				in[i/8] ^= 1 << (i % 8)
				dst := bytes.Repeat([]byte{0xaa}, 64)
				if got, err := a.Open(dst[:0], nonce, ct, aad); !errors.Is(err, ErrOpen) || got != nil {
					t.Fatalf("%v: bit %d flipped: %x, %v", shape, i, got, err)
				}
				if !bytes.Equal(dst[:32], make([]byte, 32)) {
					t.Fatal("plaintext that is not authentic was left in dst")
				}
				in[i/8] ^= 1 << (i % 8)
			}
		}
		if _, err := a.Open(nil, nonce, ct, aad[:7]); !errors.Is(err, ErrOpen) {
			t.Error("shorter additional data accepted")
		}
		for i := range ct {
			if _, err := a.Open(nil, nonce, ct[:i], aad); !errors.Is(err, ErrOpen) {
				t.Errorf("ciphertext cut to %d accepted", i)
			}
		}
	}
}

func TestLengthLimit(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(block, 8, 13)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, 13)
	longest := make([]byte, 65535)
	ct := a.Seal(nil, nonce, longest, nil)
	if got, err := a.Open(nil, nonce, ct, nil); err != nil || !bytes.Equal(got, longest) {
		t.Errorf("65535 bytes: %v", err)
	}
	if _, err := a.Open(nil, nonce, make([]byte, 65536+8), nil); !errors.Is(err, ErrOpen) {
		t.Errorf("65536 bytes: %v", err)
	}
	mustPanic(t, "65536 bytes", func() { a.Seal(nil, nonce, make([]byte, 65536), nil) })
}

func TestBuffers(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(block, 8, 13)
	if err != nil {
		t.Fatal(err)
	}
	nonce, msg := make([]byte, 13), []byte("forty bytes of plaintext, in three blocks")
	want := a.Seal(nil, nonce, msg, nil)

	t.Run("appends to dst", func(t *testing.T) {
		got := a.Seal([]byte("head"), nonce, msg, nil)
		if !bytes.Equal(got, append([]byte("head"), want...)) {
			t.Errorf("got %x", got)
		}
		open, err := a.Open([]byte("head"), nonce, want, nil)
		if err != nil || !bytes.Equal(open, append([]byte("head"), msg...)) {
			t.Errorf("got %q, %v", open, err)
		}
	})
	t.Run("works in place", func(t *testing.T) {
		buf := append(make([]byte, 0, 64), msg...)
		buf = a.Seal(buf[:0], nonce, buf, nil)
		if !bytes.Equal(buf, want) {
			t.Fatalf("sealed %x", buf)
		}
		buf, err := a.Open(buf[:0], nonce, buf, nil)
		if err != nil || !bytes.Equal(buf, msg) {
			t.Errorf("opened %q, %v", buf, err)
		}
	})
	t.Run("inexact overlap panics", func(t *testing.T) {
		buf := make([]byte, 100)
		mustPanic(t, "Seal", func() { a.Seal(buf[:0], nonce, buf[1:40], nil) })
		mustPanic(t, "Open", func() { _, _ = a.Open(buf[1:1], nonce, buf[:40], nil) })
	})
	t.Run("wrong nonce size panics", func(t *testing.T) {
		mustPanic(t, "Seal", func() { a.Seal(nil, nonce[:12], msg, nil) })
		mustPanic(t, "Open", func() { _, _ = a.Open(nil, nonce[:12], want, nil) })
	})
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector empties pools at random; not measured under it")
		return
	}
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(block, 8, 13)
	if err != nil {
		t.Fatal(err)
	}
	nonce, msg, aad, dst := make([]byte, 13), make([]byte, 64), make([]byte, 280), make([]byte, 0, 128)
	ct := a.Seal(nil, nonce, msg, aad)
	if n := testing.AllocsPerRun(1000, func() { a.Seal(dst, nonce, msg, aad) }); n != 0 {
		t.Errorf("Seal: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = a.Open(dst, nonce, ct, aad) }); n != 0 {
		t.Errorf("Open: %v allocations", n)
	}
}

func BenchmarkSeal(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 16))
	a, _ := New(block, 8, 13)
	for _, size := range []int{16, 64, 1024} {
		for _, aadSize := range []int{32, 280} {
			b.Run(fmt.Sprintf("%d bytes, %d of aad", size, aadSize), func(b *testing.B) {
				nonce, msg, aad, dst := make([]byte, 13), make([]byte, size), make([]byte, aadSize), make([]byte, 0, size+16)
				b.ReportAllocs()
				for b.Loop() {
					a.Seal(dst, nonce, msg, aad)
				}
			})
		}
	}
}

package cose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// naiveMap is u = (1+y)/(1-y) mod p, as the draft writes it.
func naiveMap(x []byte) []byte {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	le := bytes.Clone(x)
	le[31] &= 0x7f
	reverse(le)
	y := new(big.Int).SetBytes(le)
	num := new(big.Int).Add(big.NewInt(1), y)
	den := new(big.Int).Sub(big.NewInt(1), y)
	u := num.Mul(num, den.ModInverse(den.Mod(den, p), p))
	out := u.Mod(u, p).FillBytes(make([]byte, 32))
	reverse(out)
	return out
}

func reverse(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

func TestEd25519Mapping(t *testing.T) {
	t.Parallel()
	draw := rapid.SliceOfN(rapid.Byte(), 32, 32)
	t.Run("GO-2.5.2.1-1 u is (1+y)/(1-y)", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			k, err := NewPrivateKey(CurveEd25519, draw.Draw(t, "seed"))
			if err != nil {
				t.Fatal(err)
			}
			x := k.Public().X()
			u, err := mapEd25519(x)
			if err != nil || !bytes.Equal(u, naiveMap(x)) {
				t.Fatalf("%x maps to %x, %v", x, u, err)
			}
			x[31] ^= 0x80 // the other sign: -P, whose u is the same
			if other, err := mapEd25519(x); err != nil || !bytes.Equal(other, u) {
				t.Fatalf("the other sign maps to %x, %v", other, err)
			}
		})
	})
	t.Run("GO-2.5.2.1-2 the scalar is the lower half of SHA-512(seed)", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			seed := draw.Draw(t, "seed")
			k, err := NewPrivateKey(CurveEd25519, seed)
			if err != nil {
				t.Fatal(err)
			}
			h := sha512.Sum512(seed)
			x, err := ecdh.X25519().NewPrivateKey(h[:32])
			if err != nil {
				t.Fatal(err)
			}
			u, err := mapEd25519(k.Public().X())
			if err != nil || !bytes.Equal(u, x.PublicKey().Bytes()) {
				t.Fatalf("public key maps to %x, %v; private key's is %x", u, err, x.PublicKey().Bytes())
			}
		})
	})
}

// smallOrder lists every encoding of the eight points of small order that the curve
// arithmetic decodes, canonical or not.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func TestEd25519KeysRefused(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, x []byte) {
		t.Helper()
		if k, err := NewPublicKey(CurveEd25519, x, nil); !errors.Is(err, ErrKey) || k != nil {
			t.Errorf("%x is taken: %v", x, err)
		}
	}
	t.Run("GO-2.5.2.1-1 y = 1 and y = -1", func(t *testing.T) {
		for _, s := range smallOrder[:4] {
			refuse(t, unhex(t, s))
		}
	})
	for _, s := range smallOrder {
		t.Run("small order "+s, func(t *testing.T) {
			x := unhex(t, s)
			p, err := new(edwards25519.Point).SetBytes(x)
			if err != nil || new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) != 1 {
				t.Fatalf("the table is wrong: %v", err)
			}
			refuse(t, x)
		})
	}
	for low := 0xed; low <= 0xff; low++ {
		for _, high := range []byte{0x7f, 0xff} {
			t.Run(fmt.Sprintf("GO-2.5.2.1-3 y = p + %d, sign byte %x", low-0xed, high), func(t *testing.T) {
				x := bytes.Repeat([]byte{0xff}, 32)
				x[0], x[31] = byte(low), high
				if canonicalY(x) {
					t.Error("is below p")
				}
				refuse(t, x)
			})
		}
	}
	t.Run("the largest y below p are canonical", func(t *testing.T) {
		for low := range 0xed {
			x := bytes.Repeat([]byte{0xff}, 32)
			x[0], x[31] = byte(low), 0x7f
			if !canonicalY(x) {
				t.Errorf("%x is not below p", x)
			}
		}
	})
	t.Run("off the curve", func(t *testing.T) {
		off := 0
		for i := range 64 {
			x := make([]byte, 32)
			x[0] = byte(i)
			if _, err := new(edwards25519.Point).SetBytes(x); err != nil {
				off++
				refuse(t, x)
			}
		}
		if off == 0 {
			t.Error("no y without a point was tried")
		}
	})
}

func FuzzMapEd25519(f *testing.F) {
	for _, s := range smallOrder {
		f.Add(unhex(f, s))
	}
	f.Add(newKey(f, CurveEd25519, 3).Public().X())
	f.Fuzz(func(t *testing.T, x []byte) {
		u, err := mapEd25519(x)
		if err == nil && !bytes.Equal(u, naiveMap(x)) {
			t.Fatalf("%x maps to %x, want %x", x, u, naiveMap(x))
		}
	})
}

package cose

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestPublicKeyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		t.Run(crv.String(), func(t *testing.T) {
			k := newKey(t, crv, 1).Public()
			b, err := k.MarshalCBOR()
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParsePublicKey(b)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Equal(k) || !k.Equal(got) || got.Curve() != crv || got.Kty() != crv.KeyType() || got.Alg() != 0 {
				t.Errorf("%x reads as %v %x %x", b, got.Curve(), got.X(), got.Y())
			}
			made, err := NewPublicKey(crv, k.X(), k.Y())
			if err != nil || !made.Equal(k) {
				t.Errorf("from coordinates: %v", err)
			}
			if k.Equal(nil) || k.Equal(newKey(t, crv, 2).Public()) {
				t.Error("different keys are equal")
			}
			k.X()[0] ^= 1
			if !got.Equal(k) {
				t.Error("a caller changed the key through X")
			}
			// the encoding is the deterministic one of the library
			var m map[int]any
			if err := cborx.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			if again, err := cborx.Marshal(m); err != nil || !bytes.Equal(again, b) {
				t.Errorf("encoded %x, deterministic is %x", b, again)
			}
		})
	}
}

func TestParsePublicKeyForms(t *testing.T) {
	t.Parallel()
	k := newKey(t, CurveP256, 1).Public()
	ed := newKey(t, CurveEd25519, 1).Public()
	encode := func(m map[any]any) []byte {
		b, err := cborx.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("compressed y", func(t *testing.T) {
		for seed := byte(1); seed < 20; seed++ {
			for _, crv := range []Curve{CurveP256, CurveP384, CurveP521} {
				k := newKey(t, crv, seed).Public()
				y := k.Y()
				got, err := ParsePublicKey(encode(map[any]any{1: 2, -1: int(crv), -2: k.X(), -3: y[len(y)-1]&1 == 1}))
				if err != nil || !got.Equal(k) {
					t.Fatalf("%v: %v", crv, err)
				}
				other, err := ParsePublicKey(encode(map[any]any{1: 2, -1: int(crv), -2: k.X(), -3: y[len(y)-1]&1 == 0}))
				if err != nil || other.Equal(k) {
					t.Fatalf("%v: the other sign gives the same key, %v", crv, err)
				}
			}
		}
	})
	t.Run("parameters about use", func(t *testing.T) {
		got, err := ParsePublicKey(encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 2: []byte("kid"), 3: -8, 4: []int{2}, 5: []byte{1}}))
		if err != nil || got.Alg() != AlgEdDSA || !got.Equal(ed) {
			t.Fatalf("%v", err)
		}
		b, err := got.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		if want := encode(map[any]any{1: 1, 3: -8, -1: 6, -2: ed.X()}); !bytes.Equal(b, want) {
			t.Errorf("encoded %x, want %x", b, want)
		}
	})
	t.Run("unknown parameters are ignored", func(t *testing.T) {
		if _, err := ParsePublicKey(encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 99: 1, "note": "x", -70000: []int{1}})); err != nil {
			t.Error(err)
		}
	})
	x, y := k.X(), k.Y()
	short := func(b []byte) []byte { return b[:len(b)-1] }
	refused := map[string]struct {
		key  []byte
		want error
	}{
		"nothing":                {nil, ErrKey},
		"null":                   {[]byte{0xf6}, ErrKey},
		"an array":               {[]byte{0x80}, ErrKey},
		"an empty map":           {[]byte{0xa0}, ErrKey},
		"two maps":               {append(encode(map[any]any{1: 1, -1: 6, -2: ed.X()}), 0xa0), ErrKey},
		"a boolean as label":     {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), true: 1}), ErrKey},
		"no kty":                 {encode(map[any]any{-1: 6, -2: ed.X()}), ErrKey},
		"text kty":               {encode(map[any]any{1: "OKP", -1: 6, -2: ed.X()}), ErrKey},
		"symmetric":              {encode(map[any]any{1: 4, -1: []byte("key")}), ErrUnsupportedKey},
		"GO-14.16-2 RSA":         {encode(map[any]any{1: 3, -1: make([]byte, 256), -2: []byte{1, 0, 1}}), ErrUnsupportedKey},
		"GO-2.4-3 no crv":        {encode(map[any]any{1: 2, -2: x, -3: y}), ErrKey},
		"text crv":               {encode(map[any]any{1: 2, -1: "P-256", -2: x, -3: y}), ErrKey},
		"unknown crv":            {encode(map[any]any{1: 2, -1: 8, -2: x, -3: y}), ErrUnsupportedKey},
		"Ed448 y = 0":            {encode(map[any]any{1: 1, -1: 7, -2: make([]byte, 57)}), ErrKey},
		"Ed448 of 56 bytes":      {encode(map[any]any{1: 1, -1: 7, -2: make([]byte, 56)}), ErrKey},
		"X448 of 57 bytes":       {encode(map[any]any{1: 1, -1: 5, -2: make([]byte, 57)}), ErrKey},
		"EC2 on Ed25519":         {encode(map[any]any{1: 2, -1: 6, -2: ed.X(), -3: ed.X()}), ErrKey},
		"OKP on P-256":           {encode(map[any]any{1: 1, -1: 1, -2: x}), ErrKey},
		"no x":                   {encode(map[any]any{1: 2, -1: 1, -3: y}), ErrKey},
		"null x":                 {encode(map[any]any{1: 1, -1: 6, -2: nil}), ErrKey},
		"array x":                {encode(map[any]any{1: 1, -1: 6, -2: make([]int, 32)}), ErrKey},
		"short x":                {encode(map[any]any{1: 2, -1: 1, -2: short(x), -3: y}), ErrKey},
		"long x":                 {encode(map[any]any{1: 2, -1: 1, -2: append([]byte{0}, x...), -3: y}), ErrKey},
		"short x, compressed":    {encode(map[any]any{1: 2, -1: 1, -2: short(x), -3: true}), ErrKey},
		"no y":                   {encode(map[any]any{1: 2, -1: 1, -2: x}), ErrKey},
		"short y":                {encode(map[any]any{1: 2, -1: 1, -2: x, -3: short(y)}), ErrKey},
		"integer y":              {encode(map[any]any{1: 2, -1: 1, -2: x, -3: 1}), ErrKey},
		"y in an OKP key":        {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), -3: ed.X()}), ErrKey},
		"short Ed25519":          {encode(map[any]any{1: 1, -1: 6, -2: short(ed.X())}), ErrKey},
		"short X25519":           {encode(map[any]any{1: 1, -1: 4, -2: short(ed.X())}), ErrKey},
		"with a private key":     {encode(map[any]any{1: 2, -1: 1, -2: x, -3: y, -4: x}), ErrKey},
		"OKP with a private key": {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), -4: ed.X()}), ErrKey},
		"text kid":               {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 2: "kid"}), ErrKey},
		"text Base IV":           {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 5: "iv"}), ErrKey},
		"text alg":               {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 3: "EdDSA"}), ErrKey},
		"alg 0":                  {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 3: 0}), ErrKey},
		"key_ops not an array":   {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 4: 2}), ErrKey},
		"key_ops empty":          {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 4: []int{}}), ErrKey},
		"key_ops of text":        {encode(map[any]any{1: 1, -1: 6, -2: ed.X(), 4: []string{"verify"}}), ErrKey},
		"duplicate label":        {append([]byte{0xa4, 1, 1, 1, 1}, encode(map[any]any{-1: 6, -2: ed.X()})[1:]...), ErrKey},
		"indefinite length":      {append(append([]byte{0xbf}, encode(map[any]any{1: 1, -1: 6, -2: ed.X()})[1:]...), 0xff), ErrKey},
	}
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			got, err := ParsePublicKey(r.key)
			if !errors.Is(err, r.want) || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestPointsOffTheCurve(t *testing.T) {
	t.Parallel()
	primes := map[Curve]*big.Int{}
	for _, crv := range []Curve{CurveP256, CurveP384, CurveP521} {
		primes[crv] = crv.elliptic().Params().P
	}
	for crv, p := range primes {
		k := newKey(t, crv, 1).Public()
		x, y, size := k.X(), k.Y(), crv.size()
		flipped := bytes.Clone(y)
		flipped[size-1] ^= 1
		zero := make([]byte, size)
		pb := p.FillBytes(make([]byte, size))
		for name, c := range map[string][2][]byte{
			"off the curve":    {x, flipped},
			"swapped":          {y, x},
			"zero":             {zero, zero},
			"coordinates of p": {pb, pb},
			"no y":             {x, nil},
			"no x":             {nil, y},
		} {
			t.Run(fmt.Sprintf("GO-14.16-3 %v %s", crv, name), func(t *testing.T) {
				if k, err := NewPublicKey(crv, c[0], c[1]); !errors.Is(err, ErrKey) || k != nil {
					t.Errorf("%v, %v", k, err)
				}
			})
		}
		t.Run(fmt.Sprintf("GO-14.16-3 %v x of no point, compressed", crv), func(t *testing.T) {
			b := bytes.Clone(x)
			none := 0
			for i := range 32 {
				b[size-1] = byte(i)
				if decompress(crv, b, true) == nil {
					none++
				}
			}
			if none == 0 || decompress(crv, pb, false) != nil {
				t.Error("every x has a point")
			}
		})
	}
	t.Run("unsupported curves", func(t *testing.T) {
		for _, crv := range []Curve{0, 8, 99} {
			if _, err := NewPublicKey(crv, make([]byte, 57), nil); !errors.Is(err, ErrUnsupportedKey) {
				t.Errorf("%v: %v", crv, err)
			}
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, crv := range supportedCurves {
		b, _ := newKey(f, crv, 1).Public().MarshalCBOR()
		f.Add(b)
	}
	f.Add(unhex(f, "a50102032620012158200000000000000000000000000000000000000000000000000000000000000001 22f5"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePublicKey(b)
		if err != nil {
			if k != nil {
				t.Fatal("a key and an error")
			}
			return
		}
		again, err := k.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		n, err := ParsePublicKey(again)
		if err != nil || !n.Equal(k) || n.Alg() != k.Alg() {
			t.Fatalf("%x becomes %x: %v", b, again, err)
		}
		// every key that is taken can agree and refuses a signature of zeros
		if _, err := newKey(t, k.Curve(), 7).ECDH(k); err != nil {
			t.Fatalf("no agreement with %x: %v", b, err)
		}
		for _, alg := range []Algorithm{AlgEdDSA, AlgES256, AlgES384, AlgES512} {
			if n, err := k.SignatureSize(alg); err == nil && k.Verify(alg, nil, make([]byte, n)) == nil {
				t.Fatalf("%x verifies zeros", b)
			}
		}
	})
}

package cose

import (
	"bytes"
	"crypto/sha3"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/ecc/goldilocks"
	"pgregory.net/rapid"
)

// ed448Vectors are of RFC 8032, Section 7.4: seed, public key, message, signature.
var ed448Vectors = []struct{ name, seed, pub, msg, sig string }{
	{
		"blank", "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
		"5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180", "",
		"533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
	},
	{
		"1 octet", "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
		"43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480", "03",
		"26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
	},
	{
		"11 octets", "cd23d24f714274e744343237b93290f511f6425f98e64459ff203e8985083ffdf60500553abc0e05cd02184bdb89c4ccd67e187951267eb328",
		"dcea9e78f35a1bf3499a831b10b86c90aac01cd84b67a0109b55a36e9328b1e365fce161d71ce7131a543ea4cb5f7e9f1d8b00696447001400", "0c3e544074ec63b0265e0c",
		"1f0a8888ce25e8d458a21130879b840a9089d999aaba039eaf3e3afa090a09d389dba82c4ff2ae8ac5cdfb7c55e94d5d961a29fe0109941e00b8dbdeea6d3b051068df7254c0cdc129cbe62db2dc957dbb47b51fd3f213fb8698f064774250a5028961c9bf8ffd973fe5d5c206492b140e00",
	},
	{
		"64 octets", "d65df341ad13e008567688baedda8e9dcdc17dc024974ea5b4227b6530e339bff21f99e68ca6968f3cca6dfe0fb9f4fab4fa135d5542ea3f01",
		"df9705f58edbab802c7f8363cfe5560ab1c6132c20a9f1dd163483a26f8ac53a39d6808bf4a1dfbd261b099bb03b3fb50906cb28bd8a081f00",
		"bd0f6a3747cd561bdddf4640a332461a4a30a12a434cd0bf40d766d9c6d458e5512204a30c17d1f50b5079631f64eb3112182da3005835461113718d1a5ef944",
		"554bc2480860b49eab8532d2a533b7d578ef473eeb58c98bb2d0e1ce488a98b18dfde9b9b90775e67f47d4a1c3482058efc9f40d2ca033a0801b63d45b3b722ef552bad3b4ccb667da350192b61c508cf7b6b5adadc2c8d9a446ef003fb05cba5f30e88e36ec2703b349ca229c2670833900",
	},
}

func TestEd448Vectors(t *testing.T) {
	t.Parallel()
	for _, v := range ed448Vectors {
		t.Run("GO-14.16-4 "+v.name, func(t *testing.T) {
			k, err := NewPrivateKey(CurveEd448, unhex(t, v.seed))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(k.Public().X(), unhex(t, v.pub)) {
				t.Errorf("public key %x", k.Public().X())
			}
			for _, alg := range []Algorithm{AlgEdDSA, AlgEd448} {
				sig, err := k.Sign(alg, unhex(t, v.msg))
				if err != nil || !bytes.Equal(sig, unhex(t, v.sig)) {
					t.Errorf("signature %x, %v", sig, err)
				}
				if err := k.Public().Verify(alg, unhex(t, v.msg), unhex(t, v.sig)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("a signature with a context does not verify", func(t *testing.T) {
		v := ed448Vectors[1] // RFC 8032 has the same key and message with the context "foo"
		pub, err := NewPublicKey(CurveEd448, unhex(t, v.pub), nil)
		if err != nil {
			t.Fatal(err)
		}
		foo := unhex(t, "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2151f7647f11d8ca2ae279fb842d607217fce6e042f6815ea000c85741de5c8da1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d5428407e85dcbc98a49155c13764e66c3c00")
		if err := pub.Verify(AlgEdDSA, unhex(t, v.msg), foo); !errors.Is(err, ErrSignature) {
			t.Error(err)
		}
	})
}

// x448Vectors are of RFC 7748, Sections 5.2 and 6.2: scalar, u-coordinate, result.
var x448Vectors = [][3]string{
	{"3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3", "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086", "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f"},
	{"203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c538345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f", "0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db", "884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d"},
	{"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b", "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609", "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"},
	{"1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d", "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0", "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"},
}

func TestX448Vectors(t *testing.T) {
	t.Parallel()
	for i, v := range x448Vectors {
		t.Run(fmt.Sprintf("GO-2.5.1-5,GO-2.5.1-6 vector %d", i), func(t *testing.T) {
			k, err := NewPrivateKey(CurveX448, unhex(t, v[0]))
			if err != nil {
				t.Fatal(err)
			}
			peer, err := NewPublicKey(CurveX448, unhex(t, v[1]), nil)
			if err != nil {
				t.Fatal(err)
			}
			if z, err := k.ECDH(peer); err != nil || !z.Equal(unhex(t, v[2])) {
				t.Errorf("%x, %v", []byte(z), err)
			}
			if i == 2 && !bytes.Equal(k.Public().X(), unhex(t, x448Vectors[3][1])) {
				t.Errorf("public key %x", k.Public().X())
			}
		})
	}
	t.Run("points of small order are refused", func(t *testing.T) {
		minusOne := unhex(t, "fe"+string(bytes.Repeat([]byte("ff"), 27))+"fe"+string(bytes.Repeat([]byte("ff"), 27)))
		for _, u := range [][]byte{make([]byte, 56), append([]byte{1}, make([]byte, 55)...), minusOne} {
			if k, err := NewPublicKey(CurveX448, u, nil); !errors.Is(err, ErrKey) || k != nil {
				t.Errorf("%x: %v", u, err)
			}
		}
	})
	t.Run("X448 keys do not sign", func(t *testing.T) {
		if _, err := newKey(t, CurveX448, 1).Sign(AlgEdDSA, nil); !errors.Is(err, ErrAlgorithm) {
			t.Error(err)
		}
	})
}

// prime448 is p of both curves.
func prime448() *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), 448)
	p.Sub(p, new(big.Int).Lsh(big.NewInt(1), 224))
	return p.Sub(p, big.NewInt(1))
}

// naiveMap448 is u = y^2 (d y^2 - 1) / (y^2 - 1) mod p, as the draft writes it.
func naiveMap448(x []byte) []byte {
	p := prime448()
	le := bytes.Clone(x[:56])
	reverse(le)
	y2 := new(big.Int).SetBytes(le)
	y2.Mul(y2, y2).Mod(y2, p)
	num := new(big.Int).Mul(big.NewInt(-39081), y2)
	num.Sub(num, big.NewInt(1)).Mul(num, y2)
	den := new(big.Int).Sub(y2, big.NewInt(1))
	den.Mod(den, p).ModInverse(den, p)
	out := num.Mul(num, den).Mod(num, p).FillBytes(make([]byte, 56))
	reverse(out)
	return out
}

func TestEd448Mapping(t *testing.T) {
	t.Parallel()
	draw := rapid.SliceOfN(rapid.Byte(), 57, 57)
	t.Run("GO-2.5.2.2-1 the base point maps to the base point, u = 5", func(t *testing.T) {
		b, err := goldilocks.Curve{}.Generator().MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		// the y-coordinate of RFC 8032, Section 5.2
		y, _ := new(big.Int).SetString("298819210078481492676017930443930673437544040154080242095928241372331506189835876003536878655418784733982303233503462500531545062832660", 10)
		le := y.FillBytes(make([]byte, 56))
		reverse(le)
		if !bytes.Equal(b[:56], le) {
			t.Fatalf("the generator is %x", b)
		}
		u, err := mapEd448(b)
		if want := (x448.Key{5}); err != nil || *u != want {
			t.Errorf("%x, %v", u, err)
		}
	})
	t.Run("GO-2.5.2.2-1 u is y^2 (d y^2 - 1) / (y^2 - 1)", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			k, err := NewPrivateKey(CurveEd448, draw.Draw(t, "seed"))
			if err != nil {
				t.Fatal(err)
			}
			x := k.Public().X()
			u, err := mapEd448(x)
			if err != nil || !bytes.Equal(u[:], naiveMap448(x)) {
				t.Fatalf("%x maps to %x, %v", x, u, err)
			}
			x[56] ^= 0x80 // the other sign: -P, whose u is the same
			if other, err := mapEd448(x); err != nil || *other != *u {
				t.Fatalf("the other sign maps to %x, %v", other, err)
			}
		})
	})
	t.Run("GO-2.5.2.2-1 the scalar is of the lower half of SHAKE256(seed)", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			seed := draw.Draw(t, "seed")
			k, err := NewPrivateKey(CurveEd448, seed)
			if err != nil {
				t.Fatal(err)
			}
			scalar := x448.Key(sha3.SumSHAKE256(seed, 114)[:56])
			var want x448.Key
			x448.KeyGen(&want, &scalar)
			u, err := mapEd448(k.Public().X())
			if err != nil || *u != want {
				t.Fatalf("public key maps to %x, %v; private key's is %x", u, err, want)
			}
		})
	})
	t.Run("GO-2.5.1-6 an Ed448 key agrees as its X448 form does", func(t *testing.T) {
		a, b := newKey(t, CurveEd448, 1), newKey(t, CurveEd448, 2)
		mapped := func(k *PrivateKey) *PrivateKey {
			m, err := NewPrivateKey(CurveX448, ed448Scalar(k.Secret()))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		z, err := a.ECDH(b.Public())
		want, errWant := mapped(a).ECDH(mapped(b).Public())
		if err != nil || errWant != nil || !z.Equal(want) {
			t.Errorf("%v %v", err, errWant)
		}
	})
}

func TestEd448KeysRefused(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, x []byte) {
		t.Helper()
		if k, err := NewPublicKey(CurveEd448, x, nil); !errors.Is(err, ErrKey) || k != nil {
			t.Errorf("%x is taken: %v", x, err)
		}
	}
	encode := func(y *big.Int, sign byte) []byte {
		le := y.FillBytes(make([]byte, 56))
		reverse(le)
		return append(le, sign)
	}
	p := prime448()
	one := big.NewInt(1)
	minusOne := new(big.Int).Sub(p, one)
	for _, sign := range []byte{0, 0x80} {
		t.Run(fmt.Sprintf("GO-2.5.2.2-1 y = 1 and y = -1, sign byte %x", sign), func(t *testing.T) {
			refuse(t, encode(one, sign))
			refuse(t, encode(minusOne, sign))
		})
		t.Run(fmt.Sprintf("y = 0, of order 4, sign byte %x", sign), func(t *testing.T) {
			x := encode(new(big.Int), sign)
			point, err := goldilocks.FromBytes(x)
			if err != nil {
				t.Fatalf("is no point: %v", err)
			}
			if point.Double(); point.IsIdentity() {
				t.Error("has order 2")
			}
			if point.Double(); !point.IsIdentity() {
				t.Error("has not order 4")
			}
			refuse(t, x)
		})
		t.Run(fmt.Sprintf("GO-2.5.2.2-1 y of p and more, sign byte %x", sign), func(t *testing.T) {
			limit := new(big.Int).Lsh(one, 448)
			for _, d := range []int64{0, 1, 2, 3, 4, 1000} {
				refuse(t, encode(new(big.Int).Add(p, big.NewInt(d)), sign))
				refuse(t, encode(new(big.Int).Sub(limit, big.NewInt(d+1)), sign))
			}
		})
	}
	t.Run("bits of the last byte other than the sign", func(t *testing.T) {
		x := newKey(t, CurveEd448, 1).Public().X()
		for bit := range 7 {
			x[56] ^= 1 << bit
			refuse(t, x)
			x[56] ^= 1 << bit
		}
	})
	t.Run("off the curve", func(t *testing.T) {
		off := 0
		for i := range 64 {
			x := encode(big.NewInt(int64(i)), 0)
			if _, err := goldilocks.FromBytes(x); err != nil {
				off++
				refuse(t, x)
			}
		}
		if off == 0 {
			t.Error("no y without a point was tried")
		}
	})
	t.Run("other lengths", func(t *testing.T) {
		x := newKey(t, CurveEd448, 1).Public().X()
		refuse(t, x[:56])
		refuse(t, append(x, 0))
		refuse(t, nil)
	})
}

func FuzzMapEd448(f *testing.F) {
	f.Add(newKey(f, CurveEd448, 3).Public().X())
	f.Add(make([]byte, 57))
	f.Add(append([]byte{1}, make([]byte, 56)...))
	f.Add(bytes.Repeat([]byte{0xff}, 57))
	f.Fuzz(func(t *testing.T, x []byte) {
		u, err := mapEd448(x)
		if err == nil && !bytes.Equal(u[:], naiveMap448(x)) {
			t.Fatalf("%x maps to %x, want %x", x, u, naiveMap448(x))
		}
	})
}

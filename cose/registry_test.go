package cose

import (
	"strings"
	"testing"
)

// algorithmTable states what the registries and RFC 9053 say of every algorithm.
var algorithmTable = []struct {
	alg              Algorithm
	value            int64
	name             string
	key, nonce, tag  int
	aead, sign, hmac bool
	agree            bool
}{
	{alg: AlgA128GCM, value: 1, name: "A128GCM", key: 16, nonce: 12, tag: 16, aead: true},
	{alg: AlgA192GCM, value: 2, name: "A192GCM", key: 24, nonce: 12, tag: 16, aead: true},
	{alg: AlgA256GCM, value: 3, name: "A256GCM", key: 32, nonce: 12, tag: 16, aead: true},
	{alg: AlgAESCCM16_64_128, value: 10, name: "AES-CCM-16-64-128", key: 16, nonce: 13, tag: 8, aead: true},
	{alg: AlgAESCCM16_64_256, value: 11, name: "AES-CCM-16-64-256", key: 32, nonce: 13, tag: 8, aead: true},
	{alg: AlgAESCCM64_64_128, value: 12, name: "AES-CCM-64-64-128", key: 16, nonce: 7, tag: 8, aead: true},
	{alg: AlgAESCCM64_64_256, value: 13, name: "AES-CCM-64-64-256", key: 32, nonce: 7, tag: 8, aead: true},
	{alg: AlgChaCha20Poly1305, value: 24, name: "ChaCha20/Poly1305", key: 32, nonce: 12, tag: 16, aead: true},
	{alg: AlgAESCCM16_128_128, value: 30, name: "AES-CCM-16-128-128", key: 16, nonce: 13, tag: 16, aead: true},
	{alg: AlgAESCCM16_128_256, value: 31, name: "AES-CCM-16-128-256", key: 32, nonce: 13, tag: 16, aead: true},
	{alg: AlgAESCCM64_128_128, value: 32, name: "AES-CCM-64-128-128", key: 16, nonce: 7, tag: 16, aead: true},
	{alg: AlgAESCCM64_128_256, value: 33, name: "AES-CCM-64-128-256", key: 32, nonce: 7, tag: 16, aead: true},
	{alg: AlgA128CTR, value: -65534, name: "A128CTR", key: 16, nonce: 12},
	{alg: AlgA192CTR, value: -65533, name: "A192CTR", key: 24, nonce: 12},
	{alg: AlgA256CTR, value: -65532, name: "A256CTR", key: 32, nonce: 12},
	{alg: AlgA128CBC, value: -65531, name: "A128CBC"},
	{alg: AlgA192CBC, value: -65530, name: "A192CBC"},
	{alg: AlgA256CBC, value: -65529, name: "A256CBC"},
	{alg: AlgES256, value: -7, name: "ES256", sign: true},
	{alg: AlgEdDSA, value: -8, name: "EdDSA", sign: true},
	{alg: AlgES384, value: -35, name: "ES384", sign: true},
	{alg: AlgES512, value: -36, name: "ES512", sign: true},
	{alg: AlgESP256, value: -9, name: "ESP256", sign: true},
	{alg: AlgEd25519, value: -19, name: "Ed25519", sign: true},
	{alg: AlgESP384, value: -51, name: "ESP384", sign: true},
	{alg: AlgESP512, value: -52, name: "ESP512", sign: true},
	{alg: AlgEd448, value: -53, name: "Ed448", sign: true},
	{alg: AlgECDHSSHKDF256, value: -27, name: "ECDH-SS + HKDF-256", agree: true},
	{alg: AlgECDHSSHKDF512, value: -28, name: "ECDH-SS + HKDF-512", agree: true},
	{alg: AlgHMAC256_64, value: 4, name: "HMAC 256/64"},
	{alg: AlgHMAC256, value: 5, name: "HMAC 256/256", hmac: true},
	{alg: AlgHMAC384, value: 6, name: "HMAC 384/384", hmac: true},
	{alg: AlgHMAC512, value: 7, name: "HMAC 512/512", hmac: true},
	{alg: 0, name: "COSE algorithm 0"},
	{alg: -999, value: -999, name: "COSE algorithm -999"},
	{alg: -10, value: -10, name: "COSE algorithm -10"},
}

func TestAlgorithmRegistry(t *testing.T) {
	t.Parallel()
	for _, a := range algorithmTable {
		t.Run(a.name, func(t *testing.T) {
			if int64(a.alg) != a.value || a.alg.String() != a.name {
				t.Errorf("%d is %q", a.alg, a.alg)
			}
			params := AEADParams{a.key, a.nonce, a.tag}
			p, ok := a.alg.Cipher()
			if ok != (a.key > 0) || p != params {
				t.Errorf("Cipher: %+v %v", p, ok)
			}
			if !a.aead {
				params = AEADParams{}
			}
			p, ok = a.alg.AEAD()
			if ok != a.aead || p != params || a.alg.IsAEAD() != a.aead {
				t.Errorf("AEAD: %+v %v %v", p, ok, a.alg.IsAEAD())
			}
			if a.alg.IsSignature() != a.sign || a.alg.IsKeyAgreement() != a.agree || a.alg.IsHMAC() != a.hmac {
				t.Error("of another kind")
			}
			if (a.alg.MaxPlaintext() > 0) != (a.key > 0) {
				t.Errorf("longest plaintext %d", a.alg.MaxPlaintext())
			}
		})
	}
}

func TestOneAlgorithmOfEachMandatoryKind(t *testing.T) {
	t.Parallel()
	t.Run("OS-5-1 AES-CCM-16-64-128 has 16-byte keys, a 13-byte nonce and an 8-byte tag", func(t *testing.T) {
		if p, ok := Algorithm(10).AEAD(); !ok || p != (AEADParams{KeySize: 16, NonceSize: 13, TagSize: 8}) {
			t.Errorf("%+v %v", p, ok)
		}
	})
	t.Run("OS-5.2-3 no AEAD has a nonce below 7 bytes", func(t *testing.T) {
		for a := Algorithm(-70000); a < 1000; a++ {
			if p, ok := a.Cipher(); ok && p.NonceSize < 7 {
				t.Errorf("%v has %d", a, p.NonceSize)
			}
		}
	})
	t.Run("GO-2.1.7-5,GO-2.1.7-2,GO-2.1.7-6 the only unauthenticated ciphers are A128CTR, A192CTR and A256CTR", func(t *testing.T) {
		var names []string
		for a := Algorithm(-70000); a < 1000; a++ {
			if _, ok := a.Cipher(); ok && !a.IsAEAD() {
				names = append(names, a.String())
			}
		}
		if got := strings.Join(names, " "); got != "A128CTR A192CTR A256CTR" {
			t.Error(got)
		}
	})
}

func TestCurveRegistry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		crv   Curve
		value int64
		name  string
		kty   KeyType
		size  int
	}{
		{CurveP256, 1, "P-256", KeyTypeEC2, 32},
		{CurveP384, 2, "P-384", KeyTypeEC2, 48},
		{CurveP521, 3, "P-521", KeyTypeEC2, 66},
		{CurveX25519, 4, "X25519", KeyTypeOKP, 32},
		{CurveX448, 5, "X448", KeyTypeOKP, 56},
		{CurveEd25519, 6, "Ed25519", KeyTypeOKP, 32},
		{CurveEd448, 7, "Ed448", KeyTypeOKP, 57},
		{0, 0, "COSE curve 0", 0, 0},
		{8, 8, "COSE curve 8", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if int64(c.crv) != c.value || c.crv.String() != c.name || c.crv.KeyType() != c.kty || c.crv.size() != c.size {
				t.Errorf("%d %v %v %d", c.crv, c.crv, c.crv.KeyType(), c.crv.size())
			}
		})
	}
}

func TestFormatRegistry(t *testing.T) {
	t.Parallel()
	for f, name := range map[CredentialFormat]string{
		13: "kcwt", 14: "kccs", 24: "c5b", 25: "c5c", 32: "x5bag", 33: "x5chain", 99: "credential format 99",
	} {
		t.Run(name, func(t *testing.T) {
			if f.String() != name {
				t.Error(f.String())
			}
		})
	}
}

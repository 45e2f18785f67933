package cose

import (
	"fmt"
	"math"
	"strconv"
)

// Algorithm is a value of the IANA registry "COSE Algorithms". 0 is reserved and
// means "none" in this module.
type Algorithm int64

// Values of the registry "COSE Algorithms" that this module knows.
const (
	// Content encryption, AEAD (RFC 9053, Sections 4.1, 4.2 and 4.3).
	AlgA128GCM          Algorithm = 1
	AlgA192GCM          Algorithm = 2
	AlgA256GCM          Algorithm = 3
	AlgAESCCM16_64_128  Algorithm = 10
	AlgAESCCM16_64_256  Algorithm = 11
	AlgAESCCM64_64_128  Algorithm = 12
	AlgAESCCM64_64_256  Algorithm = 13
	AlgChaCha20Poly1305 Algorithm = 24
	AlgAESCCM16_128_128 Algorithm = 30
	AlgAESCCM16_128_256 Algorithm = 31
	AlgAESCCM64_128_128 Algorithm = 32
	AlgAESCCM64_128_256 Algorithm = 33

	// Content encryption without authentication (RFC 9459, Sections 4 and 5).
	AlgA128CTR Algorithm = -65534
	AlgA192CTR Algorithm = -65533
	AlgA256CTR Algorithm = -65532
	AlgA128CBC Algorithm = -65531
	AlgA192CBC Algorithm = -65530
	AlgA256CBC Algorithm = -65529

	// Signatures (RFC 9053, Sections 2.1 and 2.2).
	AlgES256 Algorithm = -7
	AlgEdDSA Algorithm = -8
	AlgES384 Algorithm = -35
	AlgES512 Algorithm = -36

	// Signatures whose identifier names the curve as well (RFC 9864, Section 2).
	AlgESP256  Algorithm = -9
	AlgEd25519 Algorithm = -19
	AlgESP384  Algorithm = -51
	AlgESP512  Algorithm = -52
	AlgEd448   Algorithm = -53

	// Direct key agreement, static-static (RFC 9053, Section 6.3.1).
	AlgECDHSSHKDF256 Algorithm = -27
	AlgECDHSSHKDF512 Algorithm = -28

	// Message authentication (RFC 9053, Section 3.1). They also name the HKDF of a
	// security context (RFC 8613, Section 3.2).
	AlgHMAC256_64 Algorithm = 4
	AlgHMAC256    Algorithm = 5
	AlgHMAC384    Algorithm = 6
	AlgHMAC512    Algorithm = 7
)

// AEADParams are the sizes of a content encryption algorithm, in bytes.
type AEADParams struct {
	KeySize   int
	NonceSize int
	TagSize   int
}

// cipherKind is the construction behind a content encryption algorithm.
type cipherKind uint8

const (
	kindNone cipherKind = iota
	kindCCM
	kindGCM
	kindChaCha
	kindCTR
)

// ctrNonceSize is the nonce of A*CTR in Group OSCORE
// (draft-ietf-core-oscore-groupcomm-28, Section 2.1.7): the IV is the nonce and
// four zero bytes.
const ctrNonceSize = 12

// content returns construction and sizes of a content encryption algorithm.
func (a Algorithm) content() (cipherKind, AEADParams) {
	switch a {
	case AlgA128GCM:
		return kindGCM, AEADParams{16, 12, 16}
	case AlgA192GCM:
		return kindGCM, AEADParams{24, 12, 16}
	case AlgA256GCM:
		return kindGCM, AEADParams{32, 12, 16}
	case AlgAESCCM16_64_128:
		return kindCCM, AEADParams{16, 13, 8}
	case AlgAESCCM16_64_256:
		return kindCCM, AEADParams{32, 13, 8}
	case AlgAESCCM64_64_128:
		return kindCCM, AEADParams{16, 7, 8}
	case AlgAESCCM64_64_256:
		return kindCCM, AEADParams{32, 7, 8}
	case AlgAESCCM16_128_128:
		return kindCCM, AEADParams{16, 13, 16}
	case AlgAESCCM16_128_256:
		return kindCCM, AEADParams{32, 13, 16}
	case AlgAESCCM64_128_128:
		return kindCCM, AEADParams{16, 7, 16}
	case AlgAESCCM64_128_256:
		return kindCCM, AEADParams{32, 7, 16}
	case AlgChaCha20Poly1305:
		return kindChaCha, AEADParams{32, 12, 16}
	case AlgA128CTR:
		return kindCTR, AEADParams{16, ctrNonceSize, 0}
	case AlgA192CTR:
		return kindCTR, AEADParams{24, ctrNonceSize, 0}
	case AlgA256CTR:
		return kindCTR, AEADParams{32, ctrNonceSize, 0}
	}
	return kindNone, AEADParams{}
}

// AEAD returns the sizes of an AEAD algorithm; ok is false for every other one.
func (a Algorithm) AEAD() (p AEADParams, ok bool) {
	kind, p := a.content()
	if kind == kindNone || kind == kindCTR {
		return AEADParams{}, false
	}
	return p, true
}

// Cipher returns the sizes of a content encryption algorithm: an AEAD, or AES-CTR,
// whose tag has size 0 and whose nonce has 12 bytes. ok is false for every other
// one, A*CBC included, which Group OSCORE forbids
// (draft-ietf-core-oscore-groupcomm-28, Section 2.1.7).
func (a Algorithm) Cipher() (p AEADParams, ok bool) {
	kind, p := a.content()
	return p, kind != kindNone
}

// MaxPlaintext returns the longest plaintext of a content encryption algorithm in
// bytes, beyond which its cipher panics; 0 if a is none.
func (a Algorithm) MaxPlaintext() uint64 {
	switch kind, p := a.content(); {
	case kind == kindCCM && p.NonceSize == 13: // the length field has 15-13 bytes
		return 1<<16 - 1
	case kind == kindCCM:
		return math.MaxInt64
	case kind == kindGCM: // NIST SP 800-38D, Section 5.2.1.1
		return (1<<32 - 2) * 16
	case kind == kindChaCha: // RFC 8439, Section 2.8
		return (1<<32 - 1) * 64
	case kind == kindCTR:
		return maxCTR
	}
	return 0
}

// checkLength returns ErrTooLong if n bytes are more than a can encrypt.
func (a Algorithm) checkLength(n int) error {
	if uint64(n) > a.MaxPlaintext() {
		return fmt.Errorf("%w: %d bytes for %v", ErrTooLong, n, a)
	}
	return nil
}

// IsAEAD reports whether a is an AEAD algorithm that this package implements.
func (a Algorithm) IsAEAD() bool {
	_, ok := a.AEAD()
	return ok
}

// IsSignature reports whether a is a signature algorithm that this package implements.
func (a Algorithm) IsSignature() bool { return a.signatureCurves()[0] != 0 }

// IsKeyAgreement reports whether a is a static-static key agreement that this
// package implements.
func (a Algorithm) IsKeyAgreement() bool { return a == AlgECDHSSHKDF256 || a == AlgECDHSSHKDF512 }

// IsHMAC reports whether a is an HMAC with a whole tag, and so names an HKDF.
func (a Algorithm) IsHMAC() bool { return a.hashSize() != 0 }

// hashSize returns the output size of an HMAC in bytes, 0 for anything else.
func (a Algorithm) hashSize() int {
	switch a {
	case AlgHMAC256:
		return 32
	case AlgHMAC384:
		return 48
	case AlgHMAC512:
		return 64
	}
	return 0
}

// signatureCurves returns the curves whose keys this package uses with a signature
// algorithm; both are 0 if it is none. Only EdDSA leaves the choice to the key; the
// algorithms of RFC 9864 name their curve, and ECDSA is used with the curve that goes
// with its hash.
func (a Algorithm) signatureCurves() [2]Curve {
	switch a {
	case AlgEdDSA:
		return [2]Curve{CurveEd25519, CurveEd448}
	case AlgEd25519:
		return [2]Curve{CurveEd25519}
	case AlgEd448:
		return [2]Curve{CurveEd448}
	case AlgES256, AlgESP256:
		return [2]Curve{CurveP256}
	case AlgES384, AlgESP384:
		return [2]Curve{CurveP384}
	case AlgES512, AlgESP512:
		return [2]Curve{CurveP521}
	}
	return [2]Curve{}
}

// signsOn reports whether a is a signature algorithm for keys on c.
func (a Algorithm) signsOn(c Curve) bool {
	of := a.signatureCurves()
	return c != 0 && (of[0] == c || of[1] == c)
}

// String returns the name in the registry, or the number if it is unknown.
func (a Algorithm) String() string {
	switch a {
	case AlgA128GCM:
		return "A128GCM"
	case AlgA192GCM:
		return "A192GCM"
	case AlgA256GCM:
		return "A256GCM"
	case AlgAESCCM16_64_128:
		return "AES-CCM-16-64-128"
	case AlgAESCCM16_64_256:
		return "AES-CCM-16-64-256"
	case AlgAESCCM64_64_128:
		return "AES-CCM-64-64-128"
	case AlgAESCCM64_64_256:
		return "AES-CCM-64-64-256"
	case AlgAESCCM16_128_128:
		return "AES-CCM-16-128-128"
	case AlgAESCCM16_128_256:
		return "AES-CCM-16-128-256"
	case AlgAESCCM64_128_128:
		return "AES-CCM-64-128-128"
	case AlgAESCCM64_128_256:
		return "AES-CCM-64-128-256"
	case AlgChaCha20Poly1305:
		return "ChaCha20/Poly1305"
	case AlgA128CTR:
		return "A128CTR"
	case AlgA192CTR:
		return "A192CTR"
	case AlgA256CTR:
		return "A256CTR"
	case AlgA128CBC:
		return "A128CBC"
	case AlgA192CBC:
		return "A192CBC"
	case AlgA256CBC:
		return "A256CBC"
	case AlgES256:
		return "ES256"
	case AlgEdDSA:
		return "EdDSA"
	case AlgES384:
		return "ES384"
	case AlgES512:
		return "ES512"
	case AlgESP256:
		return "ESP256"
	case AlgEd25519:
		return "Ed25519"
	case AlgESP384:
		return "ESP384"
	case AlgESP512:
		return "ESP512"
	case AlgEd448:
		return "Ed448"
	case AlgECDHSSHKDF256:
		return "ECDH-SS + HKDF-256"
	case AlgECDHSSHKDF512:
		return "ECDH-SS + HKDF-512"
	case AlgHMAC256_64:
		return "HMAC 256/64"
	case AlgHMAC256:
		return "HMAC 256/256"
	case AlgHMAC384:
		return "HMAC 384/384"
	case AlgHMAC512:
		return "HMAC 512/512"
	}
	return "COSE algorithm " + strconv.FormatInt(int64(a), 10)
}

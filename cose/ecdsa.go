package cose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// ecdsaHash returns the hash that goes with a NIST curve (RFC 9053, Section 2.1).
func ecdsaHash(c Curve) crypto.Hash {
	switch c {
	case CurveP384:
		return crypto.SHA384
	case CurveP521:
		return crypto.SHA512
	}
	return crypto.SHA256
}

func ecdsaDigest(c Curve, msg []byte) []byte {
	switch ecdsaHash(c) {
	case crypto.SHA384:
		s := sha512.Sum384(msg)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(msg)
		return s[:]
	}
	s := sha256.Sum256(msg)
	return s[:]
}

// signECDSA returns r || s, each in the curve's full size. The standard library
// derives the nonce from the key, the message and fresh randomness together, so that
// neither a weak source of randomness nor an injected fault gives the key away
// (draft-ietf-core-oscore-groupcomm-28, Section 10).
func signECDSA(c Curve, key *ecdsa.PrivateKey, msg []byte) ([]byte, error) {
	der, err := key.Sign(rand.Reader, ecdsaDigest(c, msg), ecdsaHash(c))
	if err != nil {
		return nil, fmt.Errorf("cose: %w", err)
	}
	return rawECDSA(c, der)
}

// rawECDSA turns the ASN.1 form of a signature into r || s (RFC 9053, Section 2.1).
func rawECDSA(c Curve, der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &rs)
	if err != nil {
		return nil, fmt.Errorf("cose: ecdsa signature: %w", err)
	}
	n := c.elliptic().Params().N
	if len(rest) > 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.Cmp(n) >= 0 || rs.S.Cmp(n) >= 0 {
		return nil, fmt.Errorf("%w: ecdsa signature out of range", ErrSignature)
	}
	sig := make([]byte, 2*c.size())
	rs.R.FillBytes(sig[:c.size()])
	rs.S.FillBytes(sig[c.size():])
	return sig, nil
}

// decompress returns y for an x-coordinate and the lowest bit of y, nil if there is
// no such point (SEC 1, Section 2.3.4).
func decompress(c Curve, x []byte, odd bool) []byte {
	head := byte(2)
	if odd {
		head = 3
	}
	_, y := elliptic.UnmarshalCompressed(c.elliptic(), append([]byte{head}, x...))
	if y == nil {
		return nil
	}
	return y.FillBytes(make([]byte, c.size()))
}

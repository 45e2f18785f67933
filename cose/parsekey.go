package cose

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// ParsePublicKey parses a COSE_Key map (RFC 9052, Section 7) that holds a public key:
// OKP on Ed25519, Ed448, X25519 or X448, EC2 on P-256, P-384 or P-521 with y in full
// or as a sign bit. Parameters it does not know are ignored, as COSE says; a private part
// (label -4) is refused, because such a map was never meant to be public.
//
// Errors: ErrKey, ErrUnsupportedKey.
func ParsePublicKey(coseKey []byte) (*PublicKey, error) {
	m, err := parseMap(coseKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if _, ok := m[int64(keyLabelD)]; ok {
		return nil, fmt.Errorf("%w: holds a private key", ErrKey)
	}
	kty, err := intLabel(m, keyLabelKty, "kty")
	if err != nil {
		return nil, err
	}
	if KeyType(kty) != KeyTypeOKP && KeyType(kty) != KeyTypeEC2 {
		return nil, fmt.Errorf("%w: key type %d", ErrUnsupportedKey, kty)
	}
	crv, err := intLabel(m, keyLabelCrv, "crv")
	if err != nil {
		return nil, err
	}
	k := &PublicKey{crv: Curve(crv)}
	if k.crv.KeyType() == 0 {
		return nil, fmt.Errorf("%w: %v", ErrUnsupportedKey, k.crv)
	}
	if k.Kty() != KeyType(kty) {
		return nil, fmt.Errorf("%w: key type %d with curve %v", ErrKey, kty, k.crv)
	}
	if k.x, err = cborx.Bytes(m[int64(keyLabelX)]); err != nil {
		return nil, fmt.Errorf("%w: x: %w", ErrKey, err)
	}
	if err := k.parseY(m[int64(keyLabelY)]); err != nil {
		return nil, err
	}
	if err := k.parseUse(m); err != nil {
		return nil, err
	}
	k.x = append([]byte{}, k.x...)
	if err := k.check(); err != nil {
		return nil, err
	}
	return k, nil
}

// parseMap decodes a map whose keys are integers or text.
func parseMap(b []byte) (map[any]cborx.RawMessage, error) {
	var m map[any]cborx.RawMessage
	if err := cborx.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("%w: null is not a map", cborx.ErrMalformed)
	}
	for k := range m {
		switch k.(type) {
		case int64, string:
		default:
			return nil, fmt.Errorf("%w: map key is neither integer nor text", cborx.ErrMalformed)
		}
	}
	return m, nil
}

// parseArray decodes an array.
func parseArray(b []byte) ([]cborx.RawMessage, error) {
	var items []cborx.RawMessage
	if err := cborx.Unmarshal(b, &items); err != nil {
		return nil, err
	}
	if items == nil {
		return nil, fmt.Errorf("%w: null is not an array", cborx.ErrMalformed)
	}
	return items, nil
}

func intLabel(m map[any]cborx.RawMessage, label int64, name string) (int64, error) {
	v, err := cborx.Int(m[label])
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrKey, name, err)
	}
	return v, nil
}

// parseY sets y of an EC2 key; a compressed one is computed from x.
func (k *PublicKey) parseY(item []byte) error {
	if k.Kty() == KeyTypeOKP {
		if item != nil {
			return fmt.Errorf("%w: y in an OKP key", ErrKey)
		}
		return nil
	}
	odd, err := cborx.Bool(item)
	if err != nil { // not compressed
		y, err := cborx.Bytes(item)
		if err != nil {
			return fmt.Errorf("%w: y: %w", ErrKey, err)
		}
		k.y = append([]byte{}, y...)
		return nil
	}
	if len(k.x) != k.crv.size() {
		return fmt.Errorf("%w: x of %d bytes on %v", ErrKey, len(k.x), k.crv)
	}
	k.y = decompress(k.crv, k.x, odd)
	if k.y == nil {
		return fmt.Errorf("%w: point is not on %v", ErrKey, k.crv)
	}
	return nil
}

// parseUse reads what the key restricts itself to, and checks kid and Base IV.
func (k *PublicKey) parseUse(m map[any]cborx.RawMessage) error {
	for label, name := range map[int64]string{keyLabelKid: "kid", keyLabelBaseIV: "Base IV"} {
		if item, ok := m[label]; ok {
			if _, err := cborx.Bytes(item); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrKey, name, err)
			}
		}
	}
	if item, ok := m[int64(keyLabelAlg)]; ok {
		alg, err := cborx.Int(item)
		if err != nil {
			return fmt.Errorf("%w: alg: %w", ErrKey, err)
		}
		if alg == 0 {
			return fmt.Errorf("%w: alg 0 is reserved", ErrKey)
		}
		k.alg = Algorithm(alg)
	}
	if item, ok := m[int64(keyLabelKeyOps)]; ok {
		var ops []cborx.RawMessage
		if err := cborx.Unmarshal(item, &ops); err != nil || len(ops) == 0 {
			return fmt.Errorf("%w: key_ops is not an array of operations", ErrKey)
		}
		for _, o := range ops {
			op, err := cborx.Int(o)
			if err != nil {
				return fmt.Errorf("%w: key_ops: %w", ErrKey, err)
			}
			k.keyOps = append(k.keyOps, op)
		}
	}
	return nil
}

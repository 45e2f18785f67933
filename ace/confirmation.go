package ace

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// Confirmation says which key a token is bound to: the value of req_cnf, cnf and rs_cnf in messages and of the claim cnf
// (RFC 8747, Section 3.1; RFC 9201, Section 3; RFC 9203, Section 3.2). Exactly one field is set. The OSCORE profile issues the
// first, and the second when rights are updated; the others are of other profiles.
type Confirmation struct {
	OSC          *OSCOREInputMaterial // osc
	KID          []byte               // kid: the id of an input material, or of a key both sides know. It need not be unique
	Key          secret.Hidden        // COSE_Key, encoded, which may be a symmetric one; see [ParsePoPKey]
	EncryptedKey []byte               // Encrypted_COSE_Key, encoded; see [OpenKey]
}

// secretInClear says whether c holds a secret key that is not encrypted by itself.
func (c *Confirmation) secretInClear() bool {
	if c == nil {
		return false
	}
	if c.Key.IsZero() {
		return c.OSC != nil
	}
	k, err := ParsePoPKey(c.Key.Bytes())
	return err != nil || k.Public == nil
}

func (c *Confirmation) marshal() []byte {
	if c == nil {
		return nil
	}
	var w wire.Writer
	switch {
	case c.OSC != nil:
		w.Raw(cnfOSC, c.OSC.marshal())
	case c.KID != nil:
		w.Bytes(cnfKID, c.KID)
	case c.EncryptedKey != nil:
		w.Raw(cnfEncryptedKey, c.EncryptedKey)
	default:
		w.Raw(cnfCOSEKey, c.Key.Bytes())
	}
	return w.Encode()
}

// parseConfirmation reads the map. Members it does not know are skipped (RFC 8747, Section 3.1); a map with none or several of
// those it knows is malformed.
func parseConfirmation(b []byte) (*Confirmation, error) {
	r := wire.NewReader(b)
	c := &Confirmation{}
	n := 0
	for _, k := range []int64{cnfCOSEKey, cnfEncryptedKey, cnfKID, cnfOSC} {
		if r.Has(k) {
			n++
		}
	}
	if n != 1 {
		r.Failf("cnf with %d keys", n)
	}
	if raw := r.Raw(cnfOSC); raw != nil {
		m, err := parseMaterial(raw)
		if err != nil {
			return nil, fmt.Errorf("osc: %w", err)
		}
		c.OSC = m
	}
	c.KID = r.Bytes(cnfKID)
	if len(c.KID) > maxMaterialID {
		r.Failf("kid of %d bytes", len(c.KID))
	}
	c.Key = secret.Hide(r.Raw(cnfCOSEKey))
	if !c.Key.IsZero() && !wire.IsMap(c.Key.Bytes()) {
		r.Failf("COSE_Key is no map")
	}
	c.EncryptedKey = r.Raw(cnfEncryptedKey)
	if c.EncryptedKey != nil && !wire.IsArray(c.EncryptedKey) {
		r.Failf("Encrypted_COSE_Key is no COSE_Encrypt0 or COSE_Encrypt")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// SealKey encrypts an encoded COSE_Key of a symmetric key into an Encrypted_COSE_Key, by which a token that everybody can read
// carries it (RFC 8747, Section 3.3): an untagged COSE_Encrypt0. iv must never repeat with the key k.
func SealKey(k TokenKey, iv, coseKey []byte) (*Confirmation, error) {
	if _, err := ParsePoPKey(coseKey); err != nil {
		return nil, err
	}
	sealed, err := cose.SealEncrypt0(k.Alg, k.Key.Bytes(), k.KID, iv, nil, coseKey)
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	return &Confirmation{EncryptedKey: sealed}, nil
}

// OpenKey opens the Encrypted_COSE_Key of c, a COSE_Encrypt0, and reads the key in it. Errors wrap [ErrPoPKey].
func (c *Confirmation) OpenKey(k TokenKey) (*PoPKey, error) {
	m, err := cose.ParseEncrypt0(c.EncryptedKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPoPKey, err)
	}
	b, err := m.Open(k.Key.Bytes(), nil)
	if err != nil || m.Alg != k.Alg {
		return nil, fmt.Errorf("%w: it does not decrypt", ErrPoPKey)
	}
	return ParsePoPKey(b)
}

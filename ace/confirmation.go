package ace

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// Confirmation says which key a token is bound to: the value of req_cnf and cnf in messages and of the claim cnf (RFC 8747,
// Section 3.1; RFC 9201, Section 3; RFC 9203, Section 3.2). Exactly one field is set; the first is all the OSCORE profile
// issues, the second names earlier material when rights are updated.
type Confirmation struct {
	OSC *OSCOREInputMaterial // osc
	KID []byte               // kid: the id of an input material
	Key []byte               // COSE_Key, encoded; of other profiles
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
	default:
		w.Raw(cnfCOSEKey, c.Key)
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
	c.Key = r.Raw(cnfCOSEKey)
	if c.Key != nil && !wire.IsMap(c.Key) {
		r.Failf("COSE_Key is no map")
	}
	if r.Has(cnfEncryptedKey) {
		r.Failf("Encrypted_COSE_Key is not supported")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

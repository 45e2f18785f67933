package oscore

import (
	"fmt"

	"github.com/cohort-iot/cohort/cose"
)

// QuartetSize is the length of what Quartet returns, in bytes.
const QuartetSize = 16

// Quartet stands for Master Secret, Master Salt, ID Context and Sender ID:
// two contexts have the same if and only if all four are the same. Whoever
// keeps contexts must refuse a second one with the same quartet, since both
// would use the same nonces with the same Sender Key (RFC 8613, Section 3.3).
// It tells nothing about the secret and may be stored.
func (c *Context) Quartet() [QuartetSize]byte { return c.quartet }

// setQuartet derives the quartet as if it were a key of no algorithm, whatever
// the algorithms of the context are.
func (c *Context) setQuartet(p Params) error {
	b, err := DeriveKey(cose.AlgHMAC256, p.MasterSecret, p.MasterSalt, c.senderID, c.idContext, 0, "Quartet", QuartetSize)
	if err != nil {
		return fmt.Errorf("derive quartet: %w", err)
	}
	copy(c.quartet[:], b)
	return nil
}

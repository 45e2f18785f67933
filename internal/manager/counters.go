package manager

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/keystore"
)

// counters is the manager's own record. Every number in it only grows; each is
// raised in the transaction that first uses it, so nothing is given out twice.
type counters struct {
	Schema     uint8  `cbor:"0,keyasint"`
	NextGroup  uint64 `cbor:"1,keyasint"`
	NextClient uint64 `cbor:"2,keyasint"`
	NextToken  uint64 `cbor:"3,keyasint"`
	NextAssoc  uint64 `cbor:"4,keyasint"`
	NextGid    uint64 `cbor:"5,keyasint"`
	GidPrefix  []byte `cbor:"6,keyasint"`
	// AssocFloor drops every association with a lower number, in one write: what a
	// restart does when the store cannot be shown to be the newest.
	AssocFloor uint64 `cbor:"7,keyasint"`
}

func (c *counters) schema() uint8 { return c.Schema }

// counters reads the record; the zero record of a new store is made by Start.
func (r reader) counters() (*counters, error) {
	c, err := load[counters](r, nameManager())
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, fault(KindUnavailable, err, "the Group Manager has not been started on this store")
	}
	return c, err
}

func (t *txn) putCounters(c *counters) error { return t.put(nameManager(), c) }

// bump raises every counter by a jump that no lost tail of a log can contain:
// what a restore from a backup needs, so that nothing given out after the backup
// was made is given out again.
func (c *counters) bump() {
	const jump = 1 << 20
	c.NextGroup += jump
	c.NextClient += jump
	c.NextToken += jump
	c.NextAssoc += jump
	c.NextGid += jump
	c.AssocFloor = c.NextAssoc
}

func checkSchema(v uint8, n keystore.Name) error {
	if v == 0 || v > recordSchema {
		return fmt.Errorf("record %v has layout %d, this program knows 1 to %d", n, v, recordSchema)
	}
	return nil
}

package groupcomm

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// MarshalStaleSIDs returns the Sender IDs that were given up since the version a member asked about, as a bare array of
// Content-Format 60 (ace-key-groupcomm-oscore, Section 11.3.1). Nil, for when the Group Manager no longer knows them all, gives
// nil: a response without payload.
func MarshalStaleSIDs(ids [][]byte) []byte {
	if ids == nil {
		return nil
	}
	return wire.AppendArrayOf(nil, ids, cborx.AppendBytes)
}

// ParseStaleSIDs reads what [MarshalStaleSIDs] returns. A payload of no bytes gives nil, on which a member forgets every
// credential and Recipient Context of the group; an empty list is not nil.
func ParseStaleSIDs(b []byte) ([][]byte, error) {
	if len(b) == 0 {
		return nil, nil
	}
	ids, err := wire.ArrayOf(b, wire.Bytes)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if len(id) > maxIdentifier {
			return nil, fmt.Errorf("%w: a Sender ID of %d bytes", ErrMalformed, len(id))
		}
		ids[i] = append([]byte{}, id...)
	}
	return ids, nil
}

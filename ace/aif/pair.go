package aif

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// ErrAIF is wrapped when authorization information cannot be read.
var ErrAIF = errors.New("unknown authorization information")

// Pair is one element of the generic form [* [Toid, Tperm]] (RFC 9237, Section 2): each an encoded CBOR item.
type Pair struct {
	Toid, Tperm []byte
}

// MaxPairs bounds the pairs of one list.
const MaxPairs = 256

// Parse reads a list. An empty one grants nothing. The results alias b.
func Parse(b []byte) ([]Pair, error) {
	if err := cborx.Wellformed(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAIF, err)
	}
	items, err := wire.Array(b)
	if err == nil && len(items) > MaxPairs {
		err = fmt.Errorf("more than %d pairs", MaxPairs)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAIF, err)
	}
	list := make([]Pair, len(items))
	for i, item := range items {
		pair, err := wire.Array(item)
		if err != nil || len(pair) != 2 {
			return nil, fmt.Errorf("%w: element %d is not a pair", ErrAIF, i)
		}
		list[i] = Pair{pair[0], pair[1]}
	}
	return list, nil
}

// Marshal returns the list. It is what the parameter and the claim scope hold in a byte string (RFC 9200, Section 5.8.1).
func Marshal(list []Pair) []byte {
	return wire.AppendArrayOf(nil, list, func(dst []byte, p Pair) []byte {
		return append(append(cborx.AppendArray(dst, 2), p.Toid...), p.Tperm...)
	})
}

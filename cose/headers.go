package cose

import (
	"fmt"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// headers are the two buckets of header parameters of a COSE message (RFC 9052,
// Section 3). No label is in both.
type headers struct {
	protected, unprotected map[any]cborx.RawMessage
}

// parseHeaders decodes the content of the protected byte string, of which an empty
// one stands for the empty map, and the unprotected map. A parameter crit is refused:
// nothing here understands what it could demand.
func parseHeaders(protected, unprotected []byte) (h headers, err error) {
	if len(protected) > 0 {
		if h.protected, err = parseMap(protected); err != nil {
			return h, fmt.Errorf("protected: %w", err)
		}
	}
	if h.unprotected, err = parseMap(unprotected); err != nil {
		return h, fmt.Errorf("unprotected: %w", err)
	}
	for label := range h.unprotected {
		if _, ok := h.protected[label]; ok {
			return h, fmt.Errorf("%w: header parameter %v is there twice", cborx.ErrMalformed, label)
		}
	}
	for _, bucket := range []map[any]cborx.RawMessage{h.protected, h.unprotected} {
		if _, ok := bucket[int64(headerLabelCrit)]; ok {
			return h, fmt.Errorf("%w: critical header parameters", cborx.ErrMalformed)
		}
	}
	return h, nil
}

// only refuses parameters other than those named.
func (h headers) only(labels ...int64) error {
	for _, bucket := range []map[any]cborx.RawMessage{h.protected, h.unprotected} {
	next:
		for label := range bucket {
			for _, l := range labels {
				if label == l {
					continue next
				}
			}
			return fmt.Errorf("%w: header parameter %v", cborx.ErrMalformed, label)
		}
	}
	return nil
}

// alg returns the algorithm, which must be a protected integer.
func (h headers) alg() (Algorithm, error) {
	alg, err := cborx.Int(h.protected[int64(headerLabelAlg)])
	if err != nil {
		return 0, fmt.Errorf("alg: %w", err)
	}
	return Algorithm(alg), nil
}

// bytes returns a parameter that is a byte string, from either bucket; nil if absent.
func (h headers) bytes(label int64) ([]byte, error) {
	item, ok := h.protected[label]
	if !ok {
		item, ok = h.unprotected[label]
	}
	if !ok {
		return nil, nil
	}
	v, err := cborx.Bytes(item)
	if err != nil {
		return nil, fmt.Errorf("header parameter %v: %w", label, err)
	}
	return v, nil
}

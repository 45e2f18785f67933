package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
)

// nonce reads a nonce of 1 to maxNonce bytes; nil if absent.
func nonce(r *wire.Reader, key int64) []byte { return sized(r, key, 1, maxNonce) }

// sized reads a byte string of lo to hi bytes; nil if absent.
func sized(r *wire.Reader, key int64, lo, hi int) []byte {
	b := r.Bytes(key)
	if b != nil && (len(b) < lo || len(b) > hi) {
		r.Failf("member %d: %d bytes", key, len(b))
		return nil
	}
	return b
}

// identifiers reads an array of Gids or Sender IDs; nil if absent.
func identifiers(r *wire.Reader, key int64) [][]byte { return sizedArray(r, key, maxIdentifier) }

// sizedArray reads an array of byte strings of at most hi bytes each; nil if absent.
func sizedArray(r *wire.Reader, key int64, hi int) [][]byte {
	ids := r.BytesArray(key)
	for _, id := range ids {
		if len(id) > hi {
			r.Failf("member %d: an element of %d bytes", key, len(id))
			return nil
		}
	}
	return ids
}

// uri reads a text string of at most maxURI bytes; empty if absent.
func uri(r *wire.Reader, key int64) string {
	s, ok := r.Text(key)
	if ok && (s == "" || len(s) > maxURI) {
		r.Failf("member %d: a URI of %d bytes", key, len(s))
		return ""
	}
	return s
}

// algorithm reads a COSE algorithm; 0 if absent. Names of algorithms are refused: every registered one has a number.
func algorithm(r *wire.Reader, key int64) cose.Algorithm {
	v, ok := r.Int(key)
	if ok && v == 0 {
		r.Failf("member %d: algorithm 0 is reserved", key)
	}
	return cose.Algorithm(v)
}

// constant reads an integer that can only be want. An absent one is accepted: Require is the caller's.
func constant(r *wire.Reader, key, want int64) {
	if v, ok := r.Int(key); ok && v != want {
		r.Failf("member %d: %d is not supported", key, v)
	}
}

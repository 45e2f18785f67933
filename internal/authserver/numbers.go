package authserver

import (
	"encoding/binary"
	"fmt"
)

// numberID returns a number, from 1, as identifier: big endian, without leading zeros.
func numberID(n uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	i := 0
	for i < len(b)-1 && b[i] == 0 {
		i++
	}
	return append([]byte(nil), b[i:]...)
}

// idNumber gives back the number of an identifier that [numberID] made; false if it made none such.
func idNumber(id []byte) (uint64, bool) {
	if len(id) == 0 || len(id) > 8 || id[0] == 0 {
		return 0, false
	}
	var b [8]byte
	copy(b[8-len(id):], id)
	return binary.BigEndian.Uint64(b[:]), true
}

// counterSize is the size of the counter in a token's nonce, in bytes: 2^40 tokens for one key.
const counterSize = 5

// maxNonces is how many nonces one key may use.
const maxNonces = 1<<(8*counterSize) - 1

// tokenNonce returns the nonce of the n-th token sealed by a key: the counter, which makes it unique as long as the store only
// goes forward, and random bytes, which do if it was set back.
func tokenNonce(n uint64, random []byte) ([]byte, error) {
	if n == 0 || n > maxNonces {
		return nil, fmt.Errorf("%w: the token key has sealed as many tokens as it may; rotate it", ErrInvalid)
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return append(b[8-counterSize:], random...), nil
}

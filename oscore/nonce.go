package oscore

// nonceOverhead is what a nonce holds beside the identifier: its length (one
// byte) and the Partial IV (five).
const nonceOverhead = 6

// MinNonceSize is the shortest nonce an AEAD algorithm may have, in bytes
// (RFC 8613, Section 5.2).
const MinNonceSize = 7

// MaxIDSize is the longest Sender or Recipient ID in bytes for an AEAD
// algorithm with nonces of nonceSize bytes (RFC 8613, Section 3.3).
func MaxIDSize(nonceSize int) int { return nonceSize - nonceOverhead }

// AppendNonce appends the AEAD nonce of nonceSize bytes (RFC 8613, Section
// 5.2): the length of id, id and piv, each padded with zeros on the left to
// nonceSize-6 and 5 bytes, all of it XORed with the first nonceSize bytes of
// commonIV (Group OSCORE has one Common IV for algorithms with different
// nonces). id is the Sender ID of the endpoint that made the Partial IV. It
// panics if id is longer than MaxIDSize, piv than 5 bytes, or commonIV shorter
// than nonceSize.
func AppendNonce(dst []byte, nonceSize int, id, piv, commonIV []byte) []byte {
	if len(id) > MaxIDSize(nonceSize) || len(piv) > 5 || len(commonIV) < nonceSize {
		panic("oscore: nonce input of illegal length")
	}
	at := len(dst)
	dst = append(dst, commonIV[:nonceSize]...)
	n := dst[at:]
	n[0] ^= byte(len(id))
	xor(n[nonceSize-5-len(id):], id)
	xor(n[nonceSize-len(piv):], piv)
	return dst
}

func xor(dst, src []byte) {
	for i, c := range src {
		dst[i] ^= c
	}
}

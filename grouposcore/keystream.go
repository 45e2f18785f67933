package grouposcore

import (
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// appendKeystreamInfo appends info = [id, id_context, type, L] of Section 4.2:
// id is the Sender ID of whoever made the Partial IV in use, id_context the Gid
// that protects this message, L the signature size in bytes.
func appendKeystreamInfo(dst, id, gid []byte, request bool, size int) []byte {
	dst = cborx.AppendArray(dst, 4)
	dst = cborx.AppendBytes(dst, id)
	dst = cborx.AppendBytes(dst, gid)
	dst = cborx.AppendBool(dst, request)
	return cborx.AppendUint(dst, uint64(size))
}

// xorKeystream encrypts or decrypts a countersignature in place (Section 4.2).
// The salt is the Partial IV as it travels, so nothing of it can be prepared.
func (c *common) xorKeystream(s *scratch, sig, piv, id []byte, request bool) error {
	s.info = appendKeystreamInfo(s.info[:0], id, c.gid, request, len(sig))
	ks, err := cose.AppendHKDF(s.keystream[:0], c.hkdf, piv, c.seKey, s.info, len(sig))
	if err != nil {
		return err
	}
	s.keystream = ks
	for i := range sig {
		sig[i] ^= ks[i]
	}
	return nil
}

package oscore

import (
	"errors"
	"fmt"
	"io"

	"github.com/cohort-iot/cohort/cose"
)

// ErrKeyLog is returned for a context that Wireshark cannot decrypt.
var ErrKeyLog = errors.New("context cannot be expressed in a key log")

// InsecureKeyLog writes p as a line of the table "oscore_contexts", which
// Wireshark reads from a file of that name in its configuration directory: with
// it everybody can decrypt the messages of the context, in both directions. It
// is for finding faults; nothing in this module calls it.
//
// Contexts of other algorithms than AES-CCM-16-64-128 and HKDF with SHA-256 are
// ErrKeyLog.
func (p Params) InsecureKeyLog(w io.Writer) error {
	if err := p.Validate(); err != nil {
		return err
	}
	var alg string
	switch p.AEAD {
	case 0, cose.AlgAESCCM16_64_128:
		alg = "AES-CCM-16-64-128 (CCM*)"
	default:
		return fmt.Errorf("%w: %v", ErrKeyLog, p.AEAD)
	}
	if p.HKDF != 0 && p.HKDF != cose.AlgHMAC256 {
		return fmt.Errorf("%w: %v", ErrKeyLog, p.HKDF)
	}
	_, err := fmt.Fprintf(w, "\"%x\",\"%x\",\"%x\",\"%x\",\"%x\",\"%s\"\n",
		p.SenderID, p.RecipientID, []byte(p.MasterSecret), []byte(p.MasterSalt), p.IDContext, alg)
	return err
}

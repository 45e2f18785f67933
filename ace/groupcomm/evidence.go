package groupcomm

import (
	"crypto/hmac"
	"fmt"

	"github.com/cohort-iot/cohort/cose"
)

// evidenceMAC is the length in bytes of evidence in groups that use only the pairwise mode (ace-key-groupcomm-oscore,
// Section 6.1).
const evidenceMAC = 8

// SignEvidence makes evidence for a group that uses signatures: the signature over the input itself, without any COSE
// structure around it, by the group's signature algorithm (ace-key-groupcomm-oscore, Section 6.1).
func SignEvidence(key *cose.PrivateKey, alg cose.Algorithm, input []byte) ([]byte, error) {
	sig, err := key.Sign(alg, input)
	if err != nil {
		return nil, fmt.Errorf("sign evidence: %w", err)
	}
	return sig, nil
}

// VerifySignature checks what [SignEvidence] makes. Errors wrap [ErrEvidence].
func VerifySignature(pub *cose.PublicKey, alg cose.Algorithm, input, evidence []byte) error {
	if err := pub.Verify(alg, input, evidence); err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return nil
}

// MACEvidence makes evidence for a group that uses only the pairwise mode: 8 bytes of HKDF SHA-256, whatever the group's HKDF
// is, from the Diffie-Hellman secret of one's private and the peer's public key, with an empty salt and the input as info
// (ace-key-groupcomm-oscore, Section 6.1).
func MACEvidence(key *cose.PrivateKey, peer *cose.PublicKey, input []byte) ([]byte, error) {
	ikm, err := key.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	defer ikm.Wipe()
	mac, err := cose.HKDF(cose.AlgHMAC256, nil, ikm, input, evidenceMAC)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return mac, nil
}

// VerifyMAC checks what [MACEvidence] makes, with one's own private and the peer's public key. Errors wrap [ErrEvidence].
func VerifyMAC(key *cose.PrivateKey, peer *cose.PublicKey, input, evidence []byte) error {
	want, err := MACEvidence(key, peer, input)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if !hmac.Equal(want, evidence) {
		return fmt.Errorf("%w: wrong MAC", ErrEvidence)
	}
	return nil
}

package manager

import (
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// eligible reads a credential and checks that it fits the group: format, curve
// and algorithm (RFC 9594, Section 4.3.1; draft-ietf-core-oscore-groupcomm-28,
// Appendix D). Keys on which a member could not agree on pairwise keys, such as
// Ed25519 keys of small order, do not parse.
func (c GroupConfig) eligible(raw []byte) (*cose.Credential, error) {
	cred, err := cose.ParseCredential(c.CredentialFormat, raw)
	if err != nil {
		return nil, fault(KindCredential, err, "the credential cannot be read in the group's format")
	}
	pub := cred.PublicKey()
	if pub.Curve() != c.keyCurve() {
		return nil, refuse(KindCredential, "the group uses keys on curve %d, not %d", c.keyCurve(), pub.Curve())
	}
	if alg := pub.Alg(); alg != 0 && alg != c.Signature && alg != c.KeyAgreement {
		return nil, refuse(KindCredential, "the key is for %v only", alg)
	}
	return cred, nil
}

// verifyEvidence checks a member's proof: a signature, or the MAC of a group
// that uses only the pairwise mode.
func (s *Service) verifyEvidence(c GroupConfig, gm *identity, pub *cose.PublicKey, input, evidence []byte) error {
	var err error
	if c.Modes.Signing() {
		err = groupcomm.VerifySignature(pub, c.Signature, input, evidence)
	} else {
		err = groupcomm.VerifyMAC(gm.private, pub, input, evidence)
	}
	s.meter.Proved(err == nil)
	if err != nil {
		return fault(KindProof, err, "the proof of possession does not verify")
	}
	return nil
}

// prove makes the Group Manager's own proof over the peer's nonce and a fresh
// one. pub is the peer's key, needed in groups without signatures only.
func (s *Service) prove(c GroupConfig, gm *identity, pub *cose.PublicKey, nonce []byte) (groupcomm.KDCCred, error) {
	fresh, err := s.random(challengeSize)
	if err != nil {
		return groupcomm.KDCCred{}, err
	}
	input := groupcomm.KDCPoP(nonce, fresh)
	var ev []byte
	if c.Modes.Signing() {
		ev, err = groupcomm.SignEvidence(gm.private, c.Signature, input)
	} else {
		ev, err = groupcomm.MACEvidence(gm.private, pub, input)
	}
	if err != nil {
		return groupcomm.KDCCred{}, fault(KindInternal, err, "")
	}
	return groupcomm.KDCCred{Credential: gm.credential.Bytes(), Nonce: fresh, Evidence: ev}, nil
}

func deriveSEKey(h *head, size int) (secret.Bytes, error) {
	key, err := oscore.DeriveKey(h.Config.HKDF, h.Secret, h.Salt, []byte{}, h.Gid, h.Config.GroupEnc, "SEKey", size)
	if err != nil {
		return nil, fault(KindInternal, err, "")
	}
	return key, nil
}

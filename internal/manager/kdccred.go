package manager

import (
	"context"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

// KDCCred gives a member the Group Manager's credential with a fresh proof over
// the nonce of the member's latest Join Request (RFC 9594, Section 4.5.1).
func (s *Service) KDCCred(_ context.Context, c Caller, group string) (*groupcomm.KDCCred, error) {
	var a *access
	err := s.serve(c, group, func(_ reader, got *access) error {
		a = got
		if err := a.onlyMember(); err != nil {
			return err
		}
		s.shows(a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var pub *cose.PublicKey
	if a.member.Credential != nil {
		cred, err := a.head.Config.eligible(a.member.Credential)
		if err != nil {
			return nil, err
		}
		pub = cred.PublicKey()
	}
	return s.kdcCred(a, pub, a.member.Challenge)
}

// VerifierKDCCred gives a signature verifier the Group Manager's credential with
// a signature over the nonce of its request
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 9.5.2).
func (s *Service) VerifierKDCCred(_ context.Context, c Caller, group string, payload []byte) (*groupcomm.KDCCred, error) {
	var a *access
	err := s.serve(c, group, func(_ reader, got *access) error {
		a = got
		return a.onlyVerifier()
	})
	if err != nil {
		return nil, err
	}
	q, err := groupcomm.ParseKDCCredRequest(payload)
	if err != nil {
		return nil, fault(KindMalformed, err, "the request cannot be read")
	}
	return s.kdcCred(a, nil, q.Nonce)
}

func (s *Service) kdcCred(a *access, pub *cose.PublicKey, nonce []byte) (*groupcomm.KDCCred, error) {
	gm, err := s.identity(a.head.slot())
	if err != nil {
		return nil, err
	}
	k, err := s.prove(a.head.Config, gm, pub, nonce)
	if err != nil {
		return nil, err
	}
	return &k, nil
}

package manager

import (
	"bytes"
	"context"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// UpdateCredential replaces a member's credential
// (RFC 9594, Section 4.9.1; draft-ietf-ace-key-groupcomm-oscore-21, Section 9.4).
// The proof is over the scope of the member's latest Join Request, the latest
// N_S and the nonce of this request. Evidence that is empty never verifies.
func (s *Service) UpdateCredential(ctx context.Context, c Caller, group, node string, payload []byte) error {
	var a *access
	err := s.serve(c, group, func(_ reader, got *access) error {
		a = got
		if err := a.onlyNode(node); err != nil {
			return err
		}
		if err := a.head.joinable(); err != nil {
			return err
		}
		if !a.member.HasSender {
			return refuse(KindRole, "a monitor has no credential in the group")
		}
		return nil
	})
	if err != nil {
		return err
	}
	q, err := groupcomm.ParseCredentialUpdate(payload)
	if err != nil {
		return fault(KindMalformed, err, "the request cannot be read")
	}
	gm, err := s.identity(a.head.slot())
	if err != nil {
		return err
	}
	if a.token.Challenge == nil {
		fresh, err := s.renewChallenge(ctx, c)
		if err != nil {
			return err
		}
		return a.joinInfo(gm, fresh, "the challenge is no longer known, here is a new one")
	}
	cred, err := a.head.Config.eligible(q.Credential)
	if err != nil {
		return err
	}
	if len(q.Evidence) == 0 {
		return refuse(KindProof, "an update needs a proof of possession")
	}
	input := groupcomm.ClientPoP(a.member.Scope, a.token.Challenge, q.Nonce)
	if err := s.verifyEvidence(a.head.Config, gm, cred.PublicKey(), input, q.Evidence); err != nil {
		return err
	}
	checked := a
	return s.update(ctx, func(t *txn) error {
		a, err := t.access(c, group, t.now)
		if err != nil {
			return err
		}
		if err := a.onlyNode(node); err != nil {
			return err
		}
		if err := a.head.joinable(); err != nil {
			return err
		}
		if a.head.Revision != checked.head.Revision || !bytes.Equal(a.token.Challenge, checked.token.Challenge) ||
			!bytes.Equal(a.member.Scope, checked.member.Scope) || !a.member.HasSender {
			return fault(KindConflict, errStale, "")
		}
		a.member.Credential = bytes.Clone(q.Credential) // as delivered
		t.audit(AuditEvent{Event: "member.credential-updated", Group: group, Node: node, Client: a.client.label()})
		return t.putMember(a.member)
	})
}

package manager

import (
	"context"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// info is what a 4.00 to a join request tells about the group; challenge is a
// new N_S, or nil when the old one holds
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.2).
func (c GroupConfig) info(group string, gm *identity, challenge []byte) *groupcomm.JoinInfo {
	j := &groupcomm.JoinInfo{Challenge: challenge}
	if c.Modes.Signing() {
		j.Sign = &groupcomm.SignInfo{
			Groups: []string{group}, Algorithm: c.Signature, Params: groupcomm.SignParams(c.keyCurve()), CredentialFormat: c.CredentialFormat,
		}
	}
	if c.Modes.Pairwise() {
		j.ECDH = &groupcomm.ECDHInfo{
			Groups: []string{group}, Algorithm: c.KeyAgreement, Params: groupcomm.ECDHParams(c.agreementCurve()), CredentialFormat: c.CredentialFormat,
		}
	}
	if !c.Modes.Signing() {
		j.KDCDH = &groupcomm.KDCDHCred{Groups: []string{group}, CredentialFormat: c.CredentialFormat, Credential: gm.credential.Bytes()}
	}
	return j
}

// joinInfo makes the refusal that tells a joining node what it needs.
func (a *access) joinInfo(gm *identity, challenge []byte, detail string) *Error {
	return &Error{Kind: KindJoinInfo, Detail: detail, Info: a.head.Config.info(a.head.Name, gm, challenge).Marshal()}
}

// renewChallenge stores a new N_S for the caller's token, in place of any other,
// and gives it back.
func (s *Service) renewChallenge(ctx context.Context, c Caller) ([]byte, error) {
	fresh, err := s.random(challengeSize)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, func(t *txn) error {
		cl, tok, err := t.caller(c, t.now)
		if err != nil {
			return err
		}
		tok.Challenge = fresh
		t.audit(AuditEvent{Event: "token.challenged", Client: cl.label()})
		return t.putClient(cl)
	})
	return fresh, err
}

// challengeSize is the size of N_S and N_KDC in bytes: 8 is recommended
// (draft-ietf-ace-key-groupcomm-oscore-21, Sections 5.3 and 6.3).
const challengeSize = 8

// GroupInfos are the parameters of groups that authz-info tells a client whose
// token was accepted: an entry per group that the token names and that exists.
type GroupInfos struct {
	Sign  []groupcomm.SignInfo
	ECDH  []groupcomm.ECDHInfo
	KDCDH []groupcomm.KDCDHCred
}

// GroupInfos collects the parameters of the named groups; unknown ones are left out.
func (s *Service) GroupInfos(_ context.Context, groups []string) (GroupInfos, error) {
	var out GroupInfos
	for _, name := range groups {
		h, err := s.headOf(name)
		switch {
		case KindOf(err) == KindNotFound && err != nil:
			continue
		case err != nil:
			return GroupInfos{}, err
		case h.State == GroupDeleting:
			continue
		}
		gm, err := s.identity(h.slot())
		if err != nil {
			return GroupInfos{}, err
		}
		j := h.Config.info(name, gm, nil)
		if j.Sign != nil {
			out.Sign = append(out.Sign, *j.Sign)
		}
		if j.ECDH != nil {
			out.ECDH = append(out.ECDH, *j.ECDH)
		}
		if j.KDCDH != nil {
			out.KDCDH = append(out.KDCDH, *j.KDCDH)
		}
	}
	return out, nil
}

func (s *Service) headOf(name string) (h *head, err error) {
	err = s.view(func(r reader) error {
		h, err = r.group(name)
		return err
	})
	return h, err
}

package manager

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// JoinResult is the outcome of a join.
type JoinResult struct {
	Created  bool   // false: a member joined again without having left
	Node     string // its resource is under nodes of the group
	Response *groupcomm.JoinResponse
}

// joinAttempts is how often a join is tried when the state it was checked
// against changes before it is applied.
const joinAttempts = 3

// errStale says that the state changed between the check and the transaction.
var errStale = errors.New("the state changed meanwhile")

// Join makes the caller a member, or gives a member a new Sender ID and the
// current material (RFC 9594, Section 4.3.1;
// draft-ietf-ace-key-groupcomm-oscore-21, Sections 6.2 and 6.3). payload is what
// the request carried.
//
// The order of checks: token (KindUnauthorized, KindForbidden); group inactive
// (KindInactive), but an empty request learns the parameters in any state;
// format, roles and presence (KindJoinInfo); roles of the token (KindForbidden);
// challenge lost (KindJoinInfo with a new one); credential (KindCredential);
// evidence (KindProof); Sender ID (KindNoIndividualKey). Evidence is verified
// and made outside the transaction; what it rests on is read again inside.
func (s *Service) Join(ctx context.Context, c Caller, group string, payload []byte) (*JoinResult, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	var seen seenClient
	for range joinAttempts {
		p, err := s.prepareJoin(ctx, c, group, payload, &seen)
		if errors.Is(err, errStale) {
			continue
		}
		if err != nil {
			return nil, s.refused(c, group, "join", err)
		}
		out, err := s.applyJoin(ctx, p)
		if errors.Is(err, errStale) {
			continue
		}
		return out, s.refused(c, group, "join", err)
	}
	return nil, refuse(KindConflict, "the group changes too fast to join")
}

// joinPlan is a checked request: what it asks, what it was checked against, and
// both proofs.
type joinPlan struct {
	caller     Caller
	request    *groupcomm.JoinRequest
	roles      ace.Roles
	credential []byte // nil: monitor only
	control    string
	kdc        groupcomm.KDCCred

	group     string
	revision  uint64
	token     uint64
	keys      uint64 // generation of the Group Manager's key
	challenge []byte
	rejoins   uint64 // member number when checked; 0: not a member
	client    *seenClient
	kept      bool // the credential is the stored one
}

func (s *Service) prepareJoin(ctx context.Context, c Caller, group string, payload []byte, seen *seenClient) (*joinPlan, error) {
	var a *access
	var held []byte // credential of the member
	err := s.view(func(r reader) (err error) {
		r.seen = seen
		if a, err = r.access(c, group, s.clock.Now()); err != nil {
			return err
		}
		if a.member != nil {
			held = a.member.Credential
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if a.roles.Member() == 0 {
		return nil, refuse(KindForbidden, "the access token allows no role with which one joins")
	}
	gm, err := s.identity(a.head.slot())
	if err != nil {
		return nil, err
	}
	if len(payload) > 0 {
		if err := a.head.joinable(); err != nil {
			return nil, err
		}
	}
	p, err := a.parseJoin(gm, payload)
	if err != nil {
		return nil, err
	}
	p.client = seen
	p.caller, p.group, p.revision, p.token, p.keys = c, group, a.head.Revision, a.token.ID, a.head.KeyGeneration
	if p.control, err = controlURI(p.request.ControlURI, group, c.Addr, s.opt.AllowControlHost); err != nil {
		return nil, a.joinInfo(gm, nil, err.Error())
	}
	var pub *cose.PublicKey
	if p.roles.Sends() {
		if a.token.Challenge == nil && p.request.Credential != nil && p.request.Evidence != nil {
			fresh, err := s.renewChallenge(ctx, c)
			if err != nil {
				return nil, err
			}
			return nil, a.joinInfo(gm, fresh, "the challenge is no longer known, here is a new one")
		}
		p.challenge = a.token.Challenge
		if pub, err = s.checkProof(a, gm, p, held); err != nil {
			return nil, err
		}
	}
	p.kdc, err = s.prove(a.head.Config, gm, pub, p.request.Nonce)
	return p, err
}

// parseJoin reads the request and checks what needs neither the stored
// credential nor any key.
func (a *access) parseJoin(gm *identity, payload []byte) (*joinPlan, error) {
	info := func(detail string) (*joinPlan, error) { return nil, a.joinInfo(gm, nil, detail) }
	if len(payload) == 0 {
		return info("an empty request asks for the group's parameters")
	}
	q, err := groupcomm.ParseJoinRequest(payload)
	if err != nil {
		return info(err.Error())
	}
	if q.Entry.Group != a.head.Name {
		return info("scope names another group")
	}
	if err := q.Entry.Roles.CheckJoin(); err != nil {
		return info(err.Error())
	}
	if !a.roles.Has(q.Entry.Roles) {
		return nil, refuse(KindForbidden, "the access token does not allow all of these roles")
	}
	p := &joinPlan{request: q, roles: q.Entry.Roles}
	if a.member != nil {
		p.rejoins = a.member.Number
	}
	if !p.roles.Sends() {
		if !a.head.Config.Modes.Signing() {
			return info("a monitor cannot read a group without signatures")
		}
		return p, nil // client_cred and client_cred_verify of a monitor are ignored
	}
	switch {
	case q.Credential == nil:
		return info("client_cred is missing")
	case a.member == nil && q.Evidence == nil:
		return info("client_cred_verify is missing")
	case len(q.Credential) == 0 && q.Evidence != nil:
		return info("client_cred is empty beside client_cred_verify")
	}
	return p, nil
}

// checkProof decides which credential the node joins with and that it has the
// private key. held is the credential stored for the member.
func (s *Service) checkProof(a *access, gm *identity, p *joinPlan, held []byte) (*cose.PublicKey, error) {
	q := p.request
	raw := q.Credential
	if q.Evidence == nil {
		// A current member that keeps its credential.
		if held == nil {
			return nil, a.joinInfo(gm, nil, "no credential is stored for this member")
		}
		if len(raw) > 0 && !bytes.Equal(raw, held) {
			if _, err := a.head.Config.eligible(raw); err != nil {
				return nil, err
			}
			return nil, a.joinInfo(gm, nil, "client_cred_verify is missing for a new credential")
		}
		raw, p.kept = held, true
	}
	cred, err := a.head.Config.eligible(raw)
	if err != nil {
		return nil, err
	}
	p.credential = bytes.Clone(raw) // as delivered: a whole chain or bag, if it is one
	pub := cred.PublicKey()
	switch {
	case q.Evidence == nil:
		return pub, nil
	case len(q.Evidence) == 0:
		known, err := s.hasProved(a.client.Number, p.credential)
		if err != nil || known {
			return pub, err
		}
		return nil, refuse(KindProof, "possession of this key has not been proved before")
	}
	input := groupcomm.ClientPoP(q.Scope, p.challenge, q.Nonce)
	return pub, s.verifyEvidence(a.head.Config, gm, pub, input, q.Evidence)
}

// hasProved says whether the client is a member somewhere with a credential: it
// has proved possession of its key to this Group Manager.
func (s *Service) hasProved(client uint64, credential []byte) (yes bool, err error) {
	err = s.view(func(r reader) error {
		return r.memberships(client, func(m *member) error {
			yes = yes || bytes.Equal(m.Credential, credential)
			return nil
		})
	})
	return yes, err
}

// memberships calls f for each membership of a client.
func (r reader) memberships(c uint64, f func(m *member) error) error {
	type pair struct{ g, n uint64 }
	var pairs []pair
	err := r.Scan(nameMembershipsOf(c), func(name keystore.Name, _ []byte) error {
		n, err := r.number(name)
		pairs = append(pairs, pair{name.ID(1), n})
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range pairs {
		m, err := load[member](r, nameMember(p.g, p.n))
		if err != nil {
			return err
		}
		if err := f(m); err != nil {
			return err
		}
	}
	return nil
}

// applyJoin makes the change, in one transaction, and the response.
func (s *Service) applyJoin(ctx context.Context, p *joinPlan) (*JoinResult, error) {
	var h *head
	var m *member
	var now time.Time
	err := s.update(ctx, func(t *txn) error {
		t.seen = p.client
		a, err := t.access(p.caller, p.group, t.now)
		if err != nil {
			return err
		}
		if err := p.stillHolds(a); err != nil {
			return err
		}
		h, m, now = a.head, a.member, t.now
		// A member that joins again has read what was sent before anyway.
		if h.Config.BackwardSecurity && m == nil && !h.elder(a.client.Number) {
			if err := t.rekey(h, CauseJoin); err != nil {
				return err
			}
		}
		if h.KeyGeneration != p.keys {
			return fault(KindConflict, errStale, "")
		}
		if m == nil {
			if m, err = t.newMember(h, a.client); err != nil {
				return err
			}
		} else if err := t.giveUpSender(h, m); err != nil {
			return err
		}
		m.Token, m.Roles, m.Credential = a.token.ID, p.roles, p.credential
		m.Scope, m.Challenge, m.ControlURI = p.request.Scope, p.request.Nonce, p.control
		m.Given = h.Version + 1
		if err := t.setBirth(h, m, true); err != nil {
			return err
		}
		if p.roles.Sends() {
			if err := t.takeSender(h, m); err != nil {
				return err
			}
		}
		event := "member.joined"
		if p.rejoins != 0 {
			event = "member.rejoined"
		}
		t.audit(AuditEvent{
			Event: event, Group: h.Name, Node: nodeName(m.Number), Client: a.client.label(),
			Version: &h.Version, Sender: m.senderID(), Detail: p.roles.String(),
		})
		if err := t.putMember(m); err != nil {
			return err
		}
		return t.putHead(h)
	})
	if err != nil {
		if KindOf(err) == KindNoIndividualKey {
			s.senderIDsExhausted(ctx, p.group)
		}
		return nil, err
	}
	created := p.rejoins == 0
	s.meter.Joined(h.Name, created)
	s.progress.forget(memberKey{h.Number, m.Number})
	pol := h.Config.policies()
	scheme, told, err := s.announcement(h.Name)
	if err != nil {
		return nil, err
	}
	out := &JoinResult{Created: created, Node: nodeName(m.Number), Response: &groupcomm.JoinResponse{
		Key: h.keyMaterial(m.senderID()), Version: h.Version, Expiry: h.expiry(now), Policies: &pol, KDC: p.kdc,
		RekeyingScheme: scheme, MgtKeyMaterial: told.ManagementKeys, ControlGroupURI: told.ControlURI,
	}}
	if p.request.GetCreds != nil {
		f := joinFilter(*p.request.GetCreds, p.roles)
		err = s.view(func(r reader) (err error) {
			out.Response.Peers, err = r.peers(h.Number, m.Number, f)
			return err
		})
	}
	return out, err
}

// stillHolds checks that a plan rests on what is there now.
func (p *joinPlan) stillHolds(a *access) error {
	var n uint64
	var stored []byte
	if a.member != nil {
		n, stored = a.member.Number, a.member.Credential
	}
	switch {
	case a.head.Revision != p.revision, a.token.ID != p.token, n != p.rejoins,
		p.roles.Sends() && !bytes.Equal(a.token.Challenge, p.challenge),
		p.kept && !bytes.Equal(stored, p.credential):
		return fault(KindConflict, errStale, "")
	}
	if !a.roles.Has(p.roles) {
		return refuse(KindForbidden, "the access token does not allow all of these roles")
	}
	return a.head.joinable()
}

func (t *txn) newMember(h *head, cl *client) (*member, error) {
	if h.Members >= uint64(h.Config.MaxMembers) {
		return nil, refuse(KindExhausted, "the group has as many members as it may have")
	}
	m := &member{Schema: recordSchema, Group: h.Number, Number: h.NextMember, Client: cl.Number, Joined: t.now.Unix()}
	h.NextMember++
	h.Members++
	return m, t.put(nameMemberOf(cl.Number, h.Number), m.Number)
}

// joinFilter narrows a request for all credentials to those a member of these
// roles can use: requesters get responders, responders and monitors get requesters
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 6.3).
func joinFilter(f groupcomm.CredsFilter, roles ace.Roles) groupcomm.CredsFilter {
	if f.Select {
		return f
	}
	out := groupcomm.CredsFilter{Select: true, Include: true}
	if roles.Has(ace.RoleRequester) {
		out.Roles = append(out.Roles, ace.RoleResponder)
	}
	if roles&(ace.RoleResponder|ace.RoleMonitor) != 0 {
		out.Roles = append(out.Roles, ace.RoleRequester)
	}
	return out
}

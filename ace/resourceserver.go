package ace

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// ResourceServer judges the access tokens that Clients post, and makes the OSCORE associations they lead to (RFC 9200,
// Section 5.10.1; RFC 9203, Section 4). It is safe for concurrent use.
//
// An unprotected post is answered at once and leaves a [Pending] association, because anybody who saw a token can post it
// again. Only the first request that verifies with the new Security Context proves that the poster has the key:
// [ResourceServer.Confirm] stores the association then, and not before then does it replace an earlier one.
type ResourceServer struct {
	cfg     RSConfig
	store   TokenStore
	issuers atomic.Pointer[[]TrustedAS]
	pending pendingTable
}

// NewResourceServer returns a ResourceServer that keeps confirmed associations in store.
func NewResourceServer(cfg RSConfig, store TokenStore) (*ResourceServer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if store == nil {
		return nil, fmt.Errorf("ace: no token store")
	}
	s := &ResourceServer{cfg: cfg.withDefaults(), store: store}
	s.SetIssuers(cfg.Issuers)
	s.pending.init(s.cfg)
	return s, nil
}

// SetIssuers replaces the Authorization Servers trusted from now on. Tokens already accepted stay valid.
func (s *ResourceServer) SetIssuers(list []TrustedAS) {
	list = append([]TrustedAS(nil), list...)
	s.issuers.Store(&list)
}

// PostToken judges an unprotected POST to authz-info, and returns the pending association that is made from it, with the
// payload of the answer 2.01. Its error is an [*Error] whose code is the answer: 4.00, 4.01, 4.03, or 5.03 if too many
// associations are pending.
//
// The caller sets up a Security Context from Params whose first verified request calls [ResourceServer.Confirm].
func (s *ResourceServer) PostToken(ctx context.Context, payload []byte) (*Pending, error) {
	q, err := ParseAuthzInfoRequest(payload)
	if err != nil {
		return nil, answer(codes.BadRequest, err)
	}
	t, cnf, err := s.verify(q.AccessToken)
	if err != nil {
		return nil, err
	}
	if cnf.OSC == nil {
		return nil, answer(codes.Unauthorized, fmt.Errorf("%w: bound to no key of its own", ErrToken))
	}
	t.Material = *cnf.OSC
	p, resp, err := s.associate(q, t)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Describe(ctx, &p.Token, q, resp); err != nil {
		s.cfg.Dropped(p)
		return nil, answer(codes.InternalServerError, err)
	}
	p.Response = resp.Marshal()
	if err := s.pending.add(p); err != nil {
		s.cfg.Dropped(p)
		return nil, answer(codes.ServiceUnavailable, err)
	}
	return p, nil
}

// associate draws the nonces and the identifier of a new association and derives its context.
func (s *ResourceServer) associate(q *AuthzInfoRequest, t *Token) (*Pending, *AuthzInfoResponse, error) {
	if err := t.Material.checkID(q.RecipientID); err != nil {
		return nil, nil, answer(codes.BadRequest, err)
	}
	var random [2 * nonceSize]byte
	if _, err := io.ReadFull(s.cfg.Rand, random[:]); err != nil {
		return nil, nil, answer(codes.InternalServerError, err)
	}
	resp := &AuthzInfoResponse{Nonce2: random[:nonceSize]}
	if t.Scope.NeedsChallenge() {
		t.Challenge = random[nonceSize:]
		resp.Challenge = t.Challenge
	}
	id, err := s.cfg.AllocateID(q.RecipientID)
	if err != nil {
		return nil, nil, answer(codes.ServiceUnavailable, err)
	}
	p := &Pending{Token: *t}
	resp.RecipientID = id
	p.Params, err = t.Material.ServerContext(q.Nonce1, resp.Nonce2, q.RecipientID, id)
	if err != nil {
		p.Params.RecipientID = id
		s.cfg.Dropped(p)
		return nil, nil, answer(codes.BadRequest, err)
	}
	return p, resp, nil
}

// nonceSize is the size of N2 and N_S in bytes (RFC 9203, Section 4.2; ace-key-groupcomm-oscore, Section 5.3).
const nonceSize = 8

// Confirm stores the association of p, after a request has verified with its Security Context. It may be called again, and
// gives the same result. An error that wraps [ErrNotPending] says that the association was not confirmed in time or its token
// is no longer valid: the request is answered with 4.01 and the context dropped. After any other error the association is
// still pending.
func (s *ResourceServer) Confirm(ctx context.Context, p *Pending) (a *Association, superseded []uint64, err error) {
	return s.pending.confirm(ctx, p, s.store, func(t *Token) bool {
		return s.cfg.Clock.Now().Before(t.Expires) && !s.cfg.Revoked(t.Hash)
	})
}

// PendingCount returns how many associations are pending.
func (s *ResourceServer) PendingCount() int { return s.pending.count() }

// Close ends all pending associations. Dropped is told of each.
func (s *ResourceServer) Close() { s.pending.close() }

package ace

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"

	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// ResourceServer judges the access tokens that Clients post, and makes the OSCORE associations they lead to (RFC 9200,
// Section 5.10.1; RFC 9203, Section 4). It is safe for concurrent use.
//
// An unprotected post is answered at once and leaves a [Pending] association, because anybody who saw a token can post it
// again. Only the first request that verifies with the new Security Context proves that the poster has the key:
// [ResourceServer.Confirm] stores the association then, and not before then does it replace an earlier one.
type ResourceServer struct {
	cfg            RSConfig
	store          TokenStore
	issuers        atomic.Pointer[[]TrustedAS]
	pending        pendingTable
	introspections *ratelimit.Limiter[netip.Prefix]
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
	s.introspections = ratelimit.New[netip.Prefix](s.cfg.IntrospectLimits, s.cfg.Clock.Now)
	return s, nil
}

// SetIssuers replaces the Authorization Servers trusted from now on. Tokens already accepted stay valid; whose owner wants them to
// end, ends them in the store.
func (s *ResourceServer) SetIssuers(list []TrustedAS) {
	list = append([]TrustedAS(nil), list...)
	s.issuers.Store(&list)
}

// PostToken judges an unprotected POST to authz-info that came from an address, and returns the pending association that is made
// from it, with the payload of the answer 2.01. Its error is an [*Error] with a Refusal, whose code is the answer.
//
// The caller sets up a Security Context from Params whose first verified request calls [ResourceServer.Confirm].
func (s *ResourceServer) PostToken(ctx context.Context, from netip.Addr, payload []byte) (*Pending, error) {
	p, err := s.postToken(ctx, from, payload)
	s.count(err)
	return p, err
}

func (s *ResourceServer) postToken(ctx context.Context, from netip.Addr, payload []byte) (*Pending, error) {
	q, err := ParseAuthzInfoRequest(payload)
	if err != nil {
		return nil, refuse(RefusedMalformed, err)
	}
	if s.pending.full() { // before any work is done for it
		return nil, refuse(RefusedBusy, ErrTooManyPending)
	}
	v, err := s.verify(ctx, from, q.AccessToken)
	if err != nil {
		return nil, err
	}
	t := v.token
	if v.cnf.OSC == nil {
		return nil, refuse(RefusedBinding, fmt.Errorf("%w: bound to no key of its own", ErrToken))
	}
	t.Material = *v.cnf.OSC
	p, resp, err := s.associate(q, t)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Describe(ctx, &p.Token, q, resp); err != nil {
		s.cfg.Dropped(p)
		return nil, refuse(RefusedInternal, err)
	}
	p.Response, p.from = resp.Marshal(), ratelimit.Source(from)
	if err := s.pending.add(p); err != nil {
		s.cfg.Dropped(p)
		return nil, refuse(RefusedBusy, err)
	}
	return p, nil
}

// count tells the meter what became of a token.
func (s *ResourceServer) count(err error) {
	if err == nil {
		s.cfg.Meter.TokenTaken()
		return
	}
	r := RefusedInternal
	if e, ok := isError(err); ok {
		r = e.Refusal
	}
	s.cfg.Meter.TokenRefused(r)
}

// associate draws the nonces and the identifier of a new association and derives its context.
func (s *ResourceServer) associate(q *AuthzInfoRequest, t *Token) (*Pending, *AuthzInfoResponse, error) {
	if err := t.Material.checkID(q.RecipientID); err != nil {
		return nil, nil, refuse(RefusedIdentifier, err)
	}
	var random [2 * nonceSize]byte
	if _, err := io.ReadFull(s.cfg.Rand, random[:]); err != nil {
		return nil, nil, refuse(RefusedInternal, err)
	}
	resp := &AuthzInfoResponse{Nonce2: random[:nonceSize]}
	if t.Scope.NeedsChallenge() {
		t.Challenge = random[nonceSize:]
		resp.Challenge = t.Challenge
	}
	id, err := s.cfg.AllocateID(q.RecipientID)
	if err != nil {
		return nil, nil, refuse(RefusedBusy, err)
	}
	p := &Pending{Token: *t}
	resp.RecipientID = id
	p.Params, err = t.Material.ServerContext(q.Nonce1, resp.Nonce2, q.RecipientID, id)
	if err != nil {
		p.Params.RecipientID = id
		s.cfg.Dropped(p)
		return nil, nil, refuse(RefusedIdentifier, err)
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
	a, superseded, err = s.pending.confirm(ctx, p, s.store, func(t *Token) bool {
		return s.cfg.Clock.Now().Before(t.Expires) && !s.cfg.Revoked(t.Hash)
	})
	if err == nil {
		s.taken(&a.Token)
	}
	return a, superseded, err
}

// taken tells of a token that was stored.
func (s *ResourceServer) taken(t *Token) {
	v := SeenToken{Hash: t.Hash, Issuer: t.Issuer, Expires: t.Expires, Stored: true}
	if s.cfg.Exi != nil {
		v.Number, _ = s.cfg.Exi.Number(t.Issuer, t.Hash)
	}
	s.cfg.Seen(v)
}

// PendingCount returns how many associations are pending.
func (s *ResourceServer) PendingCount() int { return s.pending.count() }

// Close ends all pending associations. Dropped is told of each.
func (s *ResourceServer) Close() { s.pending.close() }

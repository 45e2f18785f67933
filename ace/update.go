package ace

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Update judges a POST to authz-info that is protected with the Security Context of a stored association: a new token replaces
// the one of that association, which goes on with its keys (RFC 9203, Section 4.2). current is the token the association has,
// of which Issuer, Client and Material.ID count. The answer is 2.01 without payload, protected with the same context.
//
// Its error is an [*Error] with a Refusal. Whatever is wrong with the token, its code is 4.01: the text makes no exception for the audience or
// the scope here.
func (s *ResourceServer) Update(ctx context.Context, from netip.Addr, association uint64, current *Token, payload []byte) (*Token, error) {
	t, err := s.update(ctx, from, association, current, payload)
	s.count(err)
	return t, err
}

func (s *ResourceServer) update(ctx context.Context, from netip.Addr, association uint64, current *Token, payload []byte) (*Token, error) {
	raw, err := parseUpdateRequest(payload)
	if err != nil {
		return nil, refuse(RefusedMalformed, err)
	}
	v, err := s.verify(ctx, from, raw)
	if err == nil {
		if err = current.updatable(v.token, v.cnf); err != nil {
			err = refuse(RefusedBinding, err)
		}
	}
	if e, ok := isError(err); ok {
		switch e.Refusal {
		case RefusedInternal, RefusedUnreachable, RefusedBusy, RefusedRate: // nothing was found wrong
		default:
			e.Code = codes.Unauthorized
		}
		return nil, e
	}
	t := v.token
	t.Material.ID = bytes.Clone(v.cnf.KID)
	t.Challenge = current.Challenge
	if err := s.store.ReplaceToken(ctx, association, t); err != nil {
		return nil, refuse(RefusedInternal, fmt.Errorf("store token: %w", err))
	}
	s.taken(t)
	return t, nil
}

// updatable returns nil if the token t with the confirmation cnf may take the place of the current one.
func (current *Token) updatable(t *Token, cnf *Confirmation) error {
	switch {
	case cnf.KID == nil || !bytes.Equal(cnf.KID, current.Material.ID):
		return fmt.Errorf("%w: not bound to the key of this association", ErrToken)
	case t.Issuer != current.Issuer:
		return fmt.Errorf("%w: by another issuer than that of this association", ErrToken)
	case t.Client != current.Client:
		return fmt.Errorf("%w: of another client", ErrToken)
	}
	return nil
}

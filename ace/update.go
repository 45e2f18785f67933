package ace

import (
	"bytes"
	"context"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Update judges a POST to authz-info that is protected with the Security Context of a stored association: a new token replaces
// the one of that association, which goes on with its keys (RFC 9203, Section 4.2). current is the token the association has,
// of which Issuer, Client and Material.ID count. The answer is 2.01 without payload, protected with the same context.
//
// Its error is an [*Error]. Whatever is wrong with the token, its code is 4.01: the text makes no exception for the audience or
// the scope here.
func (s *ResourceServer) Update(ctx context.Context, association uint64, current *Token, payload []byte) (*Token, error) {
	raw, err := parseUpdateRequest(payload)
	if err != nil {
		return nil, answer(codes.BadRequest, err)
	}
	t, cnf, err := s.verify(raw)
	if err == nil {
		err = current.updatable(t, cnf)
	}
	if err != nil {
		if e, ok := isError(err); ok {
			err = e.Err
		}
		return nil, answer(codes.Unauthorized, err)
	}
	t.Material.ID = bytes.Clone(cnf.KID)
	t.Challenge = current.Challenge
	if err := s.store.ReplaceToken(ctx, association, t); err != nil {
		return nil, answer(codes.InternalServerError, fmt.Errorf("store token: %w", err))
	}
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

package ace

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/cborx"
)

// answer makes the error whose code a Resource Server answers with.
func answer(code codes.Code, err error) *Error {
	return &Error{Code: code, Description: err.Error(), Err: err}
}

// verify judges a token, in the order RFC 9200, Section 5.10.1.1 asks for: the wrapper, then iss, exp, aud, scope, and cnf last.
// It returns the token without its input material, and the confirmation.
func (s *ResourceServer) verify(token []byte) (*Token, *Confirmation, error) {
	if cborx.Wellformed(token) != nil {
		return nil, nil, answer(codes.BadRequest, fmt.Errorf("%w: access token", ErrMalformed))
	}
	hash := HashToken(token)
	if s.cfg.Revoked(hash) {
		return nil, nil, answer(codes.Unauthorized, fmt.Errorf("%w: revoked", ErrToken))
	}
	issuers := *s.issuers.Load()
	keys := make([]TokenKey, len(issuers))
	for i, as := range issuers {
		keys[i] = as.Key
	}
	b, i, err := openToken(token, keys)
	if err != nil {
		return nil, nil, answer(codes.Unauthorized, err)
	}
	c, err := readClaims(b)
	if err != nil {
		return nil, nil, answer(codes.BadRequest, err)
	}
	scope, err := s.judge(c, issuers[i].Issuer)
	if err != nil {
		return nil, nil, err
	}
	cnf, err := parseConfirmation(c.cnf)
	if err != nil {
		return nil, nil, answer(codes.BadRequest, fmt.Errorf("cnf: %w", err))
	}
	return &Token{
		Hash: hash, Issuer: issuers[i].Issuer, Client: c.Subject, Scope: scope, Expires: c.Expires, IssuedAt: c.IssuedAt, CTI: c.ID,
	}, cnf, nil
}

// judge checks the claims of a token whose wrapper is by issuer, all but cnf.
func (s *ResourceServer) judge(c *rawClaims, issuer string) (Scope, error) {
	now := s.cfg.Clock.Now()
	switch {
	case c.Issuer != "" && c.Issuer != issuer:
		return nil, answer(codes.Unauthorized, fmt.Errorf("%w: issuer is another than the one that sealed it", ErrToken))
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return nil, answer(codes.Unauthorized, fmt.Errorf("%w: expired", ErrToken))
	case now.Before(c.NotBefore):
		return nil, answer(codes.Unauthorized, fmt.Errorf("%w: not valid yet", ErrToken))
	case !slices.Contains(c.Audience, s.cfg.Audience):
		return nil, answer(codes.Forbidden, fmt.Errorf("%w: for another audience", ErrToken))
	}
	scope, err := c.readScope()
	switch {
	case err != nil:
		return nil, answer(codes.BadRequest, err)
	case c.Expires.IsZero():
		return nil, answer(codes.BadRequest, fmt.Errorf("%w: no expiration time", ErrToken))
	case c.Exi != 0:
		return nil, answer(codes.BadRequest, fmt.Errorf("%w: the claim exi cannot be processed", ErrToken))
	case c.Profile != 0 && c.Profile != ProfileCoAPOSCORE:
		return nil, answer(codes.BadRequest, fmt.Errorf("%w: for profile %d", ErrToken, c.Profile))
	case c.cnf == nil:
		return nil, answer(codes.BadRequest, fmt.Errorf("%w: no confirmation claim", ErrToken))
	}
	return scope, nil
}

// isError gives err as *Error.
func isError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

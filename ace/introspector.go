package ace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// ErrIntrospection is wrapped when an Authorization Server said nothing about a token, or that it is not active.
var ErrIntrospection = errors.New("introspection")

// Introspector asks the Authorization Server called issuer about a token, over a secure association with it. An error says that
// nothing is known of the token: it is not taken then (RFC 9200, Section 6.10).
type Introspector interface {
	Introspect(ctx context.Context, issuer string, token []byte) (*IntrospectionResponse, error)
}

// introspect asks the issuer about a token on behalf of a post from an address. The tokens of strangers cause no more than the
// limits allow, and none that is not authentic causes one, unless its issuer gives out references.
func (s *ResourceServer) introspect(ctx context.Context, from netip.Addr, issuer string, token []byte) (*IntrospectionResponse, error) {
	if s.cfg.Introspector == nil {
		return nil, refuse(RefusedUnreachable, fmt.Errorf("%w: nothing to ask %q with", ErrIntrospection, issuer))
	}
	if retry, ok := s.introspections.Allow(ratelimit.Source(from)); !ok {
		e := refuse(RefusedRate, fmt.Errorf("%w: too many", ErrIntrospection))
		e.RetryAfter = retry
		return nil, e
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.IntrospectTimeout)
	defer cancel()
	p, err := s.cfg.Introspector.Introspect(ctx, issuer, token)
	switch {
	case err != nil:
		return nil, refuse(RefusedUnreachable, fmt.Errorf("%w of a token of %q: %w", ErrIntrospection, issuer, err))
	case !p.Active:
		return nil, refuse(RefusedInactive, fmt.Errorf("%w: not active, says %q", ErrIntrospection, issuer))
	}
	return p, nil
}

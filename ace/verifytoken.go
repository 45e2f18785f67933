package ace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// verified is a token that was found good.
type verified struct {
	token *Token // without its input material
	cnf   *Confirmation
}

// verify judges what was posted as a token, in the order RFC 9200, Section 5.10.1.1 asks for: the wrapper, then iss, exp, aud,
// scope, then what else this application needs, the issuer's word last. Its errors are [*Error]s with their Refusal.
func (s *ResourceServer) verify(ctx context.Context, from netip.Addr, info []byte) (*verified, error) {
	trusted := *s.issuers.Load()
	o, wellformed, err := openInfo(info, trusted)
	if err != nil {
		if as := referrer(trusted); as != nil {
			return s.verifyReference(ctx, from, as, info)
		}
		if !wellformed {
			return nil, refuse(RefusedMalformed, err)
		}
		return nil, refuse(RefusedWrapper, err)
	}
	c, err := readClaims(o.claims)
	if err != nil {
		return nil, refuse(RefusedClaims, err)
	}
	if s.cfg.Revoked(o.hash) {
		s.seen(c, o.hash, o.as.Issuer)
		return nil, refuse(RefusedRevoked, fmt.Errorf("%w: revoked", ErrToken))
	}
	v, err := s.judge(c, o.as.Issuer)
	if err != nil {
		return nil, err
	}
	if !o.encrypted && v.cnf.secretInClear() {
		return nil, refuse(RefusedConfirmation, ErrSecretInClear)
	}
	if o.as.Introspect {
		p, err := s.introspect(ctx, from, o.as.Issuer, info)
		if err != nil {
			return nil, err
		}
		if err := s.agree(v.token, p); err != nil {
			return nil, err
		}
	}
	return v, s.admit(c, v.token, o.hash)
}

// referrer returns the first record whose tokens may be references.
func referrer(trusted []TrustedAS) *TrustedAS {
	if i := slices.IndexFunc(trusted, func(as TrustedAS) bool { return as.References }); i >= 0 {
		return &trusted[i]
	}
	return nil
}

// verifyReference judges a token by what its issuer says of it.
func (s *ResourceServer) verifyReference(ctx context.Context, from netip.Addr, as *TrustedAS, info []byte) (*verified, error) {
	hash := HashToken(info)
	if s.cfg.Revoked(hash) {
		return nil, refuse(RefusedRevoked, fmt.Errorf("%w: revoked", ErrToken))
	}
	p, err := s.introspect(ctx, from, as.Issuer, info)
	if err != nil {
		return nil, err
	}
	if p.raw == nil {
		return nil, refuse(RefusedClaims, fmt.Errorf("%w: without claims", ErrIntrospection))
	}
	if p.raw.Exi != 0 { // for self-contained tokens only (RFC 9200, Section 5.10.3)
		return nil, refuse(RefusedClaims, fmt.Errorf("%w: exi of a reference", ErrIntrospection))
	}
	v, err := s.judge(p.raw, as.Issuer)
	if err != nil {
		return nil, err
	}
	return v, s.admit(p.raw, v.token, hash)
}

// judge checks the claims of a token of issuer.
func (s *ResourceServer) judge(c *rawClaims, issuer string) (*verified, error) {
	now := s.cfg.Clock.Now()
	switch {
	case c.Issuer != "" && c.Issuer != issuer:
		return nil, refuse(RefusedIssuer, fmt.Errorf("%w: iss is another than the one who protected it", ErrToken))
	case s.cfg.NoClock: // exp and nbf say nothing here
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return nil, refuse(RefusedExpired, fmt.Errorf("%w: expired", ErrToken))
	case now.Before(c.NotBefore):
		return nil, refuse(RefusedNotYet, fmt.Errorf("%w: not valid yet", ErrToken))
	}
	if !slices.ContainsFunc(c.Audience, s.isAudience) {
		return nil, refuse(RefusedAudience, fmt.Errorf("%w: for another audience", ErrToken))
	}
	scope, err := c.readScope()
	if err != nil {
		return nil, refuse(RefusedScope, err)
	}
	switch {
	case c.Exi == 0 && (c.Expires.IsZero() || s.cfg.NoClock):
		return nil, refuse(RefusedClaims, fmt.Errorf("%w: no end of its lifetime", ErrToken))
	case c.Exi != 0 && s.cfg.Exi == nil:
		return nil, refuse(RefusedClaims, fmt.Errorf("%w: the claim exi cannot be processed", ErrToken))
	case s.cfg.CNonces != nil && !s.cfg.CNonces.Fresh(c.CNonce):
		return nil, refuse(RefusedCNonce, fmt.Errorf("%w: no fresh cnonce", ErrToken))
	case c.Profile != 0 && c.Profile != ProfileCoAPOSCORE:
		return nil, refuse(RefusedProfile, fmt.Errorf("%w: for profile %d", ErrToken, c.Profile))
	case c.cnf.IsZero():
		return nil, refuse(RefusedConfirmation, fmt.Errorf("%w: no confirmation claim", ErrToken))
	}
	cnf, err := parseConfirmation(c.cnf.Bytes())
	if err == nil && cnf.OSC == nil && cnf.KID == nil {
		err = usableKey(cnf)
	}
	if err != nil {
		return nil, refuse(RefusedConfirmation, fmt.Errorf("cnf: %w", err))
	}
	return &verified{token: &Token{
		Issuer: issuer, Client: c.Subject, Scope: scope, Expires: c.Expires, IssuedAt: c.IssuedAt, CTI: c.ID,
	}, cnf: cnf}, nil
}

// usableKey says why a token bound to a key of another kind than input material cannot be used: the OSCORE profile, the only one
// served, has no proof of possession with such a key.
func usableKey(cnf *Confirmation) error {
	if !cnf.Key.IsZero() {
		if _, err := ParsePoPKey(cnf.Key.Bytes()); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: not for the OSCORE profile", ErrPoPKey)
}

func (s *ResourceServer) isAudience(name string) bool {
	return name == s.cfg.Audience || slices.Contains(s.cfg.Groups, name)
}

// agree brings what introspection says together with what the token itself says: the earlier end counts, and a profile or a
// client-nonce is judged as if it were in the token (RFC 9200, Section 5.9.2).
func (s *ResourceServer) agree(t *Token, p *IntrospectionResponse) error {
	c := p.Claims
	switch {
	case c == nil:
		return nil
	case c.Profile != 0 && c.Profile != ProfileCoAPOSCORE:
		return refuse(RefusedProfile, fmt.Errorf("%w: for profile %d", ErrIntrospection, c.Profile))
	case c.CNonce != nil && s.cfg.CNonces != nil && !s.cfg.CNonces.Fresh(c.CNonce):
		return refuse(RefusedCNonce, fmt.Errorf("%w: no fresh cnonce", ErrIntrospection))
	}
	t.Expires = earlier(t.Expires, c.Expires)
	return nil
}

// admit gives a good token its hash and the end of its time, which for one with exi begins to run now.
func (s *ResourceServer) admit(c *rawClaims, t *Token, hash TokenHash) error {
	t.Hash = hash
	if c.Exi == 0 {
		return nil
	}
	n, err := exiNumber(c.ID, s.cfg.Audience)
	if err != nil {
		return refuse(RefusedClaims, err)
	}
	const most = 100 * 365 * 24 * 3600 // a century: no overflow, and nobody means more
	end, err := s.cfg.Exi.admit(t.Issuer, n, time.Duration(min(c.Exi, most))*time.Second, hash)
	if err != nil {
		return refuseExi(err)
	}
	if s.cfg.NoClock {
		t.Expires = time.Time{}
	}
	t.Expires = earlier(t.Expires, end)
	return nil
}

// refuseExi refuses a token that the table of tokens with exi does not take.
func refuseExi(err error) *Error {
	if errors.Is(err, ErrExiFull) {
		return refuse(RefusedBusy, err)
	}
	return refuse(RefusedExi, err)
}

// seen tells of a revoked token what may let its hash be forgotten one day.
func (s *ResourceServer) seen(c *rawClaims, hash TokenHash, issuer string) {
	v := SeenToken{Hash: hash, Issuer: issuer, Expires: c.Expires}
	if c.Exi != 0 {
		if n, err := exiNumber(c.ID, s.cfg.Audience); err == nil {
			v.Number = n
		}
	}
	s.cfg.Seen(v)
}

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// isError gives err as *Error.
func isError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

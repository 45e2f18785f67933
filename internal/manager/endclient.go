package manager

import (
	"context"

	"github.com/cohort-iot/cohort/ace"
)

// EndClient ends a client of an Authorization Server here: it is out of all its
// groups, which are rekeyed, and its tokens and associations are gone. It does
// not know what the Authorization Server issues next: whether a token of the
// client is taken again is for the Resource Server's list of revoked tokens to
// say. Contexts of the associations that ended are dropped through the port
// Sessions. A client that was never seen is no error.
func (s *Service) EndClient(ctx context.Context, issuer, name string, cause Cause) (evicted int, err error) {
	return s.endClient(ctx, identityText(&ace.Token{Issuer: issuer, Client: name}), cause, func(*tokenEntry) bool { return true })
}

// RevokeToken ends one token (RFC 9770, Section 10): memberships that no other
// token of the client covers end, then the token and its association go. An
// unknown token is no error.
func (s *Service) RevokeToken(ctx context.Context, hash ace.TokenHash) (evicted int, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	var c uint64
	err = s.view(func(r reader) (err error) {
		c, err = r.indexed(tokenHashes, string(hash[:]))
		return err
	})
	if err != nil || c == 0 {
		return 0, err
	}
	return s.endTokens(ctx, c, CauseTokenRevoked, func(e *tokenEntry) bool { return string(e.Hash) == string(hash[:]) })
}

func (s *Service) endClient(ctx context.Context, text string, cause Cause, which func(*tokenEntry) bool) (int, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	var c uint64
	err := s.view(func(r reader) (err error) {
		c, err = r.indexed(clientNames, text)
		return err
	})
	if err != nil || c == 0 {
		return 0, err
	}
	return s.endTokens(ctx, c, cause, which)
}

// endTokens makes tokens expire now, so that they count for nothing from this
// transaction on, and then does what the sweep does with expired ones. After a
// crash in between the sweep does it, without the window of an expiry. A caller
// that goes away ends nothing half way.
func (s *Service) endTokens(ctx context.Context, c uint64, cause Cause, which func(*tokenEntry) bool) (evicted int, err error) {
	ctx = context.WithoutCancel(ctx)
	s.sweeper.expiring.Lock()
	defer s.sweeper.expiring.Unlock()
	var due []dueToken
	err = s.update(ctx, func(t *txn) error {
		due = nil
		cl, err := load[client](t.reader, nameClient(c))
		if err != nil {
			return ignoreNotFound(err)
		}
		for i := range cl.Tokens {
			e := &cl.Tokens[i]
			if !which(e) {
				continue
			}
			if err := t.delete(nameExpiry(e.Expires, e.ID)); err != nil {
				return err
			}
			e.Expires, e.Revoked = min(e.Expires, t.now.Unix()), true
			n := nameExpiry(e.Expires, e.ID)
			if err := t.put(n, cl.Number); err != nil {
				return err
			}
			due = append(due, dueToken{name: n, token: e.ID, client: c})
		}
		if len(due) == 0 {
			return nil
		}
		t.audit(AuditEvent{Event: "token.revoked", Client: cl.label(), Count: len(due), Cause: cause.String()})
		return t.putClient(cl)
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	defer s.wakeSweep() // for what fails now
	if evicted, err = s.evictUncovered(ctx, due, cause, nil); err != nil {
		return evicted, err
	}
	for _, d := range due {
		if err := s.forgetToken(ctx, d); err != nil {
			return evicted, err
		}
	}
	return evicted, nil
}

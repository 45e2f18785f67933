package authserver

import (
	"errors"
	"fmt"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Token is a token that was issued, as the operator sees it. Its bytes are not kept.
type Token struct {
	Hash     ace.TokenHash
	Client   string
	Audience string
	Scope    ace.Scope
	Issued   time.Time
	Expires  time.Time
	Revoked  time.Time // zero: not revoked
}

// putToken stores a new token with all that leads to it.
func (s *Service) putToken(tx *keystore.Tx, t *tokenRecord) error {
	mark := struct{}{}
	return errors.Join(
		put(tx, nameToken(t.Number), t),
		put(tx, nameTokenHash(s.store.Index(domainHash, t.Hash)), nameRecord{Text: t.Hash, Number: t.Number}),
		put(tx, nameTokenOf(t.Client, t.Number), mark),
		put(tx, nameTokenEnd(uint64(t.Expires), t.Number), mark),
	)
}

// tokenHashed reads a token by its hash.
func (s *Service) tokenHashed(r keystore.Reader, h ace.TokenHash) (*tokenRecord, error) {
	n, err := lookUp(r, nameTokenHash(s.store.Index(domainHash, h[:])), h[:])
	if err != nil {
		return nil, fmt.Errorf("token %v: %w", h, err)
	}
	return load[tokenRecord](r, nameToken(n))
}

// view completes a token for the operator. Names of clients and resource servers that are gone are left out.
func (t *tokenRecord) view(r keystore.Reader) (Token, error) {
	v := Token{Hash: ace.TokenHash(t.Hash), Issued: unix(t.Issued), Expires: unix(t.Expires), Revoked: unix(t.Revoked)}
	scope, err := ace.ParseScope(t.Scope)
	if err != nil {
		return v, err
	}
	v.Scope = scope
	if c, err := loadClient(r, t.Client); err == nil {
		v.Client = c.Name
	}
	if rs, err := load[rsRecord](r, nameRS(t.RS)); err == nil {
		v.Audience = rs.Audience
	}
	return v, nil
}

// Token returns the token of a hash.
func (s *Service) Token(h ace.TokenHash) (Token, error) {
	var v Token
	err := s.store.View(func(r keystore.Reader) error {
		t, err := s.tokenHashed(r, h)
		if err == nil {
			v, err = t.view(r)
		}
		return err
	})
	return v, err
}

// Tokens returns up to limit tokens that have not been swept away yet, the oldest first, from the first one after the token of
// hash after. The zero hash begins at the beginning.
func (s *Service) Tokens(after ace.TokenHash, limit int) ([]Token, error) {
	var list []Token
	err := s.store.View(func(r keystore.Reader) error {
		var from uint64
		if after != (ace.TokenHash{}) {
			t, err := s.tokenHashed(r, after)
			if err != nil {
				return err
			}
			from = t.Number
		}
		return r.ScanAfter(nameTokens(), nameToken(from), func(n keystore.Name, b []byte) error {
			if len(list) >= limit {
				return keystore.ErrStop
			}
			t, err := decode[tokenRecord](n, b)
			if err != nil {
				return err
			}
			v, err := t.view(r)
			list = append(list, v)
			return err
		})
	})
	return list, err
}

// TokenRevoked says whether a token was revoked. It serves as Revoked of [ace.RSConfig]; a failure of the store counts as
// revoked.
func (s *Service) TokenRevoked(h ace.TokenHash) bool {
	revoked := true
	_ = s.store.View(func(r keystore.Reader) error {
		t, err := s.tokenHashed(r, h)
		switch {
		case errors.Is(err, ErrNotFound): // of another issuer, or swept away
			revoked = false
		case err == nil:
			revoked = t.Revoked != 0
		}
		return nil
	})
	return revoked
}

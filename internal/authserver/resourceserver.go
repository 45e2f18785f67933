package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// RSRequest says what resource server to register.
type RSRequest struct {
	Audience string        // its name in tokens, unique
	URI      string        // where devices reach it, such as coap://192.0.2.1:5683; it goes into enrolments
	Lifetime time.Duration // of tokens for it, a minute to 366 days; 0: [DefaultTokenLifetime]
	// ExtendedScope tags the scope claim with its semantics, for a resource server that knows several (RFC 9594, Section 7).
	ExtendedScope bool
}

// tokenAlg protects tokens: AES-CCM with a tag of 16 bytes, as a token lives for hours.
const tokenAlg = cose.AlgAESCCM16_128_128

// Sizes of tokenAlg, in bytes.
const (
	tokenKeySize   = 16
	tokenNonceSize = 13
)

// RegisterRS registers a resource server with a random token key, and returns what that server has to trust.
// Errors wrap [ErrExists] or [ErrInvalid].
func (s *Service) RegisterRS(ctx context.Context, q RSRequest) (ace.TrustedAS, error) {
	if q.Lifetime == 0 {
		q.Lifetime = DefaultTokenLifetime
	}
	switch {
	case q.Lifetime < minTokenLifetime || q.Lifetime > maxTokenLifetime:
		return ace.TrustedAS{}, fmt.Errorf("%w: token lifetime %v, not a minute to 366 days", ErrInvalid, q.Lifetime)
	case q.URI == "":
		return ace.TrustedAS{}, fmt.Errorf("%w: resource server without URI", ErrInvalid)
	}
	if err := checkName("audience", q.Audience); err != nil {
		return ace.TrustedAS{}, err
	}
	random, err := s.random(tokenKeySize)
	if err != nil {
		return ace.TrustedAS{}, err
	}
	var as ace.TrustedAS
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		n, err := loadCounters(tx)
		if err != nil {
			return err
		}
		n.RS++
		index := nameRSName(s.store.Index(domainRS, []byte(q.Audience)))
		if err := claim(tx, index, []byte(q.Audience), n.RS); err != nil {
			return fmt.Errorf("resource server %q: %w", q.Audience, err)
		}
		rs := &rsRecord{
			Schema: schema, Number: n.RS, Audience: q.Audience, URI: q.URI,
			Lifetime: int64(q.Lifetime / time.Second), Extended: q.ExtendedScope,
		}
		rs.addKey(random)
		as = s.trusted(rs)[0]
		if err := errors.Join(put(tx, nameCounters(), n), put(tx, nameRS(rs.Number), rs)); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "rs.registered", Audience: q.Audience})
	})
	return as, err
}

// addKey makes key the one that seals. Of the earlier ones the latest few go on opening.
func (rs *rsRecord) addKey(key []byte) {
	count := byte(1)
	if n := len(rs.Keys); n > 0 {
		kid := rs.Keys[n-1].KID
		count = kid[len(kid)-1] + 1
	}
	kid := append(numberID(rs.Number), count)
	rs.Keys = append(rs.Keys, tokenKey{KID: kid, Alg: int64(tokenAlg), Key: key})
	if len(rs.Keys) > maxRSKeys {
		rs.Keys = slices.Delete(rs.Keys, 0, len(rs.Keys)-maxRSKeys)
	}
}

// trusted returns what the resource server has to trust, the key that seals first.
func (s *Service) trusted(rs *rsRecord) []ace.TrustedAS {
	list := make([]ace.TrustedAS, 0, len(rs.Keys))
	for _, k := range slices.Backward(rs.Keys) {
		list = append(list, ace.TrustedAS{Issuer: s.cfg.Issuer, Key: k.public()})
	}
	return list
}

// public returns the key as package ace has it.
func (k *tokenKey) public() ace.TokenKey {
	return ace.TokenKey{KID: slices.Clone(k.KID), Alg: cose.Algorithm(k.Alg), Key: k.Key.Clone()}
}

// TrustedAS returns what the resource server of an audience has to trust: this server under each token key that may still be
// in use.
func (s *Service) TrustedAS(audience string) ([]ace.TrustedAS, error) {
	var list []ace.TrustedAS
	err := s.store.View(func(r keystore.Reader) error {
		rs, err := s.rsNamed(r, audience)
		if err == nil {
			list = s.trusted(rs)
		}
		return err
	})
	return list, err
}

// RotateRSKey makes a new token key for a resource server, which has to be told ([Service.TrustedAS]) before the next token is
// issued. Tokens sealed by the key before stay valid.
func (s *Service) RotateRSKey(ctx context.Context, audience string) ([]ace.TrustedAS, error) {
	random, err := s.random(tokenKeySize)
	if err != nil {
		return nil, err
	}
	var list []ace.TrustedAS
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		rs, err := s.rsNamed(tx, audience)
		if err != nil {
			return err
		}
		rs.addKey(random)
		list = s.trusted(rs)
		if err := put(tx, nameRS(rs.Number), rs); err != nil {
			return err
		}
		return s.audit(ctx, tx, auditEvent{Event: "rs.key-rotated", Audience: audience})
	})
	return list, err
}

// rsNamed reads a resource server by audience.
func (s *Service) rsNamed(r keystore.Reader, audience string) (*rsRecord, error) {
	n, err := lookUp(r, nameRSName(s.store.Index(domainRS, []byte(audience))), []byte(audience))
	if err != nil {
		return nil, fmt.Errorf("resource server %q: %w", audience, err)
	}
	return load[rsRecord](r, nameRS(n))
}

// RS is a resource server as the operator sees it.
type RS struct {
	Audience string
	URI      string
	Lifetime time.Duration
	Tokens   uint64 // sealed by the present key
}

// ResourceServers returns all resource servers.
func (s *Service) ResourceServers() ([]RS, error) {
	var list []RS
	err := s.store.View(func(r keystore.Reader) error {
		return r.Scan(nameAllRS(), func(n keystore.Name, b []byte) error {
			rs, err := decode[rsRecord](n, b)
			if err == nil {
				list = append(list, RS{
					Audience: rs.Audience, URI: rs.URI, Lifetime: time.Duration(rs.Lifetime) * time.Second,
					Tokens: rs.Keys[len(rs.Keys)-1].Used,
				})
			}
			return err
		})
	})
	return list, err
}

// sealingKey returns the key that seals and draws its next nonce, with random bytes to fill it up.
func (rs *rsRecord) sealingKey(random secret.Bytes) (k *tokenKey, nonce []byte, err error) {
	k = &rs.Keys[len(rs.Keys)-1]
	k.Used++
	nonce, err = tokenNonce(k.Used, random)
	return k, nonce, err
}

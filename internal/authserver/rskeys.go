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

// addKey adds a token key that seals from a time on.
func (rs *rsRecord) addKey(key []byte, from int64) {
	count := byte(1)
	if n := len(rs.Keys); n > 0 {
		kid := rs.Keys[n-1].KID
		count = kid[len(kid)-1] + 1
	}
	kid := append(numberID(rs.Number), count)
	rs.Keys = append(rs.Keys, tokenKey{KID: kid, Alg: int64(tokenAlg), Key: secret.Hide(key), From: from})
}

// sealing returns the key that seals at a time; nil if there is none.
func (rs *rsRecord) sealing(now int64) *tokenKey {
	for i := range slices.Backward(rs.Keys) {
		if rs.Keys[i].From <= now {
			return &rs.Keys[i]
		}
	}
	return nil
}

// opening returns the keys that may open a token at a time or will, the newest first.
func (rs *rsRecord) opening(now int64) []tokenKey {
	var list []tokenKey
	for _, k := range slices.Backward(rs.Keys) {
		if k.Until == 0 || k.Until > now {
			list = append(list, k)
		}
	}
	return list
}

// sealingKey returns the key that seals and draws its next nonce, with random bytes to fill it up.
func (rs *rsRecord) sealingKey(now int64, random []byte) (k *tokenKey, nonce []byte, err error) {
	if k = rs.sealing(now); k == nil {
		return nil, nil, fmt.Errorf("%w: resource server %q has no token key that seals yet", ErrInvalid, rs.Audience)
	}
	k.Used++
	nonce, err = tokenNonce(k.Used, random)
	return k, nonce, err
}

// public returns the key as package ace has it.
func (k *tokenKey) public() ace.TokenKey {
	return ace.TokenKey{KID: slices.Clone(k.KID), Alg: cose.Algorithm(k.Alg), Key: k.Key.Clone()}
}

// trustedKeys returns what the resource server has to trust of its token keys, the newest first.
func (s *Service) trustedKeys(rs *rsRecord) []ace.TrustedAS {
	var list []ace.TrustedAS
	for _, k := range rs.opening(s.now().Unix()) {
		list = append(list, ace.TrustedAS{Issuer: s.cfg.Issuer, Key: k.public()})
	}
	return list
}

// TrustedAS returns what the resource server of an audience has to trust: this server under each key that may be in use.
func (s *Service) TrustedAS(audience string) ([]ace.TrustedAS, error) {
	var list []ace.TrustedAS
	err := s.store.View(func(r keystore.Reader) error {
		rs, err := s.rsNamed(r, audience)
		if err != nil {
			return err
		}
		signing, err := s.trustedSigning(r)
		list = append(s.trustedKeys(rs), signing...)
		return err
	})
	return list, err
}

// RotateRSKey makes a new token key for a resource server and returns it, in the form that server takes in. The key opens at
// once, but seals only after the overlap, 0 to 30 days, so that the resource server can be told meanwhile; one in this process is
// told by [Service.TrustedAS]. Tokens sealed by the key before stay valid until they end, and so does that key.
func (s *Service) RotateRSKey(ctx context.Context, audience string, overlap time.Duration) (*ace.RSEnrolment, error) {
	if err := checkOverlap(overlap); err != nil {
		return nil, err
	}
	random, err := s.random(tokenKeySize)
	if err != nil {
		return nil, err
	}
	var e *ace.RSEnrolment
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		rs, err := s.rsNamed(tx, audience)
		if err != nil {
			return err
		}
		now := s.now()
		rs.Keys = slices.DeleteFunc(rs.Keys, func(k tokenKey) bool { return k.Until != 0 && k.Until <= now.Unix() })
		if len(rs.Keys) >= maxRSKeys || rs.isGroup() {
			return fmt.Errorf("%w: resource server %q cannot have another token key now", ErrInvalid, audience)
		}
		from := now.Add(overlap).Unix()
		for i := range rs.Keys {
			if k := &rs.Keys[i]; k.Until == 0 {
				k.Until = max(from, k.From) + rs.Lifetime
			}
		}
		rs.addKey(random, from)
		e = &ace.RSEnrolment{Issuer: s.cfg.Issuer, Audience: audience, Trusted: []ace.TrustedAS{{
			Issuer: s.cfg.Issuer, Key: rs.Keys[len(rs.Keys)-1].public(),
		}}}
		return errors.Join(put(tx, nameRS(rs.Number), rs), s.audit(ctx, tx, auditEvent{
			Event: "rs.key-rotated", Audience: audience, Detail: "seals from " + unix(from).Format(time.RFC3339),
		}))
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func checkOverlap(d time.Duration) error {
	if d < 0 || d > maxOverlap {
		return fmt.Errorf("%w: overlap %v, not 0 to %v", ErrInvalid, d, maxOverlap)
	}
	return nil
}

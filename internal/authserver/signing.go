package authserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// Algorithm and curve of the keys that sign tokens.
const (
	signingAlg   = cose.AlgEdDSA
	signingCurve = cose.CurveEd25519
)

// maxSigningKeys bounds the keys that may verify at once.
const maxSigningKeys = 8

// newSigningKey makes a key outside of any transaction. Its identifier is random, as resource servers may know keys of several
// issuers.
func (s *Service) newSigningKey() (signingKey, error) {
	k, err := cose.GenerateKey(signingCurve, s.cfg.Rand)
	if err != nil {
		return signingKey{}, fmt.Errorf("signing key: %w", err)
	}
	kid, err := s.random(signingKIDSize)
	return signingKey{KID: kid, Curve: int64(signingCurve), Alg: int64(signingAlg), Key: secret.Hide(k.Secret())}, err
}

const signingKIDSize = 4

func (k *signingKey) private() (*cose.PrivateKey, error) {
	return cose.NewPrivateKey(cose.Curve(k.Curve), k.Key.Bytes())
}

// sign returns the key as package ace has it.
func (k *signingKey) sign() (ace.SigningKey, error) {
	key, err := k.private()
	return ace.SigningKey{KID: bytes.Clone(k.KID), Alg: cose.Algorithm(k.Alg), Key: key}, err
}

func loadSigning(r keystore.Reader) (*signingRecord, error) {
	return loadOr(r, nameSigning(), signingRecord{Schema: schema})
}

// current returns the key that signs at a time; nil if there is none.
func (r *signingRecord) current(now int64) *signingKey {
	for i := range slices.Backward(r.Keys) {
		if r.Keys[i].From <= now {
			return &r.Keys[i]
		}
	}
	return nil
}

// trustedSigning returns the records of the keys that may verify, the newest first.
func (s *Service) trustedSigning(r keystore.Reader) ([]ace.TrustedAS, error) {
	rec, err := loadSigning(r)
	if err != nil {
		return nil, err
	}
	var list []ace.TrustedAS
	now := s.now().Unix()
	for _, k := range slices.Backward(rec.Keys) {
		if k.Until != 0 && k.Until <= now {
			continue
		}
		sk, err := k.sign()
		if err != nil {
			return nil, err
		}
		list = append(list, ace.TrustedAS{Issuer: s.cfg.Issuer, Verify: sk.Public()})
	}
	return list, nil
}

// ensureSigningKey makes the first key that signs tokens, at first need.
func (s *Service) ensureSigningKey(ctx context.Context) error {
	return s.addSigningKey(ctx, 0, func(r *signingRecord) bool { return len(r.Keys) == 0 })
}

// RotateSigningKey makes a new key that signs tokens and returns it in the form resource servers take in. It verifies at once, but
// signs only after the overlap, 0 to 30 days, so that all of them can be told meanwhile. Errors wrap [ErrInvalid].
func (s *Service) RotateSigningKey(ctx context.Context, audience string, overlap time.Duration) (*ace.RSEnrolment, error) {
	if err := checkOverlap(overlap); err != nil {
		return nil, err
	}
	if err := s.addSigningKey(ctx, overlap, func(*signingRecord) bool { return true }); err != nil {
		return nil, err
	}
	e := &ace.RSEnrolment{Issuer: s.cfg.Issuer, Audience: audience}
	err := s.store.View(func(r keystore.Reader) error {
		list, err := s.trustedSigning(r)
		if err == nil {
			e.Trusted = list[:1]
		}
		return err
	})
	return e, err
}

func (s *Service) addSigningKey(ctx context.Context, overlap time.Duration, wanted func(*signingRecord) bool) error {
	k, err := s.newSigningKey()
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		r, err := loadSigning(tx)
		if err != nil || !wanted(r) {
			return err
		}
		now := s.now()
		r.Keys = slices.DeleteFunc(r.Keys, func(k signingKey) bool { return k.Until != 0 && k.Until <= now.Unix() })
		if len(r.Keys) >= maxSigningKeys {
			return fmt.Errorf("%w: %d keys that sign tokens are in use", ErrInvalid, len(r.Keys))
		}
		k.From = now.Add(overlap).Unix()
		if len(r.Keys) == 0 {
			k.From = 0
		}
		for i := range r.Keys {
			if old := &r.Keys[i]; old.Until == 0 { // no token lives longer
				old.Until = time.Unix(max(k.From, old.From), 0).Add(maxTokenLifetime).Unix()
			}
		}
		r.Keys = append(r.Keys, k)
		r.Count++
		return errors.Join(put(tx, nameSigning(), r), s.audit(ctx, tx, auditEvent{
			Event: "signing-key.added", Detail: fmt.Sprintf("%x, signs from %s", k.KID, unix(k.From).Format(time.RFC3339)),
		}))
	})
}

// AudienceRequest says what audience of several resource servers to register.
type AudienceRequest struct {
	Audience string        // its name in tokens, unique among all audiences
	Members  []string      // audiences of the resource servers, at most 8
	Lifetime time.Duration // of tokens for it; 0: [DefaultTokenLifetime]
}

// RegisterAudience registers an audience of several resource servers. Tokens for it are signed, and bound to a public key of the
// client: a key that several share would let each pass for the client (RFC 9200, Sections 6.1 and 6.9). The resource servers have to
// be configured with the name. Errors wrap [ErrExists], [ErrNotFound] or [ErrInvalid].
func (s *Service) RegisterAudience(ctx context.Context, q AudienceRequest) error {
	if q.Lifetime == 0 {
		q.Lifetime = DefaultTokenLifetime
	}
	switch err := checkName("audience", q.Audience); {
	case err != nil:
		return err
	case q.Lifetime < minTokenLifetime || q.Lifetime > maxTokenLifetime:
		return fmt.Errorf("%w: token lifetime %v, not a minute to 366 days", ErrInvalid, q.Lifetime)
	case len(q.Members) < 2 || len(q.Members) > maxMembers:
		return fmt.Errorf("%w: %d members, not 2 to %d", ErrInvalid, len(q.Members), maxMembers)
	}
	rs := &rsRecord{Schema: schema, Audience: q.Audience, Lifetime: int64(q.Lifetime / time.Second), Form: FormSigned}
	err := s.store.View(func(r keystore.Reader) error {
		for _, name := range q.Members {
			m, err := s.rsNamed(r, name)
			if err != nil {
				return err
			}
			if m.isGroup() || slices.Contains(rs.Members, m.Number) {
				return fmt.Errorf("%w: %q is an audience of several, or named twice", ErrInvalid, name)
			}
			rs.Members = append(rs.Members, m.Number)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.ensureSigningKey(ctx); err != nil {
		return err
	}
	return s.addRS(ctx, rs, "audience.registered", func() {})
}

// commonProfiles returns the profiles that all members of an audience have, those of the resource server itself otherwise.
func commonProfiles(r keystore.Reader, rs *rsRecord) ([]ace.Profile, error) {
	if !rs.isGroup() {
		return profiles(rs.Profiles), nil
	}
	var common []ace.Profile
	for i, m := range rs.Members {
		member, err := load[rsRecord](r, nameRS(m))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			common = profiles(member.Profiles)
			continue
		}
		has := profiles(member.Profiles)
		common = slices.DeleteFunc(common, func(p ace.Profile) bool { return !slices.Contains(has, p) })
	}
	return common, nil
}

// exiCTI returns the claim cti of the next token with exi for a resource server (RFC 9200, Section 5.10.3).
func (rs *rsRecord) exiCTI() []byte {
	rs.Exis++
	return ace.ExiID(rs.Audience, rs.Exis)
}

// plainCTI returns the claim cti of any other token: its number here, and random bytes.
func plainCTI(number uint64, random []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, number), random...)
}

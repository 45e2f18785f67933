package trust

import (
	"bytes"
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

// Local limits.
const (
	maxAS   = 32 // Authorization Servers: each is followed
	maxKeys = 8  // of one
)

// AS is an Authorization Server as the operator sees it.
type AS struct {
	Issuer     string
	Keys       int
	Lenient    bool
	Introspect bool
	References bool
	URI        string // of the association; empty: none
	Follows    bool   // its list of revoked tokens is followed
	Added      time.Time
}

// Add trusts the Authorization Server of an enrolment from now on. Errors wrap [ErrExists] or [ErrInvalid].
func (s *Service) Add(ctx context.Context, e *ace.RSEnrolment) error {
	if err := s.check(e); err != nil {
		return err
	}
	s.forget(e.Issuer)
	return s.change(ctx, func(tx *keystore.Tx, all []*asRecord) error {
		if find(all, e.Issuer) != nil {
			return fmt.Errorf("authorization server %q: %w", e.Issuer, ErrExists)
		}
		if len(all) >= maxAS {
			return fmt.Errorf("%w: more than %d authorization servers", ErrInvalid, maxAS)
		}
		n, err := loadCounters(tx)
		if err != nil {
			return err
		}
		n.AS++
		as := &asRecord{Schema: schema, Number: n.AS, Issuer: e.Issuer, Audience: e.Audience, Added: s.cfg.Clock.Now().Unix()}
		if err := as.take(e); err != nil {
			return err
		}
		return errors.Join(put(tx, nameCounters(), n), put(tx, nameAS(as.Number), as), s.audit(ctx, tx, auditEvent{Event: "as.added", Issuer: e.Issuer}))
	})
}

// Rotate adds the keys of an enrolment to those of an Authorization Server that is trusted already, and takes over the association if
// there is one in it. Of more than 8 keys the oldest go. Errors wrap [ErrNotFound] or [ErrInvalid].
func (s *Service) Rotate(ctx context.Context, e *ace.RSEnrolment) error {
	if err := s.check(e); err != nil {
		return err
	}
	if e.AS.URI != "" {
		s.forget(e.Issuer)
	}
	return s.change(ctx, func(tx *keystore.Tx, all []*asRecord) error {
		as := find(all, e.Issuer)
		if as == nil {
			return fmt.Errorf("authorization server %q: %w", e.Issuer, ErrNotFound)
		}
		if err := as.take(e); err != nil {
			return err
		}
		return errors.Join(put(tx, nameAS(as.Number), as), s.audit(ctx, tx, auditEvent{
			Event: "as.keys-added", Issuer: e.Issuer, Count: len(e.Trusted),
		}))
	})
}

// Remove trusts an Authorization Server no longer: no token of it is taken from now on. Those that were taken stay until they end;
// who wants them to end at once ends their clients. Errors wrap [ErrNotFound].
func (s *Service) Remove(ctx context.Context, issuer string) error {
	return s.change(ctx, func(tx *keystore.Tx, all []*asRecord) error {
		as := find(all, issuer)
		if as == nil {
			return fmt.Errorf("authorization server %q: %w", issuer, ErrNotFound)
		}
		return errors.Join(tx.Delete(nameAS(as.Number)), s.audit(ctx, tx, auditEvent{Event: "as.removed", Issuer: issuer}))
	})
}

func (s *Service) check(e *ace.RSEnrolment) error {
	if err := e.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if e.Audience != s.cfg.Audience {
		return fmt.Errorf("%w: the enrolment is for %q, this is %q", ErrInvalid, e.Audience, s.cfg.Audience)
	}
	return nil
}

// change runs one change of who is trusted, and tells it.
func (s *Service) change(ctx context.Context, fn func(tx *keystore.Tx, all []*asRecord) error) error {
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		all, err := loadAll(tx)
		if err != nil {
			return err
		}
		return fn(tx, all)
	})
	if err != nil {
		return err
	}
	list, err := s.Trusted()
	if err == nil {
		s.cfg.Changed(list)
		s.rouse()
	}
	return err
}

// take takes over what an enrolment says.
func (as *asRecord) take(e *ace.RSEnrolment) error {
	for _, t := range slices.Backward(e.Trusted) { // the newest comes first there
		as.Lenient, as.Introspect, as.References = t.Lenient, t.Introspect, t.References
		if t.Key.Alg != 0 {
			as.addKey(keyRecord{KID: t.Key.KID, Alg: int64(t.Key.Alg), Key: t.Key.Key.Bytes().Clone()})
		}
		if t.Verify.Alg != 0 {
			b, err := t.Verify.Key.MarshalCBOR()
			if err != nil {
				return err
			}
			as.addKey(keyRecord{KID: t.Verify.KID, Alg: int64(t.Verify.Alg), Public: b})
		}
	}
	if len(as.Keys) > maxKeys {
		as.Keys = slices.Delete(as.Keys, 0, len(as.Keys)-maxKeys)
	}
	if e.AS.URI != "" {
		as.URI, as.ID, as.ASID, as.Secret, as.Salt = e.AS.URI, e.AS.ID, e.AS.ASID, e.AS.Secret.Bytes().Clone(), e.AS.Salt.Bytes().Clone()
		as.IntroPath, as.ListPath, as.MaxN, as.Batch = e.IntrospectPath, "", 0, 0
		if e.TRL != nil {
			as.ListPath, as.MaxN, as.Batch = e.TRL.Path, e.TRL.MaxN, e.TRL.MaxDiffBatch
		}
	}
	return nil
}

func (as *asRecord) addKey(k keyRecord) {
	if !slices.ContainsFunc(as.Keys, func(o keyRecord) bool {
		return bytes.Equal(o.KID, k.KID) && o.Alg == k.Alg && o.Key.Equal(k.Key) && bytes.Equal(o.Public, k.Public)
	}) {
		as.Keys = append(as.Keys, k)
	}
}

func loadAll(r keystore.Reader) ([]*asRecord, error) {
	var all []*asRecord
	err := r.Scan(nameAllAS(), func(n keystore.Name, b []byte) error {
		as, err := decode[asRecord](n, b)
		all = append(all, as)
		return err
	})
	return all, err
}

func find(all []*asRecord, issuer string) *asRecord {
	for _, as := range all {
		if as.Issuer == issuer {
			return as
		}
	}
	return nil
}

func (s *Service) all() (list []*asRecord, err error) {
	err = s.store.View(func(r keystore.Reader) (err error) {
		list, err = loadAll(r)
		return err
	})
	return list, err
}

// ASs returns the Authorization Servers that are trusted, without their secrets.
func (s *Service) ASs() ([]AS, error) {
	all, err := s.all()
	var list []AS
	for _, as := range all {
		list = append(list, AS{
			Issuer: as.Issuer, Keys: len(as.Keys), Lenient: as.Lenient, Introspect: as.Introspect, References: as.References, URI: as.URI,
			Follows: as.ListPath != "", Added: time.Unix(as.Added, 0).UTC(),
		})
	}
	return list, err
}

// Trusted returns what the resource server of package ace is to trust, the newest keys of each first.
func (s *Service) Trusted() ([]ace.TrustedAS, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	var list []ace.TrustedAS
	for _, as := range all {
		base := ace.TrustedAS{Issuer: as.Issuer, Lenient: as.Lenient, Introspect: as.Introspect, References: as.References}
		if len(as.Keys) == 0 {
			list = append(list, base)
		}
		for _, k := range slices.Backward(as.Keys) {
			t := base
			if k.Public == nil {
				t.Key = ace.TokenKey{KID: k.KID, Alg: cose.Algorithm(k.Alg), Key: secret.Hide(k.Key)}
			} else {
				pub, err := cose.ParsePublicKey(k.Public)
				if err != nil {
					return nil, fmt.Errorf("authorization server %q: %w", as.Issuer, err)
				}
				t.Verify = ace.VerifyKey{KID: k.KID, Alg: cose.Algorithm(k.Alg), Key: pub}
			}
			list = append(list, t)
		}
	}
	return list, nil
}

// Association is how an Authorization Server is asked.
type Association struct {
	AS             ace.EnrolmentAS
	IntrospectPath string
	ListPath       string
}

// Association returns how the Authorization Server called issuer is asked; [ErrNotFound] if it cannot be.
func (s *Service) Association(issuer string) (*Association, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	as := find(all, issuer)
	if as == nil || as.URI == "" {
		return nil, fmt.Errorf("association with authorization server %q: %w", issuer, ErrNotFound)
	}
	return &Association{
		AS:             ace.EnrolmentAS{URI: as.URI, ID: as.ID, ASID: as.ASID, Secret: secret.Hide(as.Secret), Salt: secret.Hide(as.Salt)},
		IntrospectPath: as.IntroPath, ListPath: as.ListPath,
	}, nil
}

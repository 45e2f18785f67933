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
	// Form is how tokens for it are protected; FormSigned cannot carry input material of the OSCORE profile.
	Form TokenForm
	// Exi has tokens say for how many seconds they live from their arrival, for a resource server without this server's time.
	Exi bool
	// Profiles are those it has; none stands for the OSCORE profile.
	Profiles []ace.Profile
	// PublicKey is told to clients that bind a token to a key of their own (rs_cnf). It has one key, not several for one
	// algorithm (RFC 9201, Section 7). Nil: nothing is told.
	PublicKey *cose.PublicKey
}

// TokenForm is how tokens are protected.
type TokenForm uint8

// The forms.
const (
	FormEncrypted TokenForm = iota // by the key shared with the resource server
	FormSigned                     // by the key of this server; everybody can read them
	FormNested                     // signed, then encrypted
)

// String returns the name of the form.
func (f TokenForm) String() string {
	switch f {
	case FormSigned:
		return "signed"
	case FormNested:
		return "nested"
	}
	return "encrypted"
}

func (f TokenForm) signs() bool { return f != FormEncrypted }

// tokenAlg protects tokens: AES-CCM with a tag of 16 bytes, as a token lives for hours.
const tokenAlg = cose.AlgAESCCM16_128_128

// Sizes of tokenAlg, in bytes.
const (
	tokenKeySize   = 16
	tokenNonceSize = 13
)

// RegisterRS registers a resource server of this process with a random token key, and returns what that server has to trust.
// Errors wrap [ErrExists] or [ErrInvalid].
func (s *Service) RegisterRS(ctx context.Context, q RSRequest) (ace.TrustedAS, error) {
	rs, err := s.register(ctx, q, false)
	if err != nil {
		return ace.TrustedAS{}, err
	}
	return s.trustedKeys(rs)[0], nil
}

// EnrolRS registers a resource server that is another process. It gets, besides the token keys, an association of its own with this
// server, for introspection and the list of revoked tokens. The secrets leave the server here and never again.
// Errors wrap [ErrExists] or [ErrInvalid].
func (s *Service) EnrolRS(ctx context.Context, q RSRequest) (*ace.RSEnrolment, error) {
	rs, err := s.register(ctx, q, true)
	if err != nil {
		return nil, err
	}
	return s.enrolment(rs)
}

// ReenrolRS gives a resource server a new secret for its association, for instance after an alarm; its token keys stay. One that was
// revoked comes back. Errors wrap [ErrNotFound].
func (s *Service) ReenrolRS(ctx context.Context, audience string) (*ace.RSEnrolment, error) {
	random, err := s.random(secretSize + saltSize)
	if err != nil {
		return nil, err
	}
	var rs *rsRecord
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		if rs, err = s.rsNamed(tx, audience); err != nil {
			return err
		}
		rs.Secret, rs.Salt, rs.Revoked = secret.Hide(random[:secretSize]), secret.Hide(random[secretSize:]), 0
		return errors.Join(put(tx, nameRS(rs.Number), rs), s.audit(ctx, tx, auditEvent{Event: "rs.reenrolled", Audience: audience}))
	})
	if err != nil {
		return nil, err
	}
	s.forget(rs.peer())
	return s.enrolment(rs)
}

func (s *Service) enrolment(rs *rsRecord) (*ace.RSEnrolment, error) {
	trusted, err := s.TrustedAS(rs.Audience)
	if err != nil {
		return nil, err
	}
	return &ace.RSEnrolment{
		Issuer: s.cfg.Issuer, Audience: rs.Audience, Trusted: trusted, AS: s.association(rs.peer(), rs.Secret, rs.Salt),
		IntrospectPath: s.cfg.IntrospectPath, TRL: s.listInfo(),
	}, nil
}

func (s *Service) register(ctx context.Context, q RSRequest, remote bool) (*rsRecord, error) {
	if q.Lifetime == 0 {
		q.Lifetime = DefaultTokenLifetime
	}
	has, err := storeProfiles(q.Profiles)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Lifetime < minTokenLifetime || q.Lifetime > maxTokenLifetime:
		return nil, fmt.Errorf("%w: token lifetime %v, not a minute to 366 days", ErrInvalid, q.Lifetime)
	case q.URI == "":
		return nil, fmt.Errorf("%w: resource server without URI", ErrInvalid)
	case q.Form > FormNested:
		return nil, fmt.Errorf("%w: unknown form of tokens", ErrInvalid)
	case q.Form == FormSigned && slices.Contains(profiles(has), ace.ProfileCoAPOSCORE):
		return nil, fmt.Errorf("%w: signed tokens cannot carry the input material of the OSCORE profile", ErrInvalid)
	}
	if err := checkName("audience", q.Audience); err != nil {
		return nil, err
	}
	var public []byte
	if q.PublicKey != nil {
		if public, err = q.PublicKey.MarshalCBOR(); err != nil {
			return nil, fmt.Errorf("%w: public key: %w", ErrInvalid, err)
		}
	}
	if q.Form.signs() {
		if err := s.ensureSigningKey(ctx); err != nil {
			return nil, err
		}
	}
	random, err := s.random(tokenKeySize + secretSize + saltSize)
	if err != nil {
		return nil, err
	}
	rs := &rsRecord{
		Schema: schema, Audience: q.Audience, URI: q.URI, Lifetime: int64(q.Lifetime / time.Second), Extended: q.ExtendedScope,
		Form: q.Form, Exi: q.Exi, Profiles: has, PublicKey: public,
	}
	return rs, s.addRS(ctx, rs, "rs.registered", func() {
		rs.addKey(random[:tokenKeySize], 0)
		if remote {
			rs.Secret, rs.Salt = secret.Hide(random[tokenKeySize:tokenKeySize+secretSize]), secret.Hide(random[tokenKeySize+secretSize:])
		}
	})
}

// addRS gives a record a number and stores it under its name.
func (s *Service) addRS(ctx context.Context, rs *rsRecord, event string, complete func()) error {
	return s.store.Update(ctx, func(tx *keystore.Tx) error {
		n, err := loadCounters(tx)
		if err != nil {
			return err
		}
		n.RS++
		index := nameRSName(s.store.Index(domainRS, []byte(rs.Audience)))
		if err := claim(tx, index, []byte(rs.Audience), n.RS); err != nil {
			return fmt.Errorf("resource server %q: %w", rs.Audience, err)
		}
		rs.Number = n.RS
		complete()
		return errors.Join(put(tx, nameCounters(), n), put(tx, nameRS(rs.Number), rs), s.audit(ctx, tx, auditEvent{Event: event, Audience: rs.Audience}))
	})
}

func (rs *rsRecord) peer() Peer { return Peer{PeerRS, rs.Number} }

// isGroup says whether rs is an audience of several.
func (rs *rsRecord) isGroup() bool { return len(rs.Members) > 0 }

// RevokeRS ends a resource server's association with this server: it introspects and follows no more, and no tokens are issued for
// it. Errors wrap [ErrNotFound].
func (s *Service) RevokeRS(ctx context.Context, audience, cause string) error {
	var rs *rsRecord
	err := s.store.Update(ctx, func(tx *keystore.Tx) (err error) {
		if rs, err = s.rsNamed(tx, audience); err != nil || rs.Revoked != 0 {
			return err
		}
		rs.Revoked = s.now().Unix()
		return errors.Join(put(tx, nameRS(rs.Number), rs), s.audit(ctx, tx, auditEvent{Event: "rs.revoked", Audience: audience, Cause: cause}))
	})
	if err == nil {
		s.forget(rs.peer())
	}
	return err
}

// rsNamed reads a resource server by audience.
func (s *Service) rsNamed(r keystore.Reader, audience string) (*rsRecord, error) {
	n, err := lookUp(r, nameRSName(s.store.Index(domainRS, []byte(audience))), []byte(audience))
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%q: %w", audience, ErrNoServer)
	}
	if err != nil {
		return nil, fmt.Errorf("resource server %q: %w", audience, err)
	}
	return load[rsRecord](r, nameRS(n))
}

// RS is a resource server, or an audience of several, as the operator sees it.
type RS struct {
	Audience string
	URI      string
	Lifetime time.Duration
	Tokens   uint64 // sealed by the present key
	Form     TokenForm
	Exi      bool
	Profiles []ace.Profile
	Remote   bool      // it has an association of its own
	Revoked  time.Time // zero: in use
	Alarms   uint64    // times its secret was seen in use twice
	Keys     int       // token keys that open
	Members  []string  // of an audience of several
}

// ResourceServers returns all resource servers and audiences of several.
func (s *Service) ResourceServers() ([]RS, error) {
	var list []RS
	err := s.store.View(func(r keystore.Reader) error {
		now := s.now().Unix()
		return r.Scan(nameAllRS(), func(n keystore.Name, b []byte) error {
			rs, err := decode[rsRecord](n, b)
			if err != nil {
				return err
			}
			v := RS{
				Audience: rs.Audience, URI: rs.URI, Lifetime: time.Duration(rs.Lifetime) * time.Second, Form: rs.Form, Exi: rs.Exi,
				Profiles: profiles(rs.Profiles), Remote: !rs.Secret.IsZero(), Revoked: unix(rs.Revoked), Alarms: rs.Alarms, Keys: len(rs.opening(now)),
			}
			if k := rs.sealing(now); k != nil {
				v.Tokens = k.Used
			}
			for _, m := range rs.Members {
				member, err := load[rsRecord](r, nameRS(m))
				if err != nil {
					return err
				}
				v.Members = append(v.Members, member.Audience)
			}
			list = append(list, v)
			return nil
		})
	})
	return list, err
}

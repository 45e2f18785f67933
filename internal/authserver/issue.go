package authserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Issue answers a token request of a client, which its association with this server has authenticated. An error that is an
// [*ace.Error] is the answer to a request that is refused; it is in the audit log as the token is otherwise. Every other error
// is a fault of this server.
func (s *Service) Issue(ctx context.Context, client uint64, q *ace.TokenRequest) (*ace.TokenResponse, error) {
	random, err := s.random(secretSize + saltSize + ctiRandom + tokenNonceSize - counterSize)
	if err != nil {
		return nil, err
	}
	var resp *ace.TokenResponse
	var refusal *ace.Error
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		c, err := loadClient(tx, client)
		if errors.Is(err, ErrNotFound) || (err == nil && c.Revoked != 0) {
			refusal = &ace.Error{Code: codes.Unauthorized, Number: ace.InvalidClient, Err: ErrDisabled}
			return s.audit(ctx, tx, refused("", fmt.Sprintf("client %d is not enrolled", client)))
		}
		if err != nil {
			return err
		}
		i := &issue{s: s, tx: tx, client: c, request: q, random: random, now: s.now()}
		resp, err = i.run(ctx)
		if errors.As(err, &refusal) {
			return s.audit(ctx, tx, refused(c.Name, refusal.Error()))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return resp, nil
}

// Refuse writes the audit record of a token request that could not be read, and returns the answer to it. err is of
// [ace.ParseTokenRequest].
func (s *Service) Refuse(ctx context.Context, client string, err error) (*ace.Error, error) {
	e := refusal(err)
	return e, s.store.Update(ctx, func(tx *keystore.Tx) error { return s.audit(ctx, tx, refused(client, e.Error())) })
}

func refusal(err error) *ace.Error {
	switch {
	case errors.Is(err, ace.ErrScope):
		return deny(ace.InvalidScope, "%w", err)
	case errors.Is(err, ace.ErrInputMaterial):
		return deny(ace.UnsupportedPoPKey, "%w", err)
	}
	return deny(ace.InvalidRequest, "%w", err)
}

func refused(client, why string) auditEvent {
	return auditEvent{Event: "token.refused", Actor: client, Client: client, Cause: why}
}

// deny makes the answer to a request that is refused: 4.00 and why (RFC 9200, Section 5.8.3).
func deny(n ace.ErrorCode, format string, args ...any) *ace.Error {
	err := fmt.Errorf(format, args...)
	return &ace.Error{Code: codes.BadRequest, Number: n, Description: err.Error(), Err: err}
}

// issue is one token on its way. Nothing is written before everything was judged.
type issue struct {
	s       *Service
	tx      *keystore.Tx
	client  *clientRecord
	request *ace.TokenRequest
	random  []byte
	now     time.Time

	rs      *rsRecord
	scope   ace.Scope
	expires time.Time
}

// take takes the next n random bytes.
func (i *issue) take(n int) []byte {
	b := i.random[:n:n]
	i.random = i.random[n:]
	return b
}

func (i *issue) run(ctx context.Context) (*ace.TokenResponse, error) {
	if err := i.judge(); err != nil {
		return nil, err
	}
	lifetime := time.Duration(i.rs.Lifetime) * time.Second
	i.expires = i.now.Add(lifetime).Truncate(time.Second)
	material, cnf, err := i.material()
	if err != nil {
		return nil, err
	}
	token, err := i.seal(ctx, material, cnf)
	if err != nil {
		return nil, err
	}
	resp := &ace.TokenResponse{AccessToken: token, ExpiresIn: lifetime}
	if cnf.OSC != nil {
		resp.Cnf = cnf
	}
	if i.request.AskProfile {
		resp.Profile = ace.ProfileCoAPOSCORE
	}
	if i.request.Scope == nil || !i.scope.Equal(i.request.Scope) {
		resp.Scope = i.scope
	}
	return resp, nil
}

// judge finds the resource server and what may be granted. It denies by default.
func (i *issue) judge() error {
	q, c := i.request, i.client
	if q.GrantType != ace.GrantClientCredentials {
		return deny(ace.UnsupportedGrantType, "only client credentials are served")
	}
	if q.Profile != 0 && q.Profile != ace.ProfileCoAPOSCORE {
		return deny(ace.IncompatibleACEProfiles, "only the OSCORE profile is served")
	}
	audience := q.Audience
	if audience == "" {
		audience = c.Audience
	}
	var err error
	if i.rs, err = i.s.rsNamed(i.tx, audience); errors.Is(err, ErrNotFound) {
		return deny(ace.InvalidRequest, "unknown audience")
	} else if err != nil {
		return err
	}
	asked := q.Scope
	if asked == nil {
		asked = defaultScope(c.Grants, audience)
	}
	i.scope = permit(c.Grants, audience, asked)
	if len(i.scope) == 0 {
		return deny(ace.InvalidScope, "nothing of this scope is granted")
	}
	return nil
}

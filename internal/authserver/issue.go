package authserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

// codeTooManyRequests is 4.29 (RFC 8516).
const codeTooManyRequests codes.Code = 4<<5 | 29

// Issue answers a token request of a client, which its association with this server has authenticated. An error that is an
// [*ace.Error] is the answer to a request that is refused; it is in the audit log as the token is otherwise, unless the client asks
// too often: then it is only counted. Every other error is a fault of this server.
//
// A token that is encrypted only is issued in one transaction. One that is signed needs two, as nothing is signed inside of them:
// the first draws its numbers, the second judges the request again and stores what was issued.
func (s *Service) Issue(ctx context.Context, p Peer, q *ace.TokenRequest) (*ace.TokenResponse, error) {
	resp, err := s.issue(ctx, p, q)
	var refusal *ace.Error
	if errors.As(err, &refusal) {
		s.cfg.Meter.TokenRefused(refusal.Number)
	}
	return resp, err
}

func (s *Service) issue(ctx context.Context, p Peer, q *ace.TokenRequest) (*ace.TokenResponse, error) {
	if p.Kind != PeerClient {
		return nil, &ace.Error{Code: codes.BadRequest, Number: ace.UnauthorizedClient, Description: "a resource server gets no tokens", Err: ErrDisabled}
	}
	if e := s.tokenAllowed(p); e != nil {
		return nil, e
	}
	random, err := s.random(secretSize + saltSize + ctiRandom + tokenNonceSize - counterSize)
	if err != nil {
		return nil, err
	}
	i := &issue{s: s, request: q, random: secret.Hide(random)}
	if err := i.transact(ctx, p, i.run); err != nil {
		return nil, err
	}
	if i.token == nil { // its numbers are drawn: now it can be signed, and stored if nothing has changed meanwhile
		if err := i.sign(); err != nil {
			return nil, err
		}
		if err := i.transact(ctx, p, i.complete); err != nil {
			return nil, err
		}
	}
	s.cfg.Meter.TokenIssued(i.rs.Audience)
	return i.response(), nil
}

// tokenAllowed returns the answer to a peer that asks for tokens too often.
func (s *Service) tokenAllowed(p Peer) *ace.Error {
	retry, ok := s.tokenLimit.Allow(p)
	if ok {
		return nil
	}
	return &ace.Error{Code: codeTooManyRequests, Description: "too many token requests", RetryAfter: retry}
}

// Refuse writes the audit record of a token request that could not be read, and returns the answer to it. err is of
// [ace.ParseTokenRequest]. Such requests count as others do for whether a peer asks too often: then nothing is written.
func (s *Service) Refuse(ctx context.Context, p Peer, client string, err error) (*ace.Error, error) {
	if e := s.tokenAllowed(p); e != nil {
		s.cfg.Meter.TokenRefused(e.Number)
		return e, nil
	}
	e := refusal(err)
	s.cfg.Meter.TokenRefused(e.Number)
	return e, s.store.Update(ctx, func(tx *keystore.Tx) error { return s.audit(ctx, tx, refused(client, e.Error())) })
}

func refusal(err error) *ace.Error {
	switch {
	case errors.Is(err, ace.ErrScope):
		return deny(ace.InvalidScope, "%w", err)
	case errors.Is(err, ace.ErrInputMaterial), errors.Is(err, ace.ErrPoPKey):
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
	request *ace.TokenRequest
	random  secret.Hidden

	tx      *keystore.Tx
	client  *clientRecord
	now     time.Time
	rs      *rsRecord
	profile ace.Profile
	scope   ace.Scope
	expires time.Time
	cnf     *ace.Confirmation

	claims *ace.Claims
	rec    *tokenRecord
	key    ace.TokenKey // zero: the token is not encrypted
	nonce  []byte
	signer signingKey // zero: the token is not signed
	token  []byte     // nil until it is protected
}

// take takes the next n random bytes.
func (i *issue) take(n int) []byte {
	b := i.random.Bytes()
	i.random = secret.Hide(b[n:])
	return b[:n:n]
}

// transact runs one step in a transaction, for a client that may ask at all. A refusal is an audit record.
func (i *issue) transact(ctx context.Context, p Peer, step func(context.Context) error) error {
	s := i.s
	var refusal *ace.Error
	err := s.store.Update(ctx, func(tx *keystore.Tx) error {
		c, err := loadClient(tx, p.Number)
		if errors.Is(err, ErrNotFound) || (err == nil && c.Revoked != 0) {
			refusal = &ace.Error{Code: codes.Unauthorized, Number: ace.InvalidClient, Err: ErrDisabled}
			return s.audit(ctx, tx, refused("", fmt.Sprintf("client %d is not enrolled", p.Number)))
		}
		if err != nil {
			return err
		}
		i.tx, i.client, i.now = tx, c, s.now()
		if err = step(ctx); errors.As(err, &refusal) {
			return s.audit(ctx, tx, refused(c.Name, refusal.Error()))
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case refusal != nil:
		return refusal
	}
	return nil
}

// run judges the request, draws the numbers of a token and, if it needs no signature, makes and stores it.
func (i *issue) run(ctx context.Context) error {
	if err := i.judge(); err != nil {
		return err
	}
	lifetime := time.Duration(i.rs.Lifetime) * time.Second
	i.expires = i.now.Add(lifetime).Truncate(time.Second)
	material, err := i.bind()
	if err != nil {
		return err
	}
	if err := i.draw(material); err != nil {
		return err
	}
	if i.rs.Form.signs() {
		return nil
	}
	if i.token, err = ace.SealToken(i.key, i.nonce, i.claims); err != nil {
		return err
	}
	return i.store(ctx)
}

// complete stores a token that was signed, unless the client has lost what it grants.
func (i *issue) complete(ctx context.Context) error {
	granted, claims, cnf := i.scope, i.claims, i.cnf
	if err := i.judge(); err != nil {
		return err
	}
	i.claims, i.cnf = claims, cnf
	if !i.scope.Equal(granted) {
		return deny(ace.InvalidScope, "the client's grants have just changed")
	}
	return i.store(ctx)
}

// response tells the client what it needs.
func (i *issue) response() *ace.TokenResponse {
	resp := &ace.TokenResponse{AccessToken: i.token, ExpiresIn: time.Duration(i.rs.Lifetime) * time.Second}
	if i.cnf.OSC != nil {
		resp.Cnf = i.cnf
	}
	if !i.cnf.Key.IsZero() && i.rs.PublicKey != nil && !i.rs.isGroup() {
		resp.RSCnf = &ace.Confirmation{Key: secret.Hide(i.rs.PublicKey)}
	}
	if i.request.AskProfile {
		resp.Profile = i.profile
	}
	if i.request.Scope == nil || !i.scope.Equal(i.request.Scope) {
		resp.Scope = i.scope
	}
	return resp
}

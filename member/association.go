package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// association is the OSCORE Security Context with the Group Manager that a
// token gave (RFC 9203). Its keys depend on nonces of this process, so it ends
// with it, and its sequence numbers need not be stored.
type association struct {
	token     *accessToken
	ctx       *oscore.Context
	challenge []byte // kdcchallenge, N_S
	info      *ace.AuthzInfoResponse
}

// nonceSize is the length of the nonces the device makes, in bytes (RFC 9203,
// Section 4.1; RFC 9594, Section 4.3.1).
const nonceSize = 8

// associated returns the association with the Group Manager, and whether it
// was made just now. One that exists serves if its token covers want, which
// nil does not restrict. A token covers all groups the device is in, since the
// Group Manager keeps one for each device.
func (d *Device) associated(ctx context.Context, want ace.Scope) (a *association, fresh bool, err error) {
	d.assocMu.Lock()
	defer d.assocMu.Unlock()
	old := d.assoc
	if old != nil && old.ctx != nil && old.token.valid(d.now()) && old.token.covers(want) {
		return old, false, nil
	}
	var token *accessToken
	if old != nil && old.ctx == nil {
		token = old.token // the association was lost, the token was not
	}
	if !token.valid(d.now()) || !token.covers(want) {
		if token, err = d.requestToken(ctx, d.scope(want)); err != nil {
			return nil, false, err
		}
	}
	a, err = d.postToken(ctx, token)
	if err != nil && errors.Is(err, errTokenRejected) && old != nil && token == old.token {
		d.assoc = nil
		if token, err = d.requestToken(ctx, d.scope(want)); err != nil {
			return nil, false, err
		}
		a, err = d.postToken(ctx, token)
	}
	if err != nil {
		return nil, false, err
	}
	d.assoc = a
	if old != nil && old.ctx != nil {
		d.contexts.RemoveOSCORE(old.ctx)
	}
	d.event(Event{Kind: EventAssociated})
	return a, true, nil
}

// forget drops the security context of an association the Group Manager has
// lost. Its token may still be good.
func (d *Device) forget(a *association) {
	d.assocMu.Lock()
	defer d.assocMu.Unlock()
	if d.assoc != a || a.ctx == nil {
		return
	}
	d.contexts.RemoveOSCORE(a.ctx)
	d.assoc = &association{token: a.token}
}

// scope is what the device's token has to cover: its groups, and want.
func (d *Device) scope(want ace.Scope) ace.Scope {
	s := append(ace.Scope{}, want...)
	for _, g := range d.Groups() {
		if want.Group(g.name) == 0 {
			g.mu.Lock()
			s = append(s, ace.ScopeEntry{Group: g.name, Roles: g.rec.roles()})
			g.mu.Unlock()
		}
	}
	return s
}

// errTokenRejected: authz-info did not take the token.
var errTokenRejected = fmt.Errorf("%w: its token was rejected", ErrUnauthorised)

// postToken uploads a token and derives the Security Context (RFC 9203,
// Sections 4.1 to 4.3). The exchange is in clear: nothing in it is believed
// until the first response under the context verifies.
func (d *Device) postToken(ctx context.Context, t *accessToken) (*association, error) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	n1, err := d.random(nonceSize)
	if err != nil {
		return nil, err
	}
	id1, err := d.contexts.NewRecipientID()
	if err != nil {
		return nil, err
	}
	a, err := d.exchangeNonces(ctx, t, n1, id1)
	if err != nil {
		d.contexts.ReleaseRecipientID(id1)
		return nil, err
	}
	if err := d.contexts.AddOSCORE(a.ctx, a, nil); err != nil {
		return nil, err
	}
	return a, nil
}

func (d *Device) exchangeNonces(ctx context.Context, t *accessToken, n1, id1 []byte) (*association, error) {
	q := ace.AuthzInfoRequest{
		AccessToken: t.bytes, Nonce1: n1, RecipientID: id1,
		WantSignInfo: true, WantECDHInfo: true, WantKDCDHCreds: true,
	}
	resp, err := d.ep.Do(ctx, endpoint.Request{
		To: d.gm, Code: codes.POST, Path: "authz-info",
		Options: contentFormat(ace.ContentFormatACE), Payload: q.Marshal(),
	})
	if err != nil {
		return nil, fmt.Errorf("token upload to %s: %w", d.gm, err)
	}
	if resp.Code != codes.Created {
		return nil, fmt.Errorf("%w (%s)", errTokenRejected, coapmsg.CodeString(resp.Code))
	}
	info, err := ace.ParseAuthzInfoResponse(resp.Payload)
	if err != nil {
		return nil, fmt.Errorf("answer to the token upload: %w", err)
	}
	params, err := t.material.ClientContext(n1, info.Nonce2, id1, info.RecipientID)
	if err != nil {
		return nil, fmt.Errorf("association with the group manager: %w", err)
	}
	cx, err := oscore.NewContext(params, oscore.NewEphemeralSequence())
	if err != nil {
		return nil, fmt.Errorf("association with the group manager: %w", err)
	}
	return &association{token: t, ctx: cx, challenge: info.Challenge, info: info}, nil
}

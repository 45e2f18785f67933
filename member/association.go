package member

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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
	ctx  *oscore.Context
	info *ace.AuthzInfoResponse // of the token upload

	mu        sync.Mutex
	token     *accessToken
	challenge []byte         // kdcchallenge, N_S: the latest one
	lost      bool           // the Group Manager has it no more
	former    []*association // not closed before this one has proved good
	over      chan struct{}  // closed when another one takes its place or the Group Manager has lost it
	ended     bool           // over is closed
}

// end closes over.
func (a *association) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.ended = true
		close(a.over)
	}
}

// nonceSize is the length of the nonces the device makes, in bytes (RFC 9203,
// Section 4.1; RFC 9594, Section 4.3.1).
const nonceSize = 8

func (a *association) state() (token *accessToken, lost bool) {
	if a == nil {
		return nil, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token, a.lost
}

// errTokenRejected: authz-info did not take the token.
var errTokenRejected = fmt.Errorf("%w: its token was rejected", ErrUnauthorised)

// associated returns the association with the Group Manager, and whether it
// was made just now. One that exists serves if its token covers want, which
// nil does not restrict. A token covers all groups the device is in, since the
// Group Manager goes by the newest.
func (d *Device) associated(ctx context.Context, want ace.Scope) (a *association, fresh bool, err error) {
	if err := d.assocTurn.take(ctx); err != nil {
		return nil, false, err
	}
	defer d.assocTurn.leave()
	old := d.association()
	var token *accessToken
	good := false
	if old != nil {
		var lost bool
		token, lost = old.state()
		if token.valid(d.now()) && !lost {
			good = token.covers(want)
			if good && d.now().Before(token.renew) {
				return old, false, nil
			}
			err := d.renewRights(ctx, old, token, want)
			switch {
			case err == nil:
				return old, false, nil
			case errors.Is(err, ErrTokenRefused), errors.Is(err, ErrUnauthorised):
				token = nil // perhaps these servers want all of it anew
			case good:
				d.cfg.Log.Warn("token is not renewed yet", "err", err)
				return old, false, nil
			default:
				return nil, false, err
			}
		}
	}
	a, err = d.associate(ctx, token, want)
	if err != nil {
		if _, lost := old.state(); good && !lost {
			d.cfg.Log.Warn("token is not renewed yet", "err", err)
			return old, false, nil
		}
		return nil, false, err
	}
	if old != nil {
		a.former = append(old.takeFormer(), old)
		for len(a.former) > maxFormer {
			d.contexts.RemoveOSCORE(a.former[0].ctx)
			a.former = a.former[1:]
		}
	}
	d.mu.Lock()
	d.assoc = a
	d.mu.Unlock()
	if old != nil {
		old.end()
	}
	d.event(Event{Kind: EventAssociated})
	return a, true, nil
}

func (d *Device) association() *association {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.assoc
}

// associate uploads a token, the given one if it will do.
func (d *Device) associate(ctx context.Context, token *accessToken, want ace.Scope) (*association, error) {
	if token.valid(d.now()) && token.covers(want) {
		a, err := d.postToken(ctx, token)
		if !errors.Is(err, errTokenRejected) {
			return a, err
		}
	}
	token, err := d.requestToken(ctx, want, nil)
	if err != nil {
		return nil, err
	}
	return d.postToken(ctx, token)
}

// renewRights gives an association that works a token that lasts longer or
// permits more (RFC 9203, Sections 3.1 and 4.2). The upload is protected with
// the association, which goes on with its keys and its N_S.
func (d *Device) renewRights(ctx context.Context, a *association, token *accessToken, want ace.Scope) error {
	fresh, err := d.requestToken(ctx, want, token)
	if err != nil {
		a.later(d, token)
		return err
	}
	q := gmRequest{
		op: "token upload", code: codes.POST, path: "authz-info",
		format: ace.ContentFormatACE, payload: (&ace.AuthzInfoRequest{AccessToken: fresh.bytes}).Marshal(),
	}
	r, err := d.ask(ctx, a, q)
	switch {
	case lostAssociation(err), err == nil && r.Code == codes.Unauthorized:
		d.forget(a)
		return errTokenRejected
	case err == nil:
		err = q.refused(r)
	}
	if err != nil {
		a.later(d, token)
		return err
	}
	a.mu.Lock()
	a.token = fresh
	a.mu.Unlock()
	return nil
}

// renewPause is how long to wait after a token could not be renewed.
const renewPause = time.Minute

// later puts off the renewal of a token.
func (a *association) later(d *Device, t *accessToken) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == t {
		next := *t
		next.renew = d.now().Add(d.spread(renewPause, renewPause/2))
		a.token = &next
	}
}

func (a *association) takeFormer() []*association {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.former
	a.former = nil
	return f
}

// proven notes that the Group Manager has an association: those before it are
// of no use any more. Until then it may still send under them.
func (d *Device) proven(a *association) {
	for _, f := range a.takeFormer() {
		d.contexts.RemoveOSCORE(f.ctx)
	}
}

// forget notes that the Group Manager seems to have lost an association. Its
// token may still be good.
func (d *Device) forget(a *association) {
	a.mu.Lock()
	a.lost = true
	a.mu.Unlock()
	a.end()
}

// maxFormer bounds the associations that wait for a better one to prove good.
const maxFormer = 4

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
	for busy := (*busyError)(nil); errors.As(err, &busy) && d.wait(ctx, busy.after) == nil; {
		a, err = d.exchangeNonces(ctx, t, n1, id1)
	}
	if err == nil {
		err = d.contexts.AddOSCORE(a.ctx, a, nil)
	}
	if err != nil {
		d.contexts.ReleaseRecipientID(id1)
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
	switch {
	case resp.Code == codes.Created:
	case resp.Code == codes.TooManyRequests, resp.Code == codes.ServiceUnavailable:
		return nil, &busyError{resp.Code, d.spread(2*maxAge(resp.Options), maxAge(resp.Options))}
	case resp.Code < codes.InternalServerError:
		return nil, fmt.Errorf("%w (%s)", errTokenRejected, coapmsg.CodeString(resp.Code))
	default:
		return nil, fmt.Errorf("token upload: %w: %s", ErrRefused, coapmsg.CodeString(resp.Code))
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
	return &association{token: t, ctx: cx, challenge: info.Challenge, info: info, over: make(chan struct{})}, nil
}

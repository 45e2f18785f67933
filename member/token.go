package member

import (
	"context"
	"fmt"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// accessToken is a token as the Client sees it: opaque, with what came beside
// it (RFC 9200, Section 5.8.2).
type accessToken struct {
	bytes    []byte
	scope    ace.Scope
	material *ace.OSCOREInputMaterial
	ends     time.Time
	renew    time.Time // when to ask for the next one
}

// expiryMargin is how long before its end a token is not used any more: the
// exchanges that follow its upload take their time.
const expiryMargin = 10 * time.Second

func (t *accessToken) valid(now time.Time) bool {
	return t != nil && now.Add(expiryMargin).Before(t.ends)
}

// covers reports whether the token grants all of a scope.
func (t *accessToken) covers(s ace.Scope) bool {
	for _, e := range s {
		if !t.scope.Group(e.Group).Has(e.Roles) {
			return false
		}
	}
	return true
}

// errDenied: the Authorization Server, authenticated, said no.
var errDenied = fmt.Errorf("%w: it grants nothing of this", ErrTokenRefused)

// requestToken gets a token for the device's groups and for want, which it must
// grant. With the token of an association, the new one updates the rights of
// that association and keeps its keys (RFC 9203, Section 3.1). The caller has
// the turn of making associations.
func (d *Device) requestToken(ctx context.Context, want ace.Scope, update *accessToken) (*accessToken, error) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	q := ace.TokenRequest{Audience: d.cfg.Enrolment.Audience, Scope: d.scope(want), GrantType: ace.GrantClientCredentials}
	if update != nil {
		q.ReqCnf = &ace.Confirmation{KID: update.material.ID}
	}
	resp, err := d.askAS(ctx, endpoint.Request{
		To: d.as, Code: codes.POST, Path: d.asPath, Options: contentFormat(ace.ContentFormatACE), Payload: q.Marshal(),
	})
	if lostAssociation(err) {
		return nil, fmt.Errorf("%w: it does not know the device any more: %w", ErrTokenRefused, err)
	}
	if err != nil {
		return nil, fmt.Errorf("token request to %s: %w", d.as, err)
	}
	if resp.Code != codes.Created {
		why, kind := coapmsg.CodeString(resp.Code), ErrTokenRefused
		if e, err := ace.ParseError(resp.Code, resp.Payload); err == nil {
			why = e.Error()
			if e.Number == ace.InvalidScope {
				kind = errDenied
			}
		}
		return nil, fmt.Errorf("%w: %s", kind, why)
	}
	t, err := d.readToken(resp.Payload, q.Scope, update)
	if err != nil {
		return nil, err
	}
	if !t.covers(want) {
		return nil, fmt.Errorf("%w: less than was asked for", errDenied)
	}
	return t, nil
}

// askAS makes a request to the Authorization Server. The secret of the enrolment
// only derives a context, once in a start of the device (RFC 8613, Appendix B.2),
// and again when the server has lost it. So a context that another one replaced
// is never used again by this device: by that the server tells a second holder of
// the secret.
func (d *Device) askAS(ctx context.Context, r endpoint.Request) (*endpoint.Response, error) {
	for again := false; ; again = true {
		if d.asSession == nil || again {
			if d.asSession != nil {
				d.asSession.GiveUp()
			}
			b2, err := oscore.NewB2Client(d.cfg.Enrolment.AS.Params(), d.cfg.Rand)
			if err != nil {
				return nil, fmt.Errorf("association with the authorization server: %w", err)
			}
			d.asSession = endpoint.NewB2Session(b2)
		}
		r.Security = d.asSession
		resp, err := d.ep.Do(ctx, r)
		if again || !d.asSession.Lost(resp, err) {
			return resp, err
		}
	}
}

// readToken reads a token response.
func (d *Device) readToken(payload []byte, asked ace.Scope, update *accessToken) (*accessToken, error) {
	p, err := ace.ParseTokenResponse(payload)
	if err != nil {
		return nil, fmt.Errorf("token response: %w", err)
	}
	now := d.now()
	t := &accessToken{bytes: p.AccessToken, scope: asked, ends: now.Add(p.ExpiresIn)}
	// Between three and four fifths of the lifetime, so that devices enrolled
	// together do not all come at once.
	t.renew = now.Add(d.spread(p.ExpiresIn*4/5, p.ExpiresIn/5))
	if p.Scope != nil {
		t.scope = p.Scope
	}
	switch {
	case update != nil:
		t.material = update.material
	case p.Cnf == nil || p.Cnf.OSC == nil:
		return nil, fmt.Errorf("token response: no input material: %w", ace.ErrMalformed)
	default:
		t.material = p.Cnf.OSC
	}
	return t, nil
}

// scope is what the device's token has to cover: its groups, and want.
func (d *Device) scope(want ace.Scope) ace.Scope {
	s := append(ace.Scope{}, want...)
	for _, g := range d.Groups() {
		if want.Group(g.name) == 0 {
			s = append(s, ace.ScopeEntry{Group: g.name, Roles: g.roles()})
		}
	}
	if len(s) == 0 {
		return nil // what the Authorization Server grants by default
	}
	return s
}

func contentFormat(f message.MediaType) message.Options {
	return message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(f))}}
}

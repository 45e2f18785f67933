package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

// errNoMember: the Group Manager says the device is no member of the group.
var errNoMember = fmt.Errorf("%w: says the group manager", ErrNotMember)

// gmRequest is one request to the Group Manager under the association with it.
type gmRequest struct {
	op      string // for errors
	code    codes.Code
	path    string
	format  message.MediaType // of payload
	payload []byte
	scope   ace.Scope // that the token has to cover beside the device's groups
}

// manager makes a request to the Group Manager and returns a successful
// response. If there is no association, or the Group Manager has lost it, one
// is made first; that is tried once.
func (d *Device) manager(ctx context.Context, q gmRequest) (*endpoint.Response, error) {
	a, fresh, err := d.associated(ctx, q.scope)
	if err != nil {
		return nil, err
	}
	r, err := d.ask(ctx, a, q)
	if lost(r, err) {
		d.forget(a)
		if fresh {
			return nil, fmt.Errorf("%s: %w: it does not know the association made just now", q.op, ErrManager)
		}
		if a, _, err = d.associated(ctx, q.scope); err != nil {
			return nil, err
		}
		if r, err = d.ask(ctx, a, q); lost(r, err) {
			d.forget(a)
		}
	}
	if err != nil {
		return nil, err
	}
	return r, q.refused(r)
}

// ask makes a request under an association and returns the verified response
// whatever its code.
func (d *Device) ask(ctx context.Context, a *association, q gmRequest) (*endpoint.Response, error) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	req := endpoint.Request{To: d.gm, Code: q.code, Path: q.path, Payload: q.payload, Security: endpoint.WithOSCORE(a.ctx)}
	if q.payload != nil {
		req.Options = contentFormat(q.format)
	}
	r, err := d.ep.Do(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.op, err)
	}
	d.proven(a)
	return r, nil
}

// lost reports whether the Group Manager has no such association, or no valid
// token with it, any more.
func lost(r *endpoint.Response, err error) bool {
	return lostAssociation(err) || err == nil && r.Code == codes.Unauthorized
}

// lostAssociation reports whether the server may have forgotten the security
// context. The hint is not authenticated: it costs the device one new
// association, no more.
func lostAssociation(err error) bool {
	var u *endpoint.UnprotectedError
	return errors.As(err, &u) && (u.Code == codes.Unauthorized || u.Code == codes.BadRequest)
}

// refused makes an error of an error response.
func (q gmRequest) refused(r *endpoint.Response) error {
	if r.Code < codes.BadRequest {
		return nil
	}
	e := &Refused{Op: q.op, Code: r.Code, kind: ErrRefused}
	if cf, err := r.Options.ContentFormat(); err == nil && cf == ace.ContentFormatProblem {
		if p, ok, err := groupcomm.ParseProblem(r.Payload); err == nil && ok {
			e.Problem = &p
		}
	}
	switch {
	case e.is(groupcomm.ErrorMembersOnly, groupcomm.ErrorTerminated, groupcomm.ErrorGroupDeleted):
		e.kind = errNoMember
	case e.is(groupcomm.ErrorInactive):
		e.kind = ErrInactive
	case r.Code == codes.Unauthorized || r.Code == codes.Forbidden:
		e.kind = ErrUnauthorised
	}
	return e
}

// is reports whether the refusal named one of these reasons.
func (r *Refused) is(ids ...groupcomm.ErrorID) bool {
	for _, id := range ids {
		if r.Problem != nil && r.Problem.ID == id {
			return true
		}
	}
	return false
}

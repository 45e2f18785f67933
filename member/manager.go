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
}

func (q gmRequest) request(to *Device, p endpoint.Protector) endpoint.Request {
	r := endpoint.Request{To: to.gm, Code: q.code, Path: q.path, Payload: q.payload, Security: p}
	if q.payload != nil {
		r.Options = contentFormat(q.format)
	}
	return r
}

// manager makes a request to the Group Manager and returns a successful
// response. If there is no association, or the Group Manager has lost it, one
// is made first; that is tried once.
func (d *Device) manager(ctx context.Context, q gmRequest) (*endpoint.Response, error) {
	r, err := d.managerRaw(ctx, q)
	if err != nil {
		return nil, err
	}
	return r, q.refused(r)
}

// managerRaw returns the verified response whatever its code.
func (d *Device) managerRaw(ctx context.Context, q gmRequest) (*endpoint.Response, error) {
	ctx, cancel := d.limited(ctx)
	defer cancel()
	a, fresh, err := d.associated(ctx, nil)
	if err != nil {
		return nil, err
	}
	r, err := d.ep.Do(ctx, q.request(d, endpoint.WithOSCORE(a.ctx)))
	if lost := lostAssociation(err) || err == nil && r.Code == codes.Unauthorized; !lost || fresh {
		return r, wrapOp(q.op, err)
	}
	d.forget(a)
	if a, _, err = d.associated(ctx, nil); err != nil {
		return nil, err
	}
	r, err = d.ep.Do(ctx, q.request(d, endpoint.WithOSCORE(a.ctx)))
	return r, wrapOp(q.op, err)
}

// lostAssociation reports whether the server may have forgotten the security
// context. The hint is not authenticated: it costs the device one new
// association, no more.
func lostAssociation(err error) bool {
	var u *endpoint.UnprotectedError
	return errors.As(err, &u) && (u.Code == codes.Unauthorized || u.Code == codes.BadRequest)
}

func wrapOp(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
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
	case e.Problem != nil && (e.Problem.ID == groupcomm.ErrorMembersOnly || e.Problem.ID == groupcomm.ErrorTerminated || e.Problem.ID == groupcomm.ErrorGroupDeleted):
		e.kind = errNoMember
	case e.Problem != nil && e.Problem.ID == groupcomm.ErrorInactive:
		e.kind = ErrInactive
	case r.Code == codes.Unauthorized || r.Code == codes.Forbidden:
		e.kind = ErrUnauthorised
	}
	return e
}

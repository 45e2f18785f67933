package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// Registry is what the Authorization Server knows of devices. *authserver.Service implements it.
type Registry interface {
	Enrol(ctx context.Context, q authserver.EnrolRequest) (*ace.Enrolment, error)
	Clients(after uint64, limit int) ([]authserver.Client, error)
	Client(name string) (authserver.Client, error)
	RevokeClient(ctx context.Context, name, cause string) error
}

// AuthServer is [Devices] and [Tokens] over an Authorization Server.
type AuthServer struct {
	Registry      Registry
	TokenRegistry TokenRegistry
	Audience      string // of the Group Manager that devices are enrolled for
	// Evict puts a revoked device out of all its groups at the Group Manager, and returns out of how many.
	Evict func(ctx context.Context, device string) (groups int, err error)
}

const (
	devicePage  = 1000 // clients read at once
	causeRevoke = "operator"
)

// Enrol implements [Devices].
func (a AuthServer) Enrol(ctx context.Context, spec DeviceSpec) (Enrolled, error) {
	q := authserver.EnrolRequest{Name: spec.Name, Audience: a.Audience}
	for group, text := range spec.Groups {
		roles, err := ace.ParseRoles(text)
		if err != nil {
			return Enrolled{}, fmt.Errorf("%w: group %q: %w", authserver.ErrInvalid, group, err)
		}
		g := authserver.Grant{Audience: a.Audience, Group: group, Roles: roles}
		if strings.ContainsAny(group, "*?") {
			g.Group, g.Pattern = "", group
		}
		q.Grants = append(q.Grants, g)
	}
	slices.SortFunc(q.Grants, func(x, y authserver.Grant) int { return strings.Compare(x.Group+x.Pattern, y.Group+y.Pattern) })
	e, err := a.Registry.Enrol(ctx, q)
	if err != nil {
		return Enrolled{}, err
	}
	file, err := e.Marshal()
	if err != nil {
		return Enrolled{}, err
	}
	d, err := a.Device(ctx, spec.Name)
	return Enrolled{Device: d, Enrolment: file}, err
}

// Devices implements [Devices].
func (a AuthServer) Devices(ctx context.Context) ([]Device, error) {
	var out []Device
	for after := uint64(0); ; {
		page, err := a.Registry.Clients(after, devicePage)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			out = append(out, a.device(c))
			after = c.Number
		}
		if len(page) < devicePage {
			return out, ctx.Err()
		}
	}
}

// Device implements [Devices].
func (a AuthServer) Device(_ context.Context, name string) (Device, error) {
	c, err := a.Registry.Client(name)
	if err != nil {
		return Device{}, err
	}
	return a.device(c), nil
}

// Revoke implements [Devices]: no more tokens, then out of all groups. What was
// interrupted is made good by calling again.
func (a AuthServer) Revoke(ctx context.Context, name string) (groups int, err error) {
	if err := a.Registry.RevokeClient(ctx, name, causeRevoke); err != nil {
		return 0, err
	}
	return a.Evict(ctx, name)
}

func (a AuthServer) device(c authserver.Client) Device {
	d := Device{Name: c.Name, Groups: map[string]string{}, Enrolled: c.Enrolled, Revoked: !c.Revoked.IsZero(), Alarms: c.Alarms}
	for _, g := range c.Grants {
		if name := g.Group + g.Pattern; name != "" && g.Audience == a.Audience {
			d.Groups[name] = g.Roles.String()
		}
	}
	return d
}

// deviceProblem maps the errors of the Authorization Server; nil for others.
func deviceProblem(err error) *Problem {
	switch {
	case errors.Is(err, authserver.ErrNotFound):
		return problem(http.StatusNotFound, "not-found", err.Error(), "device list shows the devices")
	case errors.Is(err, authserver.ErrExists):
		return problem(http.StatusConflict, "exists", err.Error(), "take another name")
	case errors.Is(err, authserver.ErrInvalid):
		return problem(http.StatusBadRequest, "malformed", strings.ReplaceAll(err.Error(), "\n", "; "), "")
	case errors.Is(err, authserver.ErrDisabled):
		return problem(http.StatusConflict, "revoked", err.Error(), "")
	}
	return nil
}

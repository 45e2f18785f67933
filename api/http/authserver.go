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
	Reenrol(ctx context.Context, name string) (*ace.Enrolment, error)
	RevokeTokens(ctx context.Context, name, cause string) error
}

// AuthServer is [Devices] and [Tokens] over an Authorization Server.
type AuthServer struct {
	Registry      Registry
	TokenRegistry TokenRegistry
	Audience      string // of the Group Manager that devices are enrolled for, if nothing else is said
	// Evict puts a device out of all its groups at the Group Manager of this process, and returns out of how many; nil: there is none.
	Evict func(ctx context.Context, device string) (groups int, err error)
	// HasGroup says whether that Group Manager has a group; nil: there is none.
	HasGroup func(ctx context.Context, name string) (bool, error)
}

const (
	devicePage  = 1000 // clients read at once
	causeRevoke = "operator"

	causeReenrol = "enrolled anew"
)

// Enrol implements [Devices].
func (a AuthServer) Enrol(ctx context.Context, spec DeviceSpec) (Enrolled, error) {
	audience := spec.Audience
	if audience == "" {
		audience = a.Audience
	}
	q := authserver.EnrolRequest{Name: spec.Name, Audience: audience}
	var missing []string
	for group, text := range spec.Groups {
		roles, err := ace.ParseRoles(text)
		if err != nil {
			return Enrolled{}, fmt.Errorf("%w: group %q: %w", authserver.ErrInvalid, group, err)
		}
		g := authserver.Grant{Audience: audience, Group: group, Roles: roles}
		if strings.ContainsAny(group, "*?") {
			g.Group, g.Pattern = "", group
		} else if a.HasGroup != nil && audience == a.Audience {
			there, err := a.HasGroup(ctx, group)
			if err != nil {
				return Enrolled{}, err
			}
			if !there {
				missing = append(missing, group)
			}
		}
		q.Grants = append(q.Grants, g)
	}
	slices.SortFunc(q.Grants, func(x, y authserver.Grant) int { return strings.Compare(x.Group+x.Pattern, y.Group+y.Pattern) })
	slices.Sort(missing)
	e, err := a.Registry.Enrol(ctx, q)
	if err != nil {
		return Enrolled{}, err
	}
	return a.enrolled(ctx, e, missing)
}

func (a AuthServer) enrolled(ctx context.Context, e *ace.Enrolment, missing []string) (Enrolled, error) {
	file, err := e.Marshal()
	if err != nil {
		return Enrolled{}, err
	}
	d, err := a.Device(ctx, e.Device)
	return Enrolled{Device: d, Enrolment: file, Missing: missing}, err
}

// Reenrol implements [Devices]: the old secret is worth nothing from then on, and the tokens that were got with it end, unless
// they are to be kept. If that is interrupted the new secret is lost, and calling again makes another.
func (a AuthServer) Reenrol(ctx context.Context, name string, how Reenrolment) (Enrolled, error) {
	e, err := a.Registry.Reenrol(ctx, name)
	if err != nil {
		return Enrolled{}, err
	}
	if !how.KeepTokens {
		if err := a.Registry.RevokeTokens(ctx, name, causeReenrol); err != nil {
			return Enrolled{}, err
		}
		if _, err := a.evict(ctx, name, e.Audience); err != nil {
			return Enrolled{}, err
		}
	}
	return a.enrolled(ctx, e, nil)
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
func (a AuthServer) Revoke(ctx context.Context, name string) (Revoked, error) {
	if err := a.Registry.RevokeClient(ctx, name, causeRevoke); err != nil {
		return Revoked{}, err
	}
	c, err := a.Registry.Client(name)
	if err != nil {
		return Revoked{}, err
	}
	return a.evict(ctx, name, c.Audience)
}

// evict puts a device of an audience out of its groups, as far as they are here.
func (a AuthServer) evict(ctx context.Context, name, audience string) (v Revoked, err error) {
	if v.Elsewhere = a.Evict == nil || audience != a.Audience; a.Evict != nil {
		v.Groups, err = a.Evict(ctx, name)
	}
	return v, err
}

func (a AuthServer) device(c authserver.Client) Device {
	d := Device{Name: c.Name, Groups: map[string]string{}, For: c.Audience, Enrolled: c.Enrolled, Revoked: !c.Revoked.IsZero(), Alarms: c.Alarms}
	for _, g := range c.Grants {
		if name := g.Group + g.Pattern; name != "" && g.Audience == c.Audience {
			d.Groups[name] = g.Roles.String()
		}
	}
	return d
}

// plain is the text of an error in one line, without the sentinel that it begins with: the kind of the problem says that.
func plain(err, sentinel error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.TrimPrefix(strings.TrimSpace(line), sentinel.Error()+": "))
	}
	return strings.Join(lines, "; ")
}

// deviceProblem maps the errors of the Authorization Server; nil for others.
func deviceProblem(err error) *Problem {
	switch {
	case errors.Is(err, authserver.ErrNoServer):
		return problem(http.StatusNotFound, "no-server", err.Error(), "rs list shows the Group Managers that tokens are issued for, rs enroll adds one")
	case errors.Is(err, authserver.ErrNotFound):
		return problem(http.StatusNotFound, "not-found", err.Error(), "device list shows the devices")
	case errors.Is(err, authserver.ErrExists):
		return problem(http.StatusConflict, "exists", err.Error(), "take another name")
	case errors.Is(err, authserver.ErrInvalid):
		return problem(http.StatusBadRequest, "malformed", plain(err, authserver.ErrInvalid), "")
	case errors.Is(err, authserver.ErrDisabled):
		return problem(http.StatusConflict, "revoked", err.Error(), "")
	}
	return nil
}

package manager

import (
	"context"
	"net/url"
	"strings"
)

// Scheme is how rekeyings reach the members of groups (RFC 9594, Section 6). What
// all schemes have in common is done by Service: the new version, the stale Sender
// IDs, and messages of their own to members that are behind, which also serve
// those whom another scheme did not reach.
type Scheme interface {
	// Number is the value of rekeying_scheme; 0 is Point-to-Point.
	Number() int64
	// Announce is what members of a group are told when they join, beside the
	// number.
	Announce(group string) Announcement
	// Rekeyed is called with each new version of a group, once it is durable, and
	// sends what goes to all at once. payload is a rekeying message, which must be
	// protected on its way.
	Rekeyed(ctx context.Context, group string, version uint64, payload []byte) error
	// Dissolved is called when all members of a group were evicted at once: they are
	// told together, by DELETE at the address that was announced.
	Dissolved(ctx context.Context, group string) error
}

// Announcement is what a member needs to follow a scheme.
type Announcement struct {
	ManagementKeys []byte // mgt_key_material; nil: none
	// ControlURI is control_group_uri, which addresses all members; empty: none.
	ControlURI string
}

// PointToPoint is the scheme in which each member is sent a message of its own
// (RFC 9594, Section 6.1). It announces nothing.
type PointToPoint struct{}

var _ Scheme = PointToPoint{}

// Number implements Scheme.
func (PointToPoint) Number() int64 { return 0 }

// Announce implements Scheme.
func (PointToPoint) Announce(string) Announcement { return Announcement{} }

// Rekeyed implements Scheme.
func (PointToPoint) Rekeyed(context.Context, string, uint64, []byte) error { return nil }

// Dissolved implements Scheme.
func (PointToPoint) Dissolved(context.Context, string) error { return nil }

// announcement asks the scheme, and checks its address: a full URI whose path has
// the group's name and is none of the Group Manager's own, with the default port
// if it names none (RFC 9594, Section 4.3.1).
func (s *Service) announcement(group string) (scheme int64, a Announcement, err error) {
	if scheme = s.opt.Scheme.Number(); scheme == 0 {
		return 0, a, nil
	}
	if a = s.opt.Scheme.Announce(group); a.ControlURI == "" {
		return scheme, a, nil
	}
	u, err := url.Parse(a.ControlURI)
	own := "/" + RootPath + "/" + group + "/nodes"
	if err != nil || u.Scheme == "" || u.Host == "" || !strings.Contains(u.Path, group) || strings.TrimSuffix(u.Path, "/") == own {
		return scheme, a, refuse(KindInternal, "the rekeying scheme announces the unusable address %q", a.ControlURI)
	}
	return scheme, a, nil
}

// dissolved tells the scheme when a group has no member left.
func (s *Service) dissolved(ctx context.Context, group string) error {
	h, err := s.headOf(group)
	if err != nil || h.Members > 0 {
		return err
	}
	if err := s.opt.Scheme.Dissolved(ctx, group); err != nil {
		s.log.WarnContext(ctx, "the members of a group are not told together that all were evicted", "group", group, "error", err)
	}
	return nil
}

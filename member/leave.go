package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Leave ends the membership at the Group Manager (RFC 9594, Section 4.8.3) and
// deletes the group's keys. If the Group Manager cannot be reached the device
// stays a member, and the error says so.
func (g *Group) Leave(ctx context.Context) error {
	end, err := g.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := g.Err(); err != nil {
		return err
	}
	_, err = g.d.manager(ctx, gmRequest{op: "leave", code: codes.DELETE, path: g.record().Node})
	if err != nil && !errors.Is(err, errNoMember) {
		return fmt.Errorf("still a member of group %s: %w", g.name, err)
	}
	if err := g.end(ctx, ErrLeft); err != nil {
		return fmt.Errorf("left, but the keys of group %s are not deleted: %w", g.name, err)
	}
	g.event(EventLeft)
	return nil
}

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
	g.change.Lock()
	defer g.change.Unlock()
	g.mu.Lock()
	ended, node := g.ended, g.rec.Node
	g.mu.Unlock()
	if ended != nil {
		return ended
	}
	_, err := g.d.manager(ctx, gmRequest{op: "leave", code: codes.DELETE, path: node})
	if err != nil && !errors.Is(err, errNoMember) {
		return fmt.Errorf("still a member of group %s: %w", g.name, err)
	}
	if err := g.end(ctx, fmt.Errorf("%w: left", ErrNotMember)); err != nil {
		return err
	}
	g.d.event(Event{Kind: EventLeft, Group: g.name})
	return nil
}

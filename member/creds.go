package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// fetchWanted gets the credentials of members not known yet, and lets their
// messages go on. A Sender ID that is no member's costs one request.
func (g *Group) fetchWanted(ctx context.Context) error {
	now := g.d.now()
	g.mu.Lock()
	l, a := g.live, &g.todo
	if len(a.wanted) == 0 || l != nil && a.fetches.ready(now).After(now) {
		g.mu.Unlock()
		return nil
	}
	var ids [][]byte
	for id := range a.wanted {
		ids = append(ids, []byte(id))
	}
	clear(a.wanted)
	if l != nil {
		a.fetches.take(now)
	}
	g.mu.Unlock()
	if l == nil {
		return nil
	}
	// The ids are those to be added to an empty selection of roles.
	err := g.fetchCreds(ctx, groupcomm.CredsFilter{Select: true, Include: true, IDs: ids})
	if errors.Is(err, ErrStaleKey) {
		return nil // a check is on its way
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		// Messages of who is no member stay where they are until their time is
		// over: taken up again they would be wanted again.
		if _, ok := g.dir.get(id); ok {
			g.d.ep.CredentialReady(l.cx.Gid(), id)
		}
	}
	return nil
}

// UpdatePeers asks the Group Manager who the other members are. The device does
// so by itself when it joins and when it missed a rekeying; a member that joined
// later is found out when it is heard.
func (g *Group) UpdatePeers(ctx context.Context) error {
	if err := g.Err(); err != nil {
		return err
	}
	return g.fetchPeers(ctx)
}

// fetchPeers gets the credentials of all members that matter to the device:
// those that answer it and those that ask it.
func (g *Group) fetchPeers(ctx context.Context) error {
	rec := g.record()
	asks, serves := rec.roles().Has(ace.RoleRequester), rec.serves()
	f := groupcomm.CredsFilter{Select: true, Include: true}
	switch {
	case asks && serves:
		f = groupcomm.CredsFilter{} // all
	case asks:
		f.Roles = []ace.Roles{ace.RoleResponder}
	default:
		f.Roles = []ace.Roles{ace.RoleRequester}
	}
	err := g.fetchCreds(ctx, f)
	if err == nil || errors.Is(err, ErrStaleKey) {
		g.mu.Lock()
		g.todo.peers = false
		g.mu.Unlock()
		return nil
	}
	return err
}

// fetchCreds gets credentials of other members, all with the zero filter
// (RFC 9594, Section 4.4). If they
// are of another version than the device has, it missed a rekeying, and they
// are not taken.
func (g *Group) fetchCreds(ctx context.Context, f groupcomm.CredsFilter) error {
	q := gmRequest{op: "credentials", code: codes.GET, path: "ace-group/" + g.name + "/creds"}
	if f.Select {
		q.code, q.format, q.payload = coapmsg.FETCH, ace.ContentFormatGroupcomm, (&groupcomm.CredsRequest{Filter: f}).Marshal()
	}
	r, err := g.d.manager(ctx, q)
	if errors.Is(err, errNoMember) {
		g.recheck()
		return nil
	}
	if err != nil {
		return err
	}
	if r.Code != codes.Content || groupcomm.IsEmptyResult(r.Payload) {
		return nil
	}
	c, err := groupcomm.ParseCredsResponse(r.Payload)
	if err != nil {
		return err
	}
	rec := g.record()
	if c.Version != rec.Epoch.Version {
		g.recheck()
		return fmt.Errorf("%w: credentials are of version %d", ErrStaleKey, c.Version)
	}
	g.learn(ctx, c.Peers, cose.FormatCCS)
	return nil
}

// recheck has the version checked at once.
func (g *Group) recheck() {
	g.mu.Lock()
	g.todo.check = true
	g.mu.Unlock()
	g.wake()
}

package member

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
)

// joined is the outcome of a Join Request that was not refused. Nothing of it is
// believed before check.
type joined struct {
	resp    *groupcomm.JoinResponse
	node    string // path of the own node resource
	nonce   []byte // N_C
	curve   cose.Curve
	created bool // false: the device was a member
}

// joinTries bounds the Join Requests of one join: for an association that was
// lost, for parameters not known before, for a challenge that was replaced.
const joinTries = 4

// joinExchange makes the Join Request. One that the Group Manager answers with
// what the device should have known is made again.
func (g *Group) joinExchange(ctx context.Context) (*joined, error) {
	want := ace.Scope{{Group: g.name, Roles: g.roles()}}
	q := gmRequest{op: "join", code: codes.POST, path: "ace-group/" + g.name, format: ace.ContentFormatGroupcomm}
	var info *groupcomm.JoinInfo
	asked := false // for the parameters of now
	for try := 1; ; try++ {
		a, fresh, err := g.d.associated(ctx, want)
		if err != nil {
			return nil, err
		}
		if info == nil || fresh {
			if info, err = a.joinInfo(g.name); err != nil {
				return nil, err
			}
		}
		out, payload, err := g.joinRequest(ctx, a, info)
		if err != nil {
			return nil, err
		}
		q.payload = payload
		r, err := g.d.ask(ctx, a, q)
		switch {
		case lost(r, err):
			g.d.forget(a)
			if try == joinTries {
				return nil, errors.Join(err, fmt.Errorf("join: %w: no association holds", ErrUnauthorised))
			}
			continue
		case err != nil:
			return nil, err
		}
		if isJoinInfo(r) && try < joinTries {
			if info, err = groupcomm.ParseJoinInfo(r.Payload); err != nil {
				return nil, err
			}
			a.renewChallenge(info.Challenge)
			continue
		}
		err = q.refused(r)
		var refused *Refused
		if errors.As(err, &refused) && refused.is(groupcomm.ErrorCredential, groupcomm.ErrorEvidence) && !asked && try < joinTries {
			// The algorithms or the Group Manager's key are others than at the token upload.
			info, asked = &groupcomm.JoinInfo{}, true
			continue
		}
		if err != nil {
			return nil, err
		}
		return out.read(g.name, r)
	}
}

// isJoinInfo reports whether a response says what the Join Request should have
// been made of.
func isJoinInfo(r *endpoint.Response) bool {
	cf, err := r.Options.ContentFormat()
	return r.Code == codes.BadRequest && err == nil && cf == ace.ContentFormatGroupcomm
}

// renewChallenge notes a new N_S, which replaces the one before.
func (a *association) renewChallenge(c []byte) {
	if c == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.challenge = c
}

// joinRequest makes a Join Request; an empty one, which asks for the group's
// parameters, if they are not known.
func (g *Group) joinRequest(ctx context.Context, a *association, info *groupcomm.JoinInfo) (*joined, []byte, error) {
	entry := ace.ScopeEntry{Group: g.name, Roles: g.roles()}
	nonce, err := g.d.random(nonceSize)
	if err != nil {
		return nil, nil, err
	}
	out := &joined{nonce: nonce}
	q := &groupcomm.JoinRequest{
		Scope: groupcomm.EncodeScope(entry), Entry: entry, GetCreds: &groupcomm.CredsFilter{},
		Nonce: nonce,
	}
	if g.d.cfg.Rekeying.posts() {
		q.ControlURI = g.d.controlURI(g.name)
	}
	if entry.Roles.MonitorOnly() {
		return out, q.Marshal(), nil
	}
	a.mu.Lock()
	challenge := a.challenge
	a.mu.Unlock()
	if info.Sign == nil && info.KDCDH == nil || challenge == nil {
		return out, nil, nil
	}
	if out.curve, err = infoCurve(info); err != nil {
		return nil, nil, err
	}
	rec := g.record()
	id, err := g.keyPair(ctx, &rec, out.curve)
	if err != nil {
		return nil, nil, err
	}
	q.Credential = id.cred.Bytes()
	q.Evidence, err = evidence(id, info, groupcomm.ClientPoP(q.Scope, challenge, nonce))
	return out, q.Marshal(), err
}

// read reads the success response to the request that j was made for.
func (j *joined) read(group string, r *endpoint.Response) (*joined, error) {
	resp, err := groupcomm.ParseJoinResponse(r.Payload)
	if err != nil {
		return nil, fmt.Errorf("join response: %w", err)
	}
	j.resp, j.created = resp, r.Code == codes.Created
	j.node, err = locationPath(group, r.Options)
	return j, err
}

// locationPath is the path of the new node resource.
func locationPath(group string, opts message.Options) (string, error) {
	var segments []string
	for _, o := range opts {
		if o.ID == message.LocationPath {
			segments = append(segments, string(o.Value))
		}
	}
	path := strings.Join(segments, "/")
	if len(segments) != 4 || segments[0] != "ace-group" || segments[1] != group || segments[2] != "nodes" ||
		segments[3] == "" || strings.Contains(segments[3], "/") {
		return "", fmt.Errorf("%w: location %q is no node resource of group %s", ErrManager, path, group)
	}
	return path, nil
}

package authserver

import (
	"errors"

	"github.com/cohort-iot/cohort/ace"
)

// judge finds the resource server, the profile and what may be granted. It denies by default.
func (i *issue) judge() error {
	q, c := i.request, i.client
	if q.GrantType != ace.GrantClientCredentials {
		return deny(ace.UnsupportedGrantType, "only client credentials are served")
	}
	audience := q.Audience
	if audience == "" {
		audience = c.Audience
	}
	rs, err := i.s.rsNamed(i.tx, audience)
	if errors.Is(err, ErrNotFound) || (err == nil && rs.Revoked != 0) {
		return deny(ace.InvalidRequest, "unknown audience")
	} else if err != nil {
		return err
	}
	i.rs = rs
	has, err := commonProfiles(i.tx, rs)
	if err != nil {
		return err
	}
	public := q.ReqCnf != nil && !q.ReqCnf.Key.IsZero()
	if rs.isGroup() && !public {
		return deny(ace.InvalidRequest, "an audience of several needs a public key of the client's own")
	}
	if public {
		if err := i.ownKey(); err != nil {
			return err
		}
	}
	if i.profile, err = chooseProfile(q.Profile, has, profiles(c.Profiles), public); err != nil {
		return err
	}
	all, err := grants(i.tx, c)
	if err != nil {
		return err
	}
	asked := q.Scope
	if asked == nil {
		asked = defaultScope(all, audience)
	}
	if i.scope = permit(all, audience, asked); len(i.scope) == 0 {
		return deny(ace.InvalidScope, "nothing of it is granted")
	}
	return nil
}

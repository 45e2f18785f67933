package authserver

import (
	"context"
	"fmt"

	"github.com/cohort-iot/cohort/keystore"
)

// MoveRS notes where devices reach a resource server from now on. Enrolments made before name the old place. It changes and
// records nothing if the place is the same. Errors wrap [ErrNotFound] or [ErrInvalid].
func (s *Service) MoveRS(ctx context.Context, audience, uri string) (moved bool, err error) {
	if uri == "" {
		return false, fmt.Errorf("%w: resource server without URI", ErrInvalid)
	}
	err = s.store.Update(ctx, func(tx *keystore.Tx) error {
		rs, err := s.rsNamed(tx, audience)
		if err != nil || rs.URI == uri {
			return err
		}
		e := auditEvent{Event: "rs.moved", Audience: audience, Detail: rs.URI + " to " + uri}
		rs.URI, moved = uri, true
		if err := put(tx, nameRS(rs.Number), rs); err != nil {
			return err
		}
		return s.audit(ctx, tx, e)
	})
	return moved && err == nil, err
}

package manager

import (
	"errors"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// access is the standing of a caller towards one group, as one state shows it.
type access struct {
	client *client
	token  *tokenEntry
	head   *head
	member *member   // nil: not a member
	roles  ace.Roles // what the token grants in the group
	now    time.Time
}

// access checks what RFC 9594, Section 4.1.2 demands of every request about a
// group: a valid token (KindUnauthorized) with an entry for the group
// (KindForbidden), then that the group exists (KindNotFound, KindDeleted). A
// group that the token does not name looks the same whether it exists or not.
func (r reader) access(c Caller, group string, now time.Time) (*access, error) {
	cl, tok, err := r.caller(c, now)
	if err != nil {
		return nil, err
	}
	a := &access{client: cl, token: tok, roles: tok.roles(group, now), now: now}
	if !a.roles.Sends() && a.roles&(ace.RoleMonitor|ace.RoleVerifier) == 0 {
		return nil, refuse(KindForbidden, "the access token does not cover this group")
	}
	if a.head, err = r.group(group); err != nil {
		return nil, err
	}
	if a.head.State == GroupDeleting {
		return nil, refuse(KindDeleted, "the group was deleted")
	}
	a.member, err = r.member(cl.Number, a.head.Number)
	return a, err
}

// onlyMember refuses those who are not members; one who may only verify
// signatures is told 4.03 without an error id
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.5.1).
func (a *access) onlyMember() error {
	if a.member != nil {
		return nil
	}
	if a.roles.Member() == 0 {
		return refuse(KindForbidden, "a signature verifier has no access to this resource")
	}
	return refuse(KindNotMember, "only members may do this")
}

// onlyNode refuses everybody but the member of that node name (RFC 9594, Section 4.8).
func (a *access) onlyNode(node string) error {
	if err := a.onlyMember(); err != nil {
		return err
	}
	if nodeName(a.member.Number) != node {
		return refuse(KindForbidden, "this is the resource of another member")
	}
	return nil
}

// onlyVerifier refuses everybody but a signature verifier that is no member, and
// groups without signatures (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.1.1).
func (a *access) onlyVerifier() error {
	if a.member != nil || !a.roles.Has(ace.RoleVerifier) {
		return refuse(KindVerifiersOnly, "only signature verifiers that are not members may do this")
	}
	if !a.head.Config.Modes.Signing() {
		return refuse(KindNoSignatures, "the group uses no signatures")
	}
	return nil
}

func ignoreNotFound(err error) error {
	if errors.Is(err, keystore.ErrNotFound) {
		return nil
	}
	return err
}

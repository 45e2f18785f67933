package groupcomm

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// CredsFilter is the value of the parameter get_creds: which members' credentials one asks for (RFC 9594, Section 4.3.1).
//
// The zero value asks for all and is null on the wire. A filter that is empty is not applied.
type CredsFilter struct {
	Select  bool        // false: no filter, null on the wire; the other fields say nothing then
	Include bool        // inclusion_flag: whether IDs are to be added to, or else to be taken from, what Roles select
	Roles   []ace.Roles // role_filter: a member matches an element if it has all roles of that element
	IDs     [][]byte    // id_filter: Sender IDs
}

// Match says whether the member with the Sender ID and the roles is asked for (RFC 9594, Section 4.4.1):
//
//	Roles and IDs, Include      has the roles or is listed
//	Roles and IDs, not Include  has the roles and is not listed
//	only IDs, Include           is listed
//	only IDs, not Include       is not listed
//	only Roles                  has the roles
func (f CredsFilter) Match(id []byte, roles ace.Roles) bool {
	if !f.Select {
		return true
	}
	listed := slices.ContainsFunc(f.IDs, func(o []byte) bool { return bytes.Equal(o, id) })
	byRole := slices.ContainsFunc(f.Roles, func(want ace.Roles) bool { return roles.Has(want) })
	switch {
	case len(f.IDs) == 0:
		return byRole
	case f.Include:
		return byRole || listed
	case len(f.Roles) == 0:
		return !listed
	}
	return byRole && !listed
}

// CheckJoin returns nil if f may stand in a Join Request: null, or an inclusive filter by roles alone (RFC 9594,
// Section 4.3.1). Errors wrap [ErrMalformed].
func (f CredsFilter) CheckJoin() error {
	if f.Select && (!f.Include || len(f.Roles) == 0 || len(f.IDs) != 0) {
		return fmt.Errorf("%w: get_creds of a join has inclusion_flag true, a role filter and no identifiers", ErrMalformed)
	}
	return nil
}

// CheckFetch returns nil if f may stand in a FETCH of credentials: at least one filter is not empty (RFC 9594,
// Section 4.4.1). A null is taken as the wish for all. Errors wrap [ErrMalformed].
func (f CredsFilter) CheckFetch() error {
	if f.Select && len(f.Roles) == 0 && len(f.IDs) == 0 {
		return fmt.Errorf("%w: get_creds without any filter", ErrMalformed)
	}
	return nil
}

func (f CredsFilter) marshal() []byte {
	if !f.Select {
		return cborx.AppendNull(nil)
	}
	dst := cborx.AppendArray(nil, 3)
	dst = cborx.AppendBool(dst, f.Include)
	dst = wire.AppendArrayOf(dst, f.Roles, appendRoles)
	return wire.AppendArrayOf(dst, f.IDs, cborx.AppendBytes)
}

func appendRoles(dst []byte, r ace.Roles) []byte { return cborx.AppendUint(dst, uint64(r)) }

func parseRoles(item []byte) (ace.Roles, error) {
	v, err := wire.Uint(item)
	return ace.Roles(v), err
}

func parseFilter(item []byte) (CredsFilter, error) {
	if wire.IsNull(item) {
		return CredsFilter{}, nil
	}
	parts, err := wire.Array(item)
	if err != nil {
		return CredsFilter{}, err
	}
	if len(parts) != 3 {
		return CredsFilter{}, fmt.Errorf("%w: get_creds has three elements", ErrMalformed)
	}
	f := CredsFilter{Select: true}
	if f.Include, err = wire.Bool(parts[0]); err != nil {
		return CredsFilter{}, err
	}
	if f.Roles, err = wire.ArrayOf(parts[1], parseRoles); err != nil {
		return CredsFilter{}, err
	}
	if f.IDs, err = wire.ArrayOf(parts[2], wire.Bytes); err != nil {
		return CredsFilter{}, err
	}
	if len(f.Roles)+len(f.IDs) > maxFilter {
		return CredsFilter{}, fmt.Errorf("%w: a filter of more than %d elements", ErrMalformed, maxFilter)
	}
	for _, r := range f.Roles {
		if r == 0 {
			return CredsFilter{}, fmt.Errorf("%w: a role filter that asks for no role", ErrMalformed)
		}
	}
	return f, nil
}

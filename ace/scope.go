package ace

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
)

// Scope is a list of permissions in the Authorization Information Format with Toid oscore-gname and Tperm oscore-gperm
// (RFC 9237, Section 2; ace-key-groupcomm-oscore, Section 3). It is an allow-list: what no entry grants is denied, and an
// empty scope grants nothing.
type Scope []ScopeEntry

// ScopeEntry is one pair [Toid, Tperm].
//
// An entry of roles has a Group and no AdminName. An entry of administrative permissions, marked by the lowest bit of Roles,
// has an AdminName (the encoded Toid: true, a name or a tagged pattern) and no Group.
type ScopeEntry struct {
	Group     string // name of the group, also the last segment of its resource's path
	Roles     Roles  // Tperm as it is on the wire
	AdminName string // encoded CBOR item; empty in entries of roles
}

// MaxScopeEntries bounds the entries of one scope; a token for more groups than this is not issued and not accepted.
const MaxScopeEntries = 256

// MarshalCBOR returns the entry as the array [Toid, Tperm]. It is also what the parameter scope of a Join Request wraps
// (RFC 9594, Section 4.3.1).
func (e ScopeEntry) MarshalCBOR() ([]byte, error) { return e.append(nil), nil }

func (e ScopeEntry) append(dst []byte) []byte {
	dst = cborx.AppendArray(dst, 2)
	if e.AdminName != "" {
		dst = append(dst, e.AdminName...)
	} else {
		dst = cborx.AppendText(dst, e.Group)
	}
	return cborx.AppendUint(dst, uint64(e.Roles))
}

// IsAdmin says whether the entry grants administrative permissions.
func (e ScopeEntry) IsAdmin() bool { return e.Roles.IsAdmin() }

// ParseScopeEntry reads one array [Toid, Tperm]. Errors wrap [ErrScope].
func ParseScopeEntry(b []byte) (ScopeEntry, error) {
	if err := cborx.Wellformed(b); err != nil {
		return ScopeEntry{}, fmt.Errorf("%w: %w", ErrScope, err)
	}
	return parseEntry(b)
}

func parseEntry(b []byte) (ScopeEntry, error) {
	pair, err := wire.Array(b)
	if err != nil || len(pair) != 2 {
		return ScopeEntry{}, fmt.Errorf("%w: an entry is not a pair", ErrScope)
	}
	perm, err := wire.Uint(pair[1])
	if err != nil {
		return ScopeEntry{}, fmt.Errorf("%w: permissions: %w", ErrScope, err)
	}
	e := ScopeEntry{Roles: Roles(perm)}
	if e.IsAdmin() {
		e.AdminName = string(pair[0])
		return e, nil
	}
	if e.Group, err = wire.Text(pair[0]); err != nil {
		return ScopeEntry{}, fmt.Errorf("%w: group name: %w", ErrScope, err)
	}
	return e, nil
}

// Marshal returns the array of entries, the content of the byte string that the parameter and the claim scope hold
// (RFC 9200, Section 5.8.1; RFC 9594, Section 3.1). A nil scope gives the empty array.
func (s Scope) Marshal() []byte {
	return wire.AppendArrayOf(nil, s, func(dst []byte, e ScopeEntry) []byte { return e.append(dst) })
}

// ParseScope reads an array of entries. Entries with an equal Toid stay as they are: [Scope.Group] unites them.
// Errors wrap [ErrScope].
func ParseScope(b []byte) (Scope, error) {
	if err := cborx.Wellformed(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScope, err)
	}
	entries, err := wire.Array(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScope, err)
	}
	if len(entries) > MaxScopeEntries {
		return nil, fmt.Errorf("%w: more than %d entries", ErrScope, MaxScopeEntries)
	}
	s := make(Scope, len(entries))
	for i, item := range entries {
		if s[i], err = parseEntry(item); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Group returns the roles that s grants in the group called name: the union of its entries for it (RFC 9237, Section 3).
// Entries of administrative permissions play no part.
func (s Scope) Group(name string) Roles {
	var r Roles
	for _, e := range s {
		if !e.IsAdmin() && e.Group == name {
			r |= e.Roles
		}
	}
	return r
}

// Users returns the entries of roles, one for each group in the order of their first occurrence.
func (s Scope) Users() Scope {
	var out Scope
	for _, e := range s {
		if e.IsAdmin() {
			continue
		}
		if i := slices.IndexFunc(out, func(o ScopeEntry) bool { return o.Group == e.Group }); i >= 0 {
			out[i].Roles |= e.Roles
		} else {
			out = append(out, e)
		}
	}
	return out
}

// Admins returns the entries of administrative permissions.
func (s Scope) Admins() Scope {
	return slices.DeleteFunc(slices.Clone(s), func(e ScopeEntry) bool { return !e.IsAdmin() })
}

// NeedsChallenge says whether some entry grants a role for which a Client proves possession of its private key when it joins,
// so that the Group Manager has to give it a kdcchallenge (ace-key-groupcomm-oscore, Section 5.3).
func (s Scope) NeedsChallenge() bool {
	return slices.ContainsFunc(s, func(e ScopeEntry) bool { return !e.IsAdmin() && e.Roles.Sends() })
}

// Equal says whether s and o have the same encoding.
func (s Scope) Equal(o Scope) bool { return bytes.Equal(s.Marshal(), o.Marshal()) }

// String lists the entries as name:roles, for people.
func (s Scope) String() string {
	var b []byte
	for i, e := range s {
		if i > 0 {
			b = append(b, ' ')
		}
		if e.IsAdmin() {
			b = fmt.Appendf(b, "%x:%v", e.AdminName, e.Roles)
		} else {
			b = fmt.Appendf(b, "%s:%v", e.Group, e.Roles)
		}
	}
	return string(b)
}

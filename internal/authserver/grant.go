package authserver

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/cohort-iot/cohort/ace"
)

// Grant lets a client have roles in groups of one resource server. What no grant of a client names is denied.
//
// Exactly one of Group, Pattern and AdminName is set.
type Grant struct {
	Audience string    `cbor:"1,keyasint"`           // the resource server
	Group    string    `cbor:"2,keyasint,omitempty"` // exact name of a group
	Pattern  string    `cbor:"3,keyasint,omitempty"` // names of groups: "*" stands for any characters, "?" for one
	Roles    ace.Roles `cbor:"4,keyasint"`
	// AdminName is the encoded Toid of a scope entry of administrative permissions; Roles holds the permissions then.
	AdminName string `cbor:"5,keyasint,omitempty"`
}

// Validate returns what is wrong with g, wrapping [ErrInvalid].
func (g Grant) Validate() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: grant: "+format, append([]any{ErrInvalid}, args...)...))
		}
	}
	n := 0
	for _, s := range []string{g.Group, g.Pattern, g.AdminName} {
		if s != "" {
			n++
		}
	}
	add(n != 1, "names a group, a pattern or an administrative name: one of them")
	add(g.Audience == "", "no audience")
	if g.Group != "" {
		if err := ace.CheckGroupName(g.Group); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", ErrInvalid, err))
		}
	}
	add(len(g.Pattern) > ace.MaxGroupName || !utf8.ValidString(g.Pattern), "pattern too long or not UTF-8")
	add(g.AdminName != "" && !g.Roles.IsAdmin(), "administrative permissions always include listing")
	const users = ace.RoleRequester | ace.RoleResponder | ace.RoleMonitor | ace.RoleVerifier
	add(g.AdminName == "" && (g.Roles == 0 || g.Roles&^users != 0), "roles %v", g.Roles)
	return errors.Join(errs...)
}

// allows returns what g lets one have of what e asks for.
func (g Grant) allows(e ace.ScopeEntry) ace.Roles {
	var named bool
	switch {
	case e.IsAdmin():
		named = g.AdminName != "" && g.AdminName == e.AdminName
	case g.Group != "":
		named = g.Group == e.Group
	case g.Pattern != "":
		named = match(g.Pattern, e.Group)
	}
	if !named {
		return 0
	}
	return g.Roles & e.Roles
}

// permit returns what the grants for an audience let one have of what is asked for. Entries of which nothing is left are not
// in it.
func permit(grants []Grant, audience string, asked ace.Scope) ace.Scope {
	granted := ace.Scope{}
	for _, e := range asked {
		var roles ace.Roles
		for _, g := range grants {
			if g.Audience == audience {
				roles |= g.allows(e)
			}
		}
		if e.IsAdmin() && !roles.IsAdmin() {
			continue
		}
		if roles != 0 {
			e.Roles = roles
			granted = append(granted, e)
		}
	}
	return granted
}

// defaultScope is what a client gets that does not say what it wants: all its grants that name one group.
func defaultScope(grants []Grant, audience string) ace.Scope {
	var s ace.Scope
	for _, g := range grants {
		if g.Audience == audience && g.Group != "" {
			s = append(s, ace.ScopeEntry{Group: g.Group, Roles: g.Roles})
		}
	}
	return s.Users()
}

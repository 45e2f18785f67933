package aif

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Scope is authorization information of the default form. What it does not list is denied.
type Scope []Resource

// Resource is one listed object.
type Resource struct {
	Local   string // local part of the URI: path and query, percent-encoded, such as "/s/temp?u=c"
	Methods Methods
}

// maxLocal bounds a local part, in bytes.
const maxLocal = 1024

// ParseREST reads a list of the default form. Entries of one object are merged into one with all permissions of both
// (RFC 9237, Section 3). Errors wrap [ErrAIF].
func ParseREST(b []byte) (Scope, error) {
	pairs, err := Parse(b)
	if err != nil {
		return nil, err
	}
	s := Scope{}
	for _, p := range pairs {
		local, err := wire.Text(p.Toid)
		if err == nil && (!strings.HasPrefix(local, "/") || len(local) > maxLocal) {
			err = fmt.Errorf("%q is no local part of a URI", local)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: object: %w", ErrAIF, err)
		}
		m, err := wire.Uint(p.Tperm)
		if err != nil {
			return nil, fmt.Errorf("%w: permissions of %q: %w", ErrAIF, local, err)
		}
		s = s.With(local, Methods(m))
	}
	return s, nil
}

// With returns s with more permissions for an object.
func (s Scope) With(local string, m Methods) Scope {
	s = slices.Clone(s)
	if i := s.index(local); i >= 0 {
		s[i].Methods |= m
		return s
	}
	return append(s, Resource{local, m})
}

func (s Scope) index(local string) int {
	return slices.IndexFunc(s, func(r Resource) bool { return r.Local == local })
}

// Marshal returns the list.
func (s Scope) Marshal() []byte {
	return wire.AppendArrayOf(nil, s, func(dst []byte, r Resource) []byte {
		return cborx.AppendUint(cborx.AppendText(cborx.AppendArray(dst, 2), r.Local), uint64(r.Methods))
	})
}

// Local returns the object that a request is for: its path and query as in a URI.
func Local(o message.Options) (string, error) {
	local, err := coapmsg.Path(o, message.URIPath)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAIF, err)
	}
	if q, ok := coapmsg.Query(o, message.URIQuery); ok {
		local += "?" + q
	}
	return local, nil
}

// Judge says what a Resource Server answers a request for an object that an authenticated Client makes with a token of this scope:
// 0 if it is permitted, 4.03 if the object is not covered, 4.05 if the object is and the method is not (RFC 9200,
// Section 5.10.2). created are the objects that this Client made; nil if none are kept: then permissions on created objects
// permit nothing.
func (s Scope) Judge(method codes.Code, local string, created *Created, subject string) codes.Code {
	m := Method(method)
	var granted Methods
	if i := s.index(local); i >= 0 {
		granted |= s[i].Methods.Basic()
	}
	if parent, ok := created.parent(subject, local); ok {
		if i := s.index(parent); i >= 0 {
			granted |= s[i].Methods.OnCreated()
		}
	}
	switch {
	case granted == 0:
		return codes.Forbidden
	case m == 0 || !granted.Has(m):
		return codes.MethodNotAllowed
	}
	return 0
}

package endpoint

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// DefaultPort is the port of CoAP, also of groups and also with Group OSCORE
// (draft-ietf-core-groupcomm-bis, Section 2.1.1).
const DefaultPort = 5683

// AllCoAPNodes are the groups that a server which offers discovery is a member
// of, on one interface (draft-ietf-core-groupcomm-bis, Sections 3.4 and 3.9;
// RFC 7252, Section 12.8): 224.0.1.187, or for IPv6 ff0x::fd in the scopes of
// the link, the administration and the site, on the default port.
func AllCoAPNodes(ifName string, v6 bool) []MulticastGroup {
	if !v6 {
		return []MulticastGroup{{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 1, 187}), DefaultPort), Interface: ifName}}
	}
	var groups []MulticastGroup
	for _, scope := range []byte{2, 4, 5} {
		a := [16]byte{0: 0xff, 1: scope, 15: 0xfd}
		groups = append(groups, MulticastGroup{Addr: netip.AddrPortFrom(netip.AddrFrom16(a), DefaultPort), Interface: ifName})
	}
	return groups
}

// Describe lists a resource in the Mux's Discovery, with target attributes such
// as {Name: "rt", Value: "light"}. The pattern was given to Handle before, and
// has no braces; Describe panics otherwise. What can only be had with OSCORE, or
// in a group, is marked osc and gosc without further ado.
func (m *Mux) Describe(pattern string, attrs ...Attr) {
	var path [][]byte
	for s := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		if s != "" {
			path = append(path, []byte(s))
		}
	}
	r, _ := m.root.find(path, nil)
	if r == nil || r.pattern != pattern || len(r.names) > 0 {
		panic("endpoint: pattern " + pattern + " is described but not handled, or has braces")
	}
	l := Link{Target: pattern, Attrs: slices.Clone(attrs)}
	if r.accept&AcceptPlain == 0 {
		l.Attrs = append(l.Attrs, Attr{Name: "osc", NoValue: true})
		if r.accept&(AcceptGroup|AcceptPairwise) != 0 {
			l.Attrs = append(l.Attrs, Attr{Name: "gosc", NoValue: true})
		}
	}
	m.links = append(m.links, l)
}

// Discovery is a handler for /.well-known/core that lists what was described,
// filtered by the query (RFC 6690, Section 4.1). A group request that nothing
// matches is not answered.
func (m *Mux) Discovery() mux.Handler {
	return Methods{codes.GET: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		var filters []string
		for _, o := range r.Options() {
			if o.ID == message.URIQuery {
				filters = append(filters, string(o.Value))
			}
		}
		var found []string
		for _, l := range m.links {
			if l.matches(filters) {
				found = append(found, l.String())
			}
		}
		if p, _ := PeerFrom(r.Context()); p.Multicast && len(found) == 0 {
			return
		}
		_ = w.SetResponse(codes.Content, message.AppLinkFormat, strings.NewReader(strings.Join(found, ",")))
	})}
}

// matches applies the filters of a query, all of them. A value may end in a star;
// the values of rt, if and rel are lists.
func (l Link) matches(filters []string) bool {
	for _, f := range filters {
		name, want, _ := strings.Cut(f, "=")
		got, ok := l.Get(name)
		if name == "href" {
			got, ok = l.Target, true
		}
		values := []string{got}
		if name == "rt" || name == "if" || name == "rel" {
			values = strings.Fields(got)
		}
		prefix, open := strings.CutSuffix(want, "*")
		if !ok || !slices.ContainsFunc(values, func(v string) bool {
			return v == want || open && strings.HasPrefix(v, prefix)
		}) {
			return false
		}
	}
	return true
}

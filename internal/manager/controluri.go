package manager

import (
	"net/netip"
	"net/url"
	"strings"
)

// defaultCoAPPort is the port of a coap URI that names none (RFC 7252, Section 6.1).
const defaultCoAPPort = 5683

// controlURI checks where a joining node wants its rekeying messages and makes
// it absolute. The host is the address that the verified request came from, or
// absent, which means that address; everything else would let a member aim the
// Group Manager at a third party, unless the operator's allow-list admits it.
// The path is not that of the group's own resources (RFC 9594, Section 4.3.1).
func controlURI(uri, group string, from netip.AddrPort, allow func(group string, host netip.Addr) bool) (string, error) {
	if uri == "" {
		return "", nil
	}
	bad := func(why string) (string, error) { return "", refuse(KindMalformed, "control_uri %s", why) }
	u, err := url.Parse(uri)
	if err != nil {
		return bad("is not a URI")
	}
	if (u.Scheme != "coap" && u.Scheme != "") || u.Opaque != "" || u.User != nil || u.Fragment != "" || strings.Contains(uri, "#") {
		return bad("must be a coap URI without user and fragment")
	}
	to := from
	if u.Host != "" {
		host, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return bad("must have an address, not a name")
		}
		host = host.Unmap().WithZone(from.Addr().Zone())
		if host != from.Addr().Unmap() && (allow == nil || host.IsMulticast() || host.IsUnspecified() || !allow(group, host)) {
			return bad("must have the address that the request came from")
		}
		port := uint16(defaultCoAPPort)
		if p := u.Port(); p != "" {
			ap, err := netip.ParseAddrPort("0.0.0.0:" + p)
			if err != nil || ap.Port() == 0 {
				return bad("has no valid port")
			}
			port = ap.Port()
		}
		to = netip.AddrPortFrom(host, port)
	}
	path := u.EscapedPath()
	if path == "/" || !strings.HasPrefix(path, "/") {
		return bad("must have an absolute path")
	}
	plain := strings.TrimSuffix(u.Path, "/")
	if own := "/" + RootPath + "/" + group; plain == own || strings.HasPrefix(plain, own+"/nodes") {
		return bad("must not be a resource of the Group Manager")
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	out := "coap://" + to.String() + path
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out, nil
}

// RootPath is the path of the resource under which the groups are (RFC 9594, Section 4.1).
const RootPath = "ace-group"

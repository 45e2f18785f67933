package member

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// defaultPort is that of the coap scheme (RFC 7252, Section 6.1).
const defaultPort = "5683"

// serverAddr takes a coap URI with a numeric host apart. Names are not looked
// up: a device trusts what the operator wrote into its enrolment.
func serverAddr(uri, defaultPath string) (addr netip.AddrPort, path string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return addr, "", fmt.Errorf("%w: %v", ErrConfig, err)
	}
	if u.Scheme != "coap" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return addr, "", fmt.Errorf("%w: %q is not coap://ADDRESS[:PORT][/PATH]", ErrConfig, uri)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	host, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return addr, "", fmt.Errorf("%w: %q needs a numeric address: %v", ErrConfig, uri, err)
	}
	if host.IsMulticast() || host.IsUnspecified() {
		return addr, "", fmt.Errorf("%w: %q is the address of no server", ErrConfig, uri)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || p == 0 {
		return addr, "", fmt.Errorf("%w: %q has no usable port", ErrConfig, uri)
	}
	path = strings.Trim(u.Path, "/")
	if path == "" {
		path = defaultPath
	}
	return netip.AddrPortFrom(host, uint16(p)), path, nil
}

// hostPort is an address as it stands in a URI: the zone of a link-local
// address means something on this host only.
func hostPort(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

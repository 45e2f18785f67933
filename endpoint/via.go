package endpoint

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Via is how messages travel. The zero value is UDP.
type Via uint8

// The ways.
const (
	ViaUDP  Via = iota // coap: RFC 7252
	ViaTCP             // coap+tcp: RFC 8323
	ViaDTLS            // coaps: RFC 7252, Section 9.1
	numVias
)

// schemes are the URI schemes, and the ports they mean by default (RFC 7252,
// Section 6; RFC 8323, Section 8.1).
var schemes = [numVias]struct {
	name string
	port uint16
}{{"coap", 5683}, {"coap+tcp", 5683}, {"coaps", 5684}}

// String returns the URI scheme, such as "coap+tcp".
func (v Via) String() string {
	if v < numVias {
		return schemes[v].name
	}
	return "via(" + strconv.Itoa(int(v)) + ")"
}

// SetURI fills in To, Via, Path and Query from an absolute URI of scheme coap,
// coap+tcp or coaps. The host must be an IP address: who resolves names knows
// which of the addresses to try. A path segment that holds a slash cannot be
// expressed in Path and is refused.
func (r *Request) SetURI(uri string) error {
	base, path, query, hasQuery, err := coapmsg.SplitURI(uri)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	via, to, err := target(u)
	if err != nil {
		return err
	}
	opts, err := coapmsg.AppendPath(nil, message.URIPath, path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	segments := make([]string, len(opts))
	for i, o := range opts {
		if segments[i] = string(o.Value); strings.Contains(segments[i], "/") {
			return fmt.Errorf("%w: slash in a segment of the path", ErrRequest)
		}
	}
	var args []string
	if hasQuery {
		if opts, err = coapmsg.AppendQuery(nil, message.URIQuery, query); err != nil {
			return fmt.Errorf("%w: %w", ErrRequest, err)
		}
		for _, o := range opts {
			args = append(args, string(o.Value))
		}
	}
	r.Via, r.To, r.Path, r.Query = via, to, strings.Join(segments, "/"), args
	return nil
}

func target(u *url.URL) (Via, netip.AddrPort, error) {
	for via, s := range schemes {
		if !strings.EqualFold(u.Scheme, s.name) {
			continue
		}
		host, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			return 0, netip.AddrPort{}, fmt.Errorf("%w: host %q is no address", ErrRequest, u.Hostname())
		}
		port := uint64(s.port)
		if p := u.Port(); p != "" {
			if port, err = strconv.ParseUint(p, 10, 16); err != nil || port == 0 {
				return 0, netip.AddrPort{}, fmt.Errorf("%w: port %q", ErrRequest, p)
			}
		}
		return Via(via), netip.AddrPortFrom(host.Unmap(), uint16(port)), nil
	}
	return 0, netip.AddrPort{}, fmt.Errorf("%w: scheme %q is not known", ErrRequest, u.Scheme)
}

package interop

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
)

// insideNamespace marks the run of a test in a network of its own.
const insideNamespace = "COHORT_INTEROP_NAMESPACE"

// Requests to groups, in both directions, with answers that need further blocks
// by unicast. The test runs itself again in a network namespace with one link, as
// IPv6 multicast does not exist on loopback.
func TestLibcoapGroups(t *testing.T) {
	t.Parallel()
	server, client := program(t, "coap-server"), program(t, "coap-client")
	if os.Getenv(insideNamespace) == "" {
		const network = `set -e; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
for n in 1 2 3; do ip addr add fd77::$n/64 dev v0 nodad; ip addr add 10.77.0.$n/24 dev v0; done
ip route add 224.0.0.0/4 dev v0
while ip -6 addr show dev v0 tentative | grep -q inet6; do sleep 0.05; done
exec "$0" -test.run '^TestLibcoapGroups$' -test.v`
		if out, err := exec.Command("unshare", "-n", "true").CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: %v %s", err, out)
		}
		if _, err := exec.LookPath("ip"); err != nil {
			t.Skip("no network namespaces here:", err)
		}
		cmd := exec.Command("unshare", "-n", "sh", "-c", network, os.Args[0])
		cmd.Env = append(os.Environ(), insideNamespace+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, c := range []struct{ name, any, group, server, ours, theirs string }{
		{"IPv4", "0.0.0.0", "239.255.77.1", "10.77.0.1:5683", "10.77.0.2:0", "10.77.0.3"},
		{"IPv6", "::", "ff15::77", "[fd77::1]:6683", "[fd77::2]:0", "fd77::3"},
	} {
		at := netip.MustParseAddrPort(c.server)
		t.Run(c.name+" libcoap's server", func(t *testing.T) {
			t.Parallel()
			group := netip.AddrPortFrom(netip.MustParseAddr(c.group), at.Port())
			start(t, server, "-A", c.any, "-p", fmt.Sprint(at.Port()), "-g", c.group, "-G", "v0", "-d", "10", "-v", "7")
			e, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort(c.ours), InsecurePlainMulticast: true})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			ask := func(path string) *endpoint.Response {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				for r, err := range e.DoMulticast(ctx, endpoint.Request{To: group, Code: codes.GET, Path: path, Interface: "v0", HopLimit: 1}) {
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
				t.Fatal("no response")
				return nil
			}
			up(t, e, at)
			r := ask("")
			if r.Code != codes.Content || !strings.Contains(string(r.Payload), "libcoap") || r.Peer.Addr.Port() != at.Port() || r.Peer.Addr.Addr().IsMulticast() {
				t.Fatalf("%+v", r)
			}
			body := bytes.Repeat([]byte("fedcba9876543210"), 400)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			if put, err := e.Do(ctx, endpoint.Request{To: r.Peer.Addr, Code: codes.PUT, Path: "long", Payload: body}); err != nil || put.Code != codes.Created {
				t.Fatalf("%+v %v", put, err)
			}
			if r := ask("long"); !bytes.Equal(r.Payload, body) {
				t.Fatalf("%v, %d bytes", r.Code, len(r.Payload))
			}
		})
		t.Run(c.name+" libcoap's client", func(t *testing.T) {
			t.Parallel()
			e := serve(t, netip.AddrPortFrom(at.Addr(), 7683))
			g := endpoint.MulticastGroup{Addr: netip.AddrPortFrom(netip.MustParseAddr(c.group), 7683), Interface: "v0"}
			if err := e.JoinGroup(g); err != nil {
				t.Fatal(err)
			}
			out, err := run(t, client, "-N", "-a", c.theirs, "-B", "2", fmt.Sprintf("coap://%s/large", g.Addr))
			if err != nil || out != strings.Repeat("0123456789abcdef", 500) {
				t.Fatalf("%q %v", out, err)
			}
		})
	}
}

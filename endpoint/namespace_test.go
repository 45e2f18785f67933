package endpoint_test

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
)

// insideNamespace marks the run of this test in a network of its own.
const insideNamespace = "COHORT_TEST_NAMESPACE"

// IPv6 multicast does not exist on loopback: the test runs itself again in a
// network namespace with one link, where it harms nobody.
func TestNamespaceMulticast(t *testing.T) {
	if os.Getenv(insideNamespace) == "" {
		const network = `set -e; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
for n in 1 2; do ip addr add fd77::$n/64 dev v0 nodad; ip addr add 10.77.0.$n/24 dev v0; done
while ip -6 addr show dev v0 tentative | grep -q inet6; do sleep 0.05; done
exec "$0" -test.run '^TestNamespaceMulticast$' -test.v`
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
	for _, c := range []struct{ group, server, client string }{
		{"[ff15::77]:5683", "[fd77::1]:5683", "[fd77::2]:0"},
		{"[ff02::fd%v0]:5683", "[fd77::1]:5683", "[fd77::2]:0"},
		{"[ff02::fd%v0]:5683", "[::]:5683", "[::]:0"}, // link-local addresses answer
		{"[ff15::77]:5683", "[::]:5683", "[::]:0"},
		{"239.255.77.1:5683", "10.77.0.1:5683", "10.77.0.2:0"},
		{"239.255.77.1:5683", "0.0.0.0:5683", "0.0.0.0:0"},
	} {
		t.Run(c.group+" to "+c.server, func(t *testing.T) {
			group, fl, ctxs := netip.MustParseAddrPort(c.group), newFleet(t), &endpoint.Contexts{}
			mine := fl.member("c", nil, nil)
			ctxs.AddGroup(fl.member("s", nil, nil), endpoint.GroupOptions{})
			start(t, endpoint.Config{
				Unicast: netip.MustParseAddrPort(c.server), Groups: []endpoint.MulticastGroup{{Addr: group, Interface: "v0"}},
				Handler: lampHandler("s"), Openers: []endpoint.RequestOpener{ctxs}, Leisure: 10 * time.Millisecond,
			})
			client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort(c.client)})
			ctx, cancel := within(150 * time.Millisecond)
			defer cancel()
			got := collect(t, client, ctx, endpoint.Request{To: group, Code: codes.POST, Path: "light", Security: endpoint.WithGroup(mine), Interface: "v0", HopLimit: 4})
			if len(got) != 1 {
				t.Fatalf("%d responses", len(got))
			}
			again, cancel := within(5 * time.Second)
			defer cancel()
			r := endpoint.Request{To: got["s"].Peer.Addr, Code: codes.POST, Path: "light", Security: endpoint.WithPairwise(mine, []byte("s"))}
			if resp, err := client.Do(again, r); err != nil || resp.Peer.Addr != r.To {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	}
	t.Run("O16 one datagram leaves, with the hop limit named, over IPv6 too", func(t *testing.T) {
		group := netip.MustParseAddrPort("[ff15::78]:5999")
		heard := hear6(t, group, "v0")
		client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("[fd77::2]:0"), InsecurePlainMulticast: true})
		for _, hops := range []int{0, 4} {
			ctx, cancel := within(20 * time.Millisecond)
			collect(t, client, ctx, endpoint.Request{To: group, Code: codes.GET, Interface: "v0", HopLimit: hops})
			cancel()
			if got := heard(); len(got) != 1 || got[0] != max(hops, 1) {
				t.Fatalf("datagrams with hop limits %v, want one with %d", got, max(hops, 1))
			}
		}
	})
}

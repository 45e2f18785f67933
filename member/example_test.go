package member_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/filestore"
	"github.com/cohort-iot/cohort/keystore/seal"
	"github.com/cohort-iot/cohort/member"
)

// The address of the group, agreed by the installer.
var hallway = netip.MustParseAddrPort("239.192.7.1:5683")

// Example is a switch: it asks all lamps for their state and prints who
// answered. It may be stopped and started at any time.
func Example() {
	file, err := os.ReadFile("/etc/switch/enrolment.json") // of groupmanager device enroll
	if err != nil {
		panic(err)
	}
	enrolment, err := ace.ParseEnrolment(file)
	if err != nil {
		panic(err)
	}
	backend, err := filestore.Open("/var/lib/switch/state.db")
	if err != nil {
		panic(err)
	}
	store, err := keystore.Open(backend, keystore.Options{Wrapper: seal.KeyFile("/etc/switch/seal.key")})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	cfg := member.Config{Enrolment: enrolment, Store: store, Listen: netip.MustParseAddrPort("192.0.2.7:0")}
	if err := pressSwitch(context.Background(), cfg, hallway, os.Stdout); err != nil {
		panic(err)
	}
}

// pressSwitch is what a device maker writes.
func pressSwitch(ctx context.Context, cfg member.Config, address netip.AddrPort, out io.Writer) error {
	d, err := member.Open(ctx, cfg, nil)
	if err != nil {
		return err
	}
	defer d.Close()
	g, err := d.Group("hall")
	if errors.Is(err, member.ErrNotMember) {
		g, err = d.Join(ctx, member.JoinOptions{Group: "hall", Roles: ace.RoleRequester, Address: address})
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	for a, err := range g.Request(ctx, member.Request{Code: codes.GET, Path: "/light"}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s says %s\n", a.Sender.Name, a.Payload) // its signature verified
	}
	return nil
}

func TestExample(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.hall(nil, "lamp-1")
		sw := w.device("switch-2", requester)
		sw.stop()
		for range 2 {
			store, err := keystore.Open(sw.mem, keystore.Options{DataKey: dataKey})
			w.check(err)
			var out buffer
			cfg := member.Config{Enrolment: sw.enrol, Store: store, Listen: sw.addr, Network: endpoint.Network(w.net)}
			w.check(pressSwitch(t.Context(), cfg, w.group, &out))
			w.check(store.Close())
			if string(out) != "lamp-1 says off\n" {
				t.Errorf("output %q", out)
			}
		}
	})
}

type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

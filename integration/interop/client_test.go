package interop

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
)

func TestLibcoapClient(t *testing.T) {
	t.Parallel()
	client := program(t, "coap-client")
	e := serve(t, loopback)
	file := filepath.Join(t.TempDir(), "body")
	body := bytes.Repeat([]byte("fedcba9876543210"), 400)
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	longer := filepath.Join(t.TempDir(), "changed")
	changed := bytes.Repeat([]byte("changed."), 500)
	if err := os.WriteFile(longer, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, via := range []endpoint.Via{endpoint.ViaUDP, endpoint.ViaTCP, endpoint.ViaDTLS} {
		base := fmt.Sprintf("%s://%s", via, e.ListenAddrs(via)[0])
		ask := func(t *testing.T, args ...string) string {
			t.Helper()
			if via == endpoint.ViaDTLS {
				args = append([]string{"-u", identity, "-k", key}, args...)
			}
			out, err := run(t, client, append([]string{"-B", "10"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		observers := func(n int) {
			for range 100 {
				if e.Observers() == n {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
		name := via.String()
		t.Run(name+" GET", func(t *testing.T) {
			if out := ask(t, base+"/hello"); out != "hello" {
				t.Fatalf("%q", out)
			}
		})
		t.Run(name+" PUT, GET, DELETE and 4.04", func(t *testing.T) {
			ask(t, "-m", "put", "-e", "new", base+"/x"+fmt.Sprint(via))
			if out := ask(t, base+"/x"+fmt.Sprint(via)); out != "new" {
				t.Fatalf("%q", out)
			}
			ask(t, "-m", "delete", base+"/x"+fmt.Sprint(via))
			if out := ask(t, base+"/x"+fmt.Sprint(via)); !strings.Contains(out, "4.04") {
				t.Fatalf("%q", out)
			}
		})
		t.Run(name+" FETCH and iPATCH", func(t *testing.T) {
			if out := ask(t, "-m", "fetch", "-e", "!", base+"/hello"); out != "hello!" {
				t.Fatalf("%q", out)
			}
			ask(t, "-m", "ipatch", "-e", "patched", base+"/y")
			if out := ask(t, base+"/y"); out != "patched" {
				t.Fatalf("%q", out)
			}
		})
		t.Run(name+" block-wise GET and PUT", func(t *testing.T) {
			if out := ask(t, "-b", "256", base+"/large"); out != strings.Repeat("0123456789abcdef", 500) {
				t.Fatalf("%d bytes", len(out))
			}
			ask(t, "-m", "put", "-b", "128", "-f", file, base+"/upload")
			if out := ask(t, base+"/upload"); out != string(body) {
				t.Fatalf("%d bytes", len(out))
			}
		})
		t.Run(name+" Observe", func(t *testing.T) {
			done := make(chan string)
			observers(0)
			go func() { done <- ask(t, "-s", "2", "-w", base+"/hello") }()
			observers(1)
			for range 3 {
				e.NotifyFunc("/hello", func(endpoint.Peer) (endpoint.Notification, bool) {
					return endpoint.Notification{Code: codes.Content, Payload: []byte("changed")}, true
				})
				time.Sleep(300 * time.Millisecond)
			}
			if out := <-done; strings.Count(out, "changed") < 2 || !strings.Contains(out, "hello") {
				t.Fatalf("%q", out)
			}
		})
		t.Run(name+" Observe of a long body", func(t *testing.T) {
			done := make(chan string)
			observers(0)
			go func() { done <- ask(t, "-s", "1", "-b", "256", base+"/upload") }()
			observers(1)
			ask(t, "-m", "put", "-b", "256", "-f", longer, base+"/upload")
			if out := <-done; !strings.Contains(out, string(body)) || !strings.Contains(out, string(changed)) {
				t.Fatalf("%d bytes", len(out))
			}
			ask(t, "-m", "put", "-f", file, base+"/upload")
		})
	}
	t.Run("coap NON", func(t *testing.T) {
		if out, err := run(t, client, "-N", "-B", "10", fmt.Sprintf("coap://%s/hello", e.LocalAddr())); err != nil || out != "hello" {
			t.Fatalf("%q %v", out, err)
		}
	})
	t.Run("coap to a group", func(t *testing.T) {
		g := endpoint.MulticastGroup{Addr: netip.AddrPortFrom(group, e.LocalAddr().Port()), Interface: "lo"}
		if err := e.JoinGroup(g); err != nil {
			t.Skip("no multicast on loopback here:", err)
		}
		out, err := run(t, client, "-N", "-a", "127.0.0.1", "-B", "2", fmt.Sprintf("coap://%s/hello", g.Addr))
		if err != nil || !strings.Contains(out, "hello") {
			t.Fatalf("%q %v", out, err)
		}
	})
	t.Run("coaps with a wrong key", func(t *testing.T) {
		out, _ := run(t, client, "-u", identity, "-k", "wrong", "-B", "1", fmt.Sprintf("coaps://%s/hello", e.ListenAddrs(endpoint.ViaDTLS)[0]))
		if strings.Contains(out, "hello") {
			t.Fatalf("%q", out)
		}
	})
}

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
)

const (
	identity = "lamp"
	key      = "secretPSK"
)

// program finds one of libcoap's programs, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, n := range []string{name + "-openssl", name + "-gnutls", name} {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	t.Skipf("%s of libcoap is not installed", name)
	return ""
}

// store is a server whose resources can be written and observed.
type store struct {
	mu     sync.Mutex
	bodies map[string][]byte
	notify func(path string)
}

func (s *store) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _ := r.Path()
	code, body := codes.MethodNotAllowed, []byte(nil)
	var opts []message.Option
	in, _ := r.ReadBody()
	switch r.Code() {
	case codes.GET, 5:
		if b, ok := s.bodies[path]; ok {
			code, body = codes.Content, append(bytes.Clone(b), in...)
			opts = append(opts, message.Option{ID: message.Observe})
		} else {
			code = codes.NotFound
		}
	case codes.PUT, codes.POST, 6, 7:
		code = codes.Changed
		if _, ok := s.bodies[path]; !ok {
			code = codes.Created
		}
		s.bodies[path] = in
		defer s.notify(path)
	case codes.DELETE:
		code = codes.Deleted
		delete(s.bodies, path)
	}
	if body == nil {
		_ = w.SetResponse(code, message.TextPlain, nil, opts...)
		return
	}
	_ = w.SetResponse(code, message.TextPlain, bytes.NewReader(body), opts...)
}

var group = netip.MustParseAddr("239.255.77.9")

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func serve(t *testing.T) *endpoint.Endpoint {
	t.Helper()
	s := &store{bodies: map[string][]byte{"/hello": []byte("hello"), "/large": bytes.Repeat([]byte("0123456789abcdef"), 500)}}
	m := endpoint.NewMux()
	m.Handle("/{rest...}", endpoint.AcceptPlain, s)
	e, err := endpoint.New(endpoint.Config{
		Unicast: loopback, Handler: m, InsecureAmplification: true, InsecurePlainMulticast: true, Leisure: 50 * time.Millisecond,
		TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{loopback}},
		DTLS: endpoint.DTLSConfig{Listen: []netip.AddrPort{loopback}, PSK: func(id []byte) ([]byte, error) {
			if string(id) != identity {
				return nil, errors.New("unknown")
			}
			return []byte(key), nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.notify = func(path string) { e.Notify(path) }
	s.mu.Unlock()
	t.Cleanup(func() { e.Close() })
	return e
}

// run runs the client and returns what it wrote.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil || errs.Len() > 0 {
		t.Logf("%s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String() + errs.String()), err
}

func TestLibcoapClient(t *testing.T) {
	client := program(t, "coap-client")
	e := serve(t)
	file := filepath.Join(t.TempDir(), "body")
	body := bytes.Repeat([]byte("fedcba9876543210"), 400)
	if err := os.WriteFile(file, body, 0o600); err != nil {
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
			go func() { done <- ask(t, "-s", "2", "-w", base+"/hello") }()
			for range 100 {
				if e.Observers() == 1 {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
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

func TestLibcoapServer(t *testing.T) {
	server := program(t, "coap-server")
	// libcoap binds a port and the one after it.
	port := freePort(t)
	cmd := exec.Command(server, "-A", "127.0.0.1", "-p", fmt.Sprint(port), "-d", "20", "-k", key, "-u", identity)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	e, err := endpoint.New(endpoint.Config{Unicast: loopback, DTLS: endpoint.DTLSConfig{Credentials: func(netip.AddrPort) ([]byte, []byte, error) {
		return []byte(identity), []byte(key), nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	do := func(t *testing.T, via endpoint.Via, r endpoint.Request) *endpoint.Response {
		t.Helper()
		r.Via, r.To = via, netip.AddrPortFrom(loopback.Addr(), port)
		if via == endpoint.ViaDTLS {
			r.To = netip.AddrPortFrom(loopback.Addr(), port+1)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		resp, err := e.Do(ctx, r)
		for err != nil && ctx.Err() == nil && errors.Is(err, endpoint.ErrConnection) { // it may not listen yet
			time.Sleep(50 * time.Millisecond)
			resp, err = e.Do(ctx, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	body := bytes.Repeat([]byte("fedcba9876543210"), 400)
	for _, via := range []endpoint.Via{endpoint.ViaUDP, endpoint.ViaTCP, endpoint.ViaDTLS} {
		name := via.String()
		t.Run(name+" GET", func(t *testing.T) {
			if r := do(t, via, endpoint.Request{Code: codes.GET}); !strings.Contains(string(r.Payload), "libcoap") {
				t.Fatalf("%+v", r)
			}
		})
		t.Run(name+" block-wise PUT and GET", func(t *testing.T) {
			path := "b" + fmt.Sprint(int(via))
			if r := do(t, via, endpoint.Request{Code: codes.PUT, Path: path, Payload: body}); r.Code != codes.Created && r.Code != codes.Changed {
				t.Fatalf("%+v", r)
			}
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: path}); !bytes.Equal(r.Payload, body) {
				t.Fatalf("%v, %d bytes", r.Code, len(r.Payload))
			}
			if r := do(t, via, endpoint.Request{Code: codes.DELETE, Path: path}); r.Code != codes.Deleted {
				t.Fatalf("%+v", r)
			}
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: path}); r.Code != codes.NotFound {
				t.Fatalf("%+v", r)
			}
		})
		t.Run(name+" Observe", func(t *testing.T) {
			to := netip.AddrPortFrom(loopback.Addr(), port)
			if via == endpoint.ViaDTLS {
				to = netip.AddrPortFrom(loopback.Addr(), port+1)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			n := 0
			for r, err := range e.Observe(ctx, endpoint.Request{To: to, Via: via, Code: codes.GET, Path: "time"}) {
				if err != nil || r.Code != codes.Content {
					t.Fatalf("%+v %v", r, err)
				}
				if n++; n == 3 {
					break
				}
			}
		})
		t.Run(name+" separate response", func(t *testing.T) {
			if r := do(t, via, endpoint.Request{Code: codes.GET, Path: "async", Query: []string{"1"}}); r.Code != codes.Content {
				t.Fatalf("%+v", r)
			}
		})
	}
	t.Run("coap NON", func(t *testing.T) {
		con := false
		if r := do(t, endpoint.ViaUDP, endpoint.Request{Code: codes.GET, Confirmable: &con}); r.Code != codes.Content {
			t.Fatalf("%+v", r)
		}
	})
}

// freePort finds a port that is free beside the next one.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 20 {
		a, err := endpoint.UDP{}.ListenStream(loopback)
		if err != nil {
			t.Fatal(err)
		}
		port := netip.MustParseAddrPort(a.Addr().String()).Port()
		next, err := endpoint.UDP{}.ListenStream(netip.AddrPortFrom(loopback.Addr(), port+1))
		a.Close()
		if err == nil {
			next.Close()
			return port
		}
	}
	t.Skip("no two free ports in a row")
	return 0
}

package interop

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os/exec"
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

func serve(t *testing.T, at netip.AddrPort) *endpoint.Endpoint {
	t.Helper()
	s := &store{bodies: map[string][]byte{"/hello": []byte("hello"), "/large": bytes.Repeat([]byte("0123456789abcdef"), 500)}}
	m := endpoint.NewMux()
	m.Handle("/{rest...}", endpoint.AcceptPlain, s)
	e, err := endpoint.New(endpoint.Config{
		Unicast: at, Handler: m, InsecureAmplification: true, InsecurePlainMulticast: true, Leisure: 50 * time.Millisecond,
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

// start runs a program until the end of the test.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
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
}

// up waits until a server answers.
func up(t *testing.T, e *endpoint.Endpoint, to netip.AddrPort) {
	t.Helper()
	con := false
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := e.Do(ctx, endpoint.Request{To: to, Code: codes.GET, Confirmable: &con})
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("%s does not answer", to)
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

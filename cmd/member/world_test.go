package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/keystore"
)

const audience = "gm1"

// site is an Authorization Server with a Group Manager on the loopback
// interface, and a directory for enrolments.
type site struct {
	t     *testing.T
	dir   string
	iface string
	addr  netip.AddrPort
	group netip.AddrPort
	as    *authserver.Service
	gm    *manager.Service
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	list, err := net.Interfaces()
	s.check(err)
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			s.iface = i.Name
		}
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	s.check(err)
	s.addr = c.LocalAddr().(*net.UDPAddr).AddrPort()
	s.check(c.Close())
	s.group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 84, byte(s.addr.Port())}), s.addr.Port())

	store, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: bytes.Repeat([]byte{3}, keystore.DataKeySize)})
	s.check(err)
	uri := "coap://" + s.addr.String()
	s.as, err = authserver.New(authserver.Config{Issuer: "as", TokenURI: uri + "/token"}, store)
	s.check(err)
	trusted, err := s.as.RegisterRS(t.Context(), authserver.RSRequest{Audience: audience, URI: uri})
	s.check(err)
	sessions, err := coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{},
		Sequence: func(a uint64) coap.SequenceStore { return store.Sequence(manager.AssociationSequence(a)) },
	})
	s.check(err)
	s.gm, err = manager.New(store, manager.Options{Rand: rand.Reader, Delivery: sessions, Sessions: sessions})
	s.check(err)
	srv, err := coap.New(coap.Config{Manager: s.gm, Sessions: sessions, Audience: audience, Issuers: []ace.TrustedAS{trusted}, AS: s.as})
	s.check(err)
	ep, err := endpoint.New(endpoint.Config{Unicast: s.addr, Handler: srv.Handler(), Openers: srv.Openers()})
	s.check(err)
	sessions.Attach(ep)
	s.check(s.gm.Start(t.Context()))
	t.Cleanup(func() {
		srv.Close()
		_ = ep.Close()
		s.gm.Stop()
		_ = store.Close()
	})
	_, err = s.gm.CreateGroup(t.Context(), manager.GroupSpec{Name: "hall", Active: true})
	s.check(err)
	return s
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// enrol makes the enrolment file of a device and returns its path.
func (s *site) enrol(name string, roles ace.Roles) string {
	s.t.Helper()
	e, err := s.as.Enrol(s.t.Context(), authserver.EnrolRequest{
		Name: name, Audience: audience, Grants: []authserver.Grant{{Audience: audience, Pattern: "*", Roles: roles}},
	})
	s.check(err)
	b, err := e.Marshal()
	s.check(err)
	path := filepath.Join(s.dir, name+".json")
	s.check(os.WriteFile(path, b, 0o600))
	return path
}

// run runs a command line and returns its exit code and what it wrote.
func (s *site) run(args ...string) (code int, out, errs string) {
	return run(s.t, args...)
}

func run(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	code = execute(ctx, args, &o, &e)
	return code, o.String(), e.String()
}

// must runs a command line that succeeds, and returns its output.
func (s *site) must(args ...string) string {
	s.t.Helper()
	code, out, errs := s.run(args...)
	if code != 0 {
		s.t.Fatalf("member %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

// lamp runs `member serve` until stop is called; its output is that so far.
type lamp struct {
	out, err buffer
	cancel   context.CancelFunc
	ended    chan int
}

func (s *site) lamp(name string, octet string, args ...string) *lamp {
	s.t.Helper()
	file := s.enrol(name, ace.RoleResponder)
	ctx, cancel := context.WithCancel(s.t.Context())
	l := &lamp{cancel: cancel, ended: make(chan int, 1)}
	args = append([]string{
		"serve", "-e", file, "-g", "hall", "--roles", "responder", "--address", s.group.String(),
		"--listen", "127.0.0." + octet + ":0", "--interface", s.iface, "--leisure", "50ms",
	}, args...)
	go func() { l.ended <- execute(ctx, args, &l.out, &l.err) }()
	s.t.Cleanup(func() { l.stop() })
	s.await(l, "serves on")
	return l
}

// stop interrupts the lamp and returns its exit code.
func (l *lamp) stop() int {
	l.cancel()
	code := <-l.ended
	l.ended <- code
	return code
}

// await waits until the lamp has written something.
func (s *site) await(l *lamp, text string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(l.out.String(), text) {
			return
		}
	}
	s.t.Fatalf("%q is not in\n%s\n%s", text, l.out.String(), l.err.String())
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

package coap_test

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

// falseGM is somebody at the address of the Group Manager: it records what comes
// in clear and answers posts of tokens as it is told.
type falseGM struct {
	ep *endpoint.Endpoint

	mu      sync.Mutex
	posts   []*ace.AuthzInfoRequest
	formats []message.MediaType
	methods []codes.Code
	answer  func(w mux.ResponseWriter, q *ace.AuthzInfoRequest)
}

func newFalseGM(t *testing.T, answer func(w mux.ResponseWriter, q *ace.AuthzInfoRequest)) *falseGM {
	t.Helper()
	g := &falseGM{answer: answer}
	h := mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		body, _ := r.ReadBody()
		f, _ := r.ContentFormat()
		q, err := ace.ParseAuthzInfoRequest(body)
		g.mu.Lock()
		g.methods, g.formats = append(g.methods, r.Code()), append(g.formats, f)
		if err == nil {
			g.posts = append(g.posts, q)
		}
		g.mu.Unlock()
		if err != nil {
			_ = w.SetResponse(codes.BadRequest, 0, nil)
			return
		}
		g.answer(w, q)
	})
	m := endpoint.NewMux()
	m.Handle("/{rest...}", endpoint.AcceptPlain, h)
	var err error
	if g.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: m}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.ep.Close() })
	return g
}

// openDevice starts a device of an enrolment, whose Group Manager is at gm.
func openDevice(t *testing.T, e *ace.Enrolment, gm netip.AddrPort, c clock.Clock) *member.Device {
	t.Helper()
	e.GM = "coap://" + gm.String()
	store, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: dataKey})
	if err != nil {
		t.Fatal(err)
	}
	d, err := member.Open(t.Context(), member.Config{Enrolment: e, Store: store, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Clock: c, Timeout: 10 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(); _ = store.Close() })
	return d
}

func joinWith(t *testing.T, d *member.Device, group string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := d.Join(ctx, member.JoinOptions{Group: group, Roles: requester})
	return err
}

// leaveWith makes a request to the Group Manager that the device has a token for.
func leaveWith(t *testing.T, d *member.Device, group string) {
	t.Helper()
	g, err := d.Group(group)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := g.Leave(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	t.Run("AO-023,AO-025,AO-026,AO-027,AO-033,AO-034,AC-030,AC-073,AC-116 a device posts token, fresh nonce and identifier in a map, and nothing else in clear", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		_, e := a.world()
		g := newFalseGM(t, func(w mux.ResponseWriter, _ *ace.AuthzInfoRequest) {
			_ = w.SetResponse(codes.InternalServerError, 0, nil)
		})
		d := openDevice(t, e, g.ep.LocalAddr(), nil)
		for range 3 {
			if err := joinWith(t, d, "g1"); err == nil {
				t.Fatal("joined")
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.posts) < 3 || len(g.posts) != len(g.methods) {
			t.Fatalf("%d posts, %d requests", len(g.posts), len(g.methods))
		}
		seen := map[string]bool{}
		for i, q := range g.posts {
			if g.methods[i] != codes.POST || g.formats[i] != ace.ContentFormatACE || len(q.Nonce1) != 8 || seen[string(q.Nonce1)] || q.RecipientID == nil {
				t.Fatalf("%d: %v %v %+v", i, g.methods[i], g.formats[i], q)
			}
			seen[string(q.Nonce1)] = true
			if bytes.Contains(q.AccessToken, []byte("switch")) || bytes.Contains(q.AccessToken, []byte("g1")) {
				t.Fatal("the token can be read")
			}
		}
	})
	t.Run("AO-057,AO-058,AO-059 it derives nothing from an answer with its own identifier or without one, and begins anew", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		_, e := a.world()
		n := 0
		g := newFalseGM(t, func(w mux.ResponseWriter, q *ace.AuthzInfoRequest) {
			n++
			p := &ace.AuthzInfoResponse{Nonce2: []byte("87654321"), RecipientID: q.RecipientID}
			body := p.Marshal()
			if n > 1 {
				body = []byte{0xa1, 0x18, 0x2a, 0x41, 0x01}
			}
			_ = w.SetResponse(codes.Created, ace.ContentFormatACE, bytes.NewReader(body))
		})
		d := openDevice(t, e, g.ep.LocalAddr(), nil)
		for range 2 {
			if err := joinWith(t, d, "g1"); err == nil {
				t.Fatal("joined")
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.posts) < 2 || bytes.Equal(g.posts[0].Nonce1, g.posts[1].Nonce1) {
			t.Fatalf("%d posts", len(g.posts))
		}
	})
	t.Run("AC-006,AC-118,AO-030 hints in clear send it to no other Authorization Server and to no other audience", func(t *testing.T) {
		t.Parallel()
		a, thief := newLoneAS(t), newLoneAS(t)
		_, e := a.world()
		hints := (&ace.RequestCreationHints{AS: "coap://" + thief.ep.LocalAddr().String() + "/token", Audience: "thief"}).Marshal()
		asked := false
		m := endpoint.NewMux()
		m.Handle("/{rest...}", endpoint.AcceptPlain|endpoint.AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) { asked = true }))
		bait, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: m})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = bait.Close() }()
		g := newFalseGM(t, func(w mux.ResponseWriter, _ *ace.AuthzInfoRequest) {
			_ = w.SetResponse(codes.Unauthorized, ace.ContentFormatACE, bytes.NewReader(hints))
		})
		d := openDevice(t, e, g.ep.LocalAddr(), nil)
		if err := joinWith(t, d, "g1"); err == nil {
			t.Fatal("joined")
		}
		tokens, err := a.svc.Tokens(ace.TokenHash{}, 9)
		if err != nil || len(tokens) == 0 || asked {
			t.Fatal(tokens, asked, err)
		}
		for _, tok := range tokens {
			if tok.Audience != audience {
				t.Fatal(tok.Audience)
			}
		}
	})
	t.Run("AO-009,AO-024,AO-070 with what it got it is served under OSCORE, and asks for one token for all its groups", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		s.group("g2")
		e := s.thing("a", grant("g1", requester), grant("g2", requester)).enrol
		e.AS.URI = "coap://" + s.ep.LocalAddr().String() + "/token"
		d := openDevice(t, e, s.ep.LocalAddr(), nil)
		for _, g := range []string{"g1", "g2"} {
			if err := joinWith(t, d, g); err != nil {
				t.Fatal(err)
			}
		}
		tokens, err := s.as.Tokens(ace.TokenHash{}, 9)
		if err != nil || len(tokens) != 2 || tokens[1].Scope.Group("g1") != requester || tokens[1].Scope.Group("g2") != requester {
			t.Fatalf("%+v, %v", tokens, err)
		}
	})
	t.Run("AC-094,AO-066 it uses no context whose token has ended", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		s.group("g2")
		e := s.thing("a", grant("g1", requester), grant("g2", requester)).enrol
		e.AS.URI = "coap://" + s.ep.LocalAddr().String() + "/token"
		c := clock.NewFake(time.Now())
		d := openDevice(t, e, s.ep.LocalAddr(), c)
		if err := joinWith(t, d, "g1"); err != nil {
			t.Fatal(err)
		}
		before, err := s.as.Tokens(ace.TokenHash{}, 9)
		if err != nil {
			t.Fatal(err)
		}
		c.Advance(25 * time.Hour)
		leaveWith(t, d, "g1")
		after, err := s.as.Tokens(ace.TokenHash{}, 9)
		if err != nil || len(after) <= len(before) {
			t.Fatalf("%d tokens before, %d after, %v", len(before), len(after), err)
		}
	})
	t.Run("AO-066,TR-RS-10 after 4.01 in clear it gives up the context and posts its token again, and asks for no new one at once", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		e := s.thing("a", grant("g1", requester)).enrol
		e.AS.URI = "coap://" + s.ep.LocalAddr().String() + "/token"
		d := openDevice(t, e, s.ep.LocalAddr(), nil)
		if err := joinWith(t, d, "g1"); err != nil {
			t.Fatal(err)
		}
		s.restart() // the Group Manager has no associations any more
		leaveWith(t, d, "g1")
		if tokens, err := s.as.Tokens(ace.TokenHash{}, 9); err != nil || len(tokens) != 1 {
			t.Fatalf("%d tokens, %v", len(tokens), err)
		}
	})
}

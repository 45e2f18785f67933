package coap_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/trust"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

// loneAS is an Authorization Server without a Group Manager, on a socket of its
// own.
type loneAS struct {
	t      *testing.T
	store  *keystore.Store
	svc    *authserver.Service
	server *coap.ASServer
	ep     *endpoint.Endpoint

	mu      sync.Mutex
	changed []authserver.Peer
}

func newLoneAS(t *testing.T) *loneAS {
	t.Helper()
	a := &loneAS{t: t}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a.store, err = keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: dataKey})
	check()
	// The URI of the token endpoint has to be known before the port is: find one.
	probe, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
	check()
	addr := probe.LocalAddr()
	_ = probe.Close()
	a.serve(addr)
	t.Cleanup(func() { _ = a.ep.Close(); _ = a.store.Close() })
	return a
}

// serve starts a process of the Authorization Server over the store.
func (a *loneAS) serve(addr netip.AddrPort) {
	a.t.Helper()
	var err error
	check := func() {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	a.svc, err = authserver.New(authserver.Config{Issuer: "external", TokenURI: "coap://" + addr.String() + "/token", ListChanged: func(l []authserver.Peer) {
		a.mu.Lock()
		a.changed = append(a.changed, l...)
		ep := a.ep
		a.mu.Unlock()
		if ep != nil {
			a.server.ListChanged(ep, l)
		}
	}}, a.store)
	check()
	a.server, err = coap.NewASServer(a.svc, rand.Reader, nil)
	check()
	ep, err := endpoint.New(endpoint.Config{Unicast: addr, Handler: a.server.Handler(), Openers: []endpoint.RequestOpener{a.server.Opener()}})
	check()
	a.mu.Lock()
	a.ep = ep
	a.mu.Unlock()
}

// client makes requests of a peer to the Authorization Server.
type asPeer struct {
	ep    *endpoint.Endpoint
	guard endpoint.Protector
	to    netip.AddrPort
}

func (a *loneAS) peer(e ace.EnrolmentAS) *asPeer {
	a.t.Helper()
	ep, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = ep.Close() })
	b2, err := oscore.NewB2Client(e.Params(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return &asPeer{ep, endpoint.WithB2(b2, nil), a.ep.LocalAddr()}
}

func (p *asPeer) ask(t *testing.T, code codes.Code, path string, body []byte, query ...string) (*endpoint.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r := endpoint.Request{To: p.to, Code: code, Path: path, Query: query, Payload: body, Security: p.guard}
	if body != nil {
		r.Options = message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(ace.ContentFormatACE))}}
	}
	return p.ep.Do(ctx, r)
}

func (p *asPeer) must(t *testing.T, want codes.Code, code codes.Code, path string, body []byte, query ...string) *endpoint.Response {
	t.Helper()
	resp, err := p.ask(t, code, path, body, query...)
	if err != nil {
		t.Fatalf("%v %s: %v", code, path, err)
	}
	if resp.Code != want {
		t.Fatalf("%v %s: %s %x, want %s", code, path, coapmsg.CodeString(resp.Code), resp.Payload, coapmsg.CodeString(want))
	}
	return resp
}

func cfOf(t *testing.T, r *endpoint.Response) message.MediaType {
	t.Helper()
	f, err := r.Options.ContentFormat()
	if err != nil {
		return 0
	}
	return f
}

// world is an Authorization Server alone with one resource server and a device.
func (a *loneAS) world() (rs *ace.RSEnrolment, device *ace.Enrolment) {
	a.t.Helper()
	rs, err := a.svc.EnrolRS(a.t.Context(), authserver.RSRequest{Audience: audience, URI: "coap://127.0.0.1", Lifetime: time.Hour})
	if err != nil {
		a.t.Fatal(err)
	}
	device, err = a.svc.Enrol(a.t.Context(), authserver.EnrolRequest{Name: "switch", Audience: audience, Grants: []authserver.Grant{grant("g1", ace.RoleRequester)}})
	if err != nil {
		a.t.Fatal(err)
	}
	return rs, device
}

func (a *loneAS) tokenOf(p *asPeer) *ace.TokenResponse {
	a.t.Helper()
	q := &ace.TokenRequest{Audience: audience, GrantType: ace.GrantClientCredentials}
	resp := p.must(a.t, codes.Created, codes.POST, "/token", q.Marshal())
	tok, err := ace.ParseTokenResponse(resp.Payload)
	if err != nil {
		a.t.Fatal(err)
	}
	return tok
}

func TestASAlone(t *testing.T) {
	t.Parallel()
	t.Run("AC-001,AC-003,AC-004,AC-022,AC-032,AC-039,AO-001,AO-065 tokens are issued over OSCORE, in CBOR of Content-Format 19", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		_, device := a.world()
		p := a.peer(device.AS)
		resp := p.must(t, codes.Created, codes.POST, "/token", (&ace.TokenRequest{GrantType: ace.GrantClientCredentials}).Marshal())
		if cfOf(t, resp) != ace.ContentFormatACE {
			t.Fatal(cfOf(t, resp))
		}
		bad := p.must(t, codes.BadRequest, codes.POST, "/token", []byte{0x80})
		if e, err := ace.ParseError(bad.Code, bad.Payload); err != nil || e.Number != ace.InvalidRequest || cfOf(t, bad) != ace.ContentFormatACE {
			t.Fatal(e, err)
		}
		plain := &asPeer{p.ep, nil, p.to}
		plain.must(t, codes.Unauthorized, codes.POST, "/token", []byte{0xa0})
		plain.must(t, codes.Unauthorized, codes.POST, "/introspect", []byte{0xa0})
		plain.must(t, codes.Unauthorized, codes.GET, "/revoke/trl", nil)
	})
	t.Run("AC-054,AC-055,AC-057,AC-058,AC-059,AC-067 a resource server introspects at /introspect", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		tok := a.tokenOf(a.peer(device.AS))
		p := a.peer(rs.AS)
		resp := p.must(t, codes.Created, codes.POST, "/introspect", (&ace.IntrospectionRequest{Token: tok.AccessToken}).Marshal())
		got, err := ace.ParseIntrospectionResponse(resp.Payload)
		if err != nil || !got.Active || got.Claims.Subject != "switch" || !got.Claims.Cnf.OSC.MasterSecret.Equal(tok.Cnf.OSC.MasterSecret.Bytes()) || cfOf(t, resp) != ace.ContentFormatACE {
			t.Fatalf("%+v, %v", got, err)
		}
		none := p.must(t, codes.Created, codes.POST, "/introspect", (&ace.IntrospectionRequest{Token: []byte{1}}).Marshal())
		if !bytes.Equal(none.Payload, []byte{0xa1, 0x0a, 0xf4}) {
			t.Fatalf("%x", none.Payload)
		}
	})
	t.Run("AC-065,AC-066,AC-147 who is not entitled gets 4.03 and nothing, who asks badly an error in CBOR", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		if resp := a.peer(device.AS).must(t, codes.Forbidden, codes.POST, "/introspect", (&ace.IntrospectionRequest{Token: []byte{1}}).Marshal()); len(resp.Payload) != 0 {
			t.Fatalf("%x", resp.Payload)
		}
		bad := a.peer(rs.AS).must(t, codes.BadRequest, codes.POST, "/introspect", []byte{0xa0})
		if e, err := ace.ParseError(bad.Code, bad.Payload); err != nil || e.Number != ace.InvalidRequest || cfOf(t, bad) != ace.ContentFormatACE {
			t.Fatal(e, err)
		}
	})
	t.Run("AC-064 credentials that are not valid any more are answered 4.01, with invalid_client", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, _ := a.world()
		body := (&ace.IntrospectionRequest{Token: []byte{1}}).Marshal()
		first := a.peer(rs.AS)
		first.must(t, codes.Created, codes.POST, "/introspect", body)
		second := a.peer(rs.AS) // a copy of the secret
		second.must(t, codes.Created, codes.POST, "/introspect", body)
		resp := first.must(t, codes.Unauthorized, codes.POST, "/introspect", body)
		if e, err := ace.ParseError(resp.Code, resp.Payload); err != nil || e.Number != ace.InvalidClient || cfOf(t, resp) != ace.ContentFormatACE {
			t.Fatal(e, err)
		}
		if err := a.svc.RevokeRS(t.Context(), audience, "gone"); err != nil {
			t.Fatal(err)
		}
		var clear *endpoint.UnprotectedError
		if _, err := a.peer(rs.AS).ask(t, codes.POST, "/introspect", body); !errors.As(err, &clear) || clear.Code != codes.Unauthorized {
			t.Fatal(err)
		}
	})
	t.Run("TR-TRL-03,TR-TRL-04,TR-TRL-05,TR-TRL-06,TR-TRL-14 the list is at /revoke/trl, for GET over OSCORE, in Content-Format 262", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		d, p := a.peer(device.AS), a.peer(rs.AS)
		h := ace.HashToken(a.tokenOf(d).AccessToken)
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		for _, who := range []*asPeer{d, p} {
			resp := who.must(t, codes.Content, codes.GET, "/revoke/trl", nil)
			got, err := trl.ParseResponse(resp.Payload)
			if err != nil || !slices.Equal(got.Full, []ace.TokenHash{h}) || cfOf(t, resp) != ace.ContentFormatTRL {
				t.Fatalf("%+v, %v", got, err)
			}
			diff := who.must(t, codes.Content, codes.GET, "/revoke/trl", nil, "diff=0")
			if got, err := trl.ParseResponse(diff.Payload); err != nil || len(got.Diff) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		for _, m := range []codes.Code{codes.POST, codes.PUT, codes.DELETE, coapmsg.FETCH} {
			p.must(t, codes.MethodNotAllowed, m, "/revoke/trl", []byte{0xa0})
		}
	})
	t.Run("TR-TRL-07,TR-TRL-16 an error has problem details of Content-Format 257", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, _ := a.world()
		resp := a.peer(rs.AS).must(t, codes.BadRequest, codes.GET, "/revoke/trl", nil, "cursor=1")
		p, ok, err := trl.ParseProblem(resp.Payload)
		if err != nil || !ok || p.ID != trl.InvalidSet || p.Detail == "" || cfOf(t, resp) != ace.ContentFormatProblem {
			t.Fatalf("%+v, %v", p, err)
		}
	})
}

// staticAS is coap.Associations of one enrolment.
type staticAS struct{ e *ace.RSEnrolment }

func (s staticAS) Association(issuer string) (*trust.Association, error) {
	if issuer != s.e.Issuer {
		return nil, trust.ErrNotFound
	}
	return &trust.Association{AS: s.e.AS, IntrospectPath: s.e.IntrospectPath, ListPath: s.e.TRL.Path}, nil
}

func TestASClient(t *testing.T) {
	t.Parallel()
	t.Run("AC-055,AC-058,TR-TRL-03 a resource server in another process asks under an association of its own", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		tok := a.tokenOf(a.peer(device.AS))
		c := coap.NewASClient(staticAS{rs}, rand.Reader)
		if _, err := c.Query(t.Context(), "external", trl.Query{}); err == nil {
			t.Fatal("asked without an endpoint")
		}
		ep, err := endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ep.Close() }()
		c.Attach(ep)
		got, err := c.Introspect(t.Context(), "external", tok.AccessToken)
		if err != nil || !got.Active {
			t.Fatal(got, err)
		}
		h := ace.HashToken(tok.AccessToken)
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		list, err := c.Query(t.Context(), "external", trl.Query{Diff: true})
		if err != nil || len(list.Diff) != 1 || list.Diff[0].Added[0] != h {
			t.Fatal(list, err)
		}
		var p *trl.Problem
		if _, err := c.Query(t.Context(), "external", trl.Query{Diff: true, WithCursor: true, Cursor: 99}); !errors.As(err, &p) || p.ID != trl.OutOfBound {
			t.Fatal(err)
		}
		if _, err := c.Introspect(t.Context(), "nobody", nil); !errors.Is(err, trust.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

// externalGM is a Group Manager that trusts an Authorization Server of another
// process.
type externalGM struct {
	store    *keystore.Store
	manager  *manager.Service
	sessions *coap.Sessions
	trust    *trust.Service
	client   *coap.ASClient
	server   *coap.Server
	ep       *endpoint.Endpoint
}

func newExternalGM(t *testing.T, change func(*coap.Config)) *externalGM {
	t.Helper()
	g := &externalGM{}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	g.store, err = keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: dataKey})
	check()
	g.sessions, err = coap.NewSessions(coap.SessionsConfig{Contexts: &endpoint.Contexts{}, Sequence: func(a uint64) coap.SequenceStore {
		return g.store.Sequence(manager.AssociationSequence(a))
	}})
	check()
	g.manager, err = manager.New(g.store, manager.Options{Rand: rand.Reader, Delivery: g.sessions, Sessions: g.sessions})
	check()
	c := coap.Config{Manager: g.manager, Sessions: g.sessions, Audience: audience, MayBeAlone: true, TokenURI: "coap://127.0.0.1/token"}
	g.trust, err = trust.New(trust.Config{Audience: audience, Effect: g.manager, Source: clientOf{g}, Watcher: clientOf{g}, Changed: func(l []ace.TrustedAS) { g.server.SetIssuers(l) }}, g.store)
	check()
	g.client = coap.NewASClient(g.trust, rand.Reader)
	c.Revoked, c.Seen, c.Introspector = g.trust.Revoked, g.trust.Seen, g.client
	if change != nil {
		change(&c)
	}
	g.server, err = coap.New(c)
	check()
	g.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: g.server.Handler(), Openers: g.server.Openers()})
	check()
	g.sessions.Attach(g.ep)
	g.client.Attach(g.ep)
	err = g.manager.Start(t.Context())
	check()
	t.Cleanup(func() { g.server.Close(); _ = g.ep.Close(); g.manager.Stop(); _ = g.store.Close() })
	return g
}

// clientOf asks by the client of a Group Manager, which is made after what asks it.
type clientOf struct{ g *externalGM }

func (c clientOf) Query(ctx context.Context, issuer string, q trl.Query) (*trl.Response, error) {
	return c.g.client.Query(ctx, issuer, q)
}

func (c clientOf) Watch(ctx context.Context, issuer string, q trl.Query) iter.Seq2[*trl.Response, error] {
	return c.g.client.Watch(ctx, issuer, q)
}

func TestExternalAS(t *testing.T) {
	t.Parallel()
	t.Run("TR-RS-01,TR-RS-03,TR-RS-14,AC-082 a Group Manager takes tokens of an Authorization Server of another process, and ends them when its list says so", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		g := newExternalGM(t, nil)
		if _, err := g.manager.CreateGroup(t.Context(), manager.GroupSpec{Name: "g1", Active: true}); err != nil {
			t.Fatal(err)
		}
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, name: "switch", ctxs: &endpoint.Contexts{}, got: make(chan struct{}, 4)}
		d.ep = a.peer(device.AS).ep
		d.token = a.tokenOf(a.peer(device.AS))
		post := (&ace.AuthzInfoRequest{AccessToken: d.token.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}).Marshal()
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, post, codes.Unauthorized) // not trusted yet
		if err := g.trust.Add(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
		d.postToken()
		d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Forbidden) // an association, no membership
		if err := g.trust.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := ace.HashToken(d.token.AccessToken)
		if err := a.svc.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
		if err := g.trust.Poll(t.Context()); err != nil || !g.trust.Revoked(h) {
			t.Fatal(err)
		}
		if _, err := d.ask(d.gmProt, codes.GET, "/ace-group/g1", 0, nil); err == nil {
			t.Fatal("the association works on")
		}
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, post, codes.Unauthorized)
	})
	t.Run("AC-078,AC-119 where it introspects, no token is taken without the word of its issuer", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		for i := range rs.Trusted {
			rs.Trusted[i].Introspect = true
		}
		g := newExternalGM(t, nil)
		if err := g.trust.Add(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
		tok := a.tokenOf(a.peer(device.AS))
		post := (&ace.AuthzInfoRequest{AccessToken: tok.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}).Marshal()
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, ep: a.peer(device.AS).ep}
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, post, codes.Created)
		if err := a.svc.RevokeRS(t.Context(), audience, "test"); err != nil {
			t.Fatal(err)
		}
		resp := d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, post, codes.ServiceUnavailable)
		if v, ok := coapmsg.Get(resp.Options, message.MaxAge); !ok || len(v) == 0 {
			t.Fatal("5.03 without Max-Age")
		}
	})
	t.Run("AC-010,AC-011,AC-014,AC-017,AC-018,AC-151 hints carry a client-nonce where that is used, and a token without it is refused", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		var nonces *ace.ClientNonces
		g := newExternalGM(t, func(c *coap.Config) {
			var err error
			if nonces, err = ace.NewClientNonces(systemClock(), rand.Reader, 0); err != nil {
				t.Fatal(err)
			}
			c.CNonces = nonces
		})
		if err := g.trust.Add(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
		p := a.peer(device.AS)
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, ep: p.ep}
		resp := d.must(nil, codes.GET, "/ace-group/g1", 0, nil, codes.Unauthorized)
		h, err := ace.ParseRequestCreationHints(resp.Payload)
		if err != nil || h.AS == "" || h.Audience != audience || !nonces.Fresh(h.CNonce) || h.Scope != nil || h.KID != nil {
			t.Fatalf("%+v, %v", h, err)
		}
		for _, c := range []struct {
			cnonce []byte
			want   codes.Code
		}{{nil, codes.Unauthorized}, {h.CNonce, codes.Created}} {
			q := &ace.TokenRequest{Audience: audience, GrantType: ace.GrantClientCredentials, CNonce: c.cnonce}
			tok, err := ace.ParseTokenResponse(p.must(t, codes.Created, codes.POST, "/token", q.Marshal()).Payload)
			if err != nil {
				t.Fatal(err)
			}
			post := (&ace.AuthzInfoRequest{AccessToken: tok.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}).Marshal()
			d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, post, c.want)
		}
	})
	t.Run("AC-093 posts of one source are bounded, and told when to come again", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		_, device := a.world()
		g := newExternalGM(t, func(c *coap.Config) { c.PostLimits = postLimits(2) })
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, ep: a.peer(device.AS).ep}
		for range 2 {
			d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xa0}, codes.BadRequest)
		}
		resp := d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xa0}, codes.Code(4<<5|29))
		if _, ok := coapmsg.Get(resp.Options, message.MaxAge); !ok || len(resp.Payload) != 0 {
			t.Fatalf("%+v", resp)
		}
	})
	t.Run("AC-092,AC-079 authz-info has POST only", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		_, device := a.world()
		g := newExternalGM(t, nil)
		d := &thing{t: t, s: &site{t: t, ep: g.ep}, ep: a.peer(device.AS).ep}
		for _, m := range []codes.Code{codes.GET, codes.PUT, codes.DELETE, coapmsg.FETCH} {
			d.must(nil, m, "/authz-info", 0, nil, codes.MethodNotAllowed)
		}
		resp := d.must(nil, codes.GET, "/.well-known/core", 0, nil, codes.Content)
		if !strings.Contains(string(resp.Payload), `</authz-info>;rt="ace.ai"`) {
			t.Fatalf("%s", resp.Payload)
		}
	})
}

package coap_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

const audience = "gm1"

// site is an Authorization Server and Group Manager on a loopback socket.
type site struct {
	t        *testing.T
	clock    *clock.Fake
	mem      *keystore.Memory
	store    *keystore.Store
	as       *authserver.Service
	manager  *manager.Service
	server   *coap.Server
	sessions *coap.Sessions
	ep       *endpoint.Endpoint
	keep     bool // associations over a restart
}

var dataKey = bytes.Repeat([]byte{5}, 32)

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, clock: clock.NewFake(time.Now()), mem: keystore.NewMemory()}
	s.start(netip.MustParseAddrPort("127.0.0.1:0"))
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *site) start(addr netip.AddrPort) {
	s.t.Helper()
	ctx := context.Background()
	check := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	var err error
	s.store, err = keystore.Open(s.mem, keystore.Options{DataKey: dataKey})
	check(err)
	s.as, err = authserver.New(authserver.Config{Issuer: "as", TokenURI: "coap://127.0.0.1/token", Clock: s.clock}, s.store)
	check(err)
	trusted, err := s.as.TrustedAS(audience)
	if err != nil {
		var one ace.TrustedAS
		one, err = s.as.RegisterRS(ctx, authserver.RSRequest{Audience: audience, URI: "coap://127.0.0.1"})
		trusted = []ace.TrustedAS{one}
	}
	check(err)
	store := s.store
	s.sessions, err = coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{}, Clock: s.clock,
		Sequence: func(a uint64) coap.SequenceStore { return store.Sequence(manager.AssociationSequence(a)) },
	})
	check(err)
	s.manager, err = manager.New(s.store, manager.Options{
		Clock: s.clock, Rand: rand.Reader, Delivery: s.sessions, Sessions: s.sessions, Observers: s.sessions, KeepAssociations: s.keep,
	})
	check(err)
	s.server, err = coap.New(coap.Config{
		Manager: s.manager, Sessions: s.sessions, Audience: audience, Issuers: trusted, Revoked: s.as.TokenRevoked, AS: s.as,
		TokenURI: "coap://127.0.0.1/token", Clock: s.clock,
	})
	check(err)
	s.ep, err = endpoint.New(endpoint.Config{Unicast: addr, Handler: s.server.Handler(), Openers: s.server.Openers()})
	check(err)
	s.sessions.Attach(s.ep)
	check(s.manager.Start(ctx))
	if s.keep {
		check(s.sessions.Load(ctx, s.manager))
	}
}

func (s *site) stop() {
	s.server.Close()
	_ = s.ep.Close()
	s.manager.Stop()
	_ = s.store.Close()
}

// restart stops the site and starts it on what is durable, at the same address.
func (s *site) restart() {
	s.t.Helper()
	addr := s.ep.LocalAddr()
	copied := s.mem.Clone()
	s.stop()
	s.mem = copied
	s.start(addr)
}

func (s *site) group(name string) {
	s.t.Helper()
	if _, err := s.manager.CreateGroup(context.Background(), manager.GroupSpec{Name: name, Active: true}); err != nil {
		s.t.Fatal(err)
	}
}

// thing is a device that speaks the protocol step by step.
type thing struct {
	t      *testing.T
	s      *site
	name   string
	ep     *endpoint.Endpoint
	ctxs   *endpoint.Contexts
	enrol  *ace.Enrolment
	as     endpoint.Protector
	token  *ace.TokenResponse
	gm     *oscore.Context
	gmProt endpoint.Protector
	info   *ace.AuthzInfoResponse

	infoFormat message.MediaType // of info
	key        *cose.PrivateKey
	cred       *cose.Credential
	roles      ace.Roles // of the latest join

	control *string // control URI; nil: the device's resource for rekeying messages

	mu     sync.Mutex
	rekeys []*groupcomm.RekeyMessage
	gone   int
	got    chan struct{}
}

func (s *site) thing(name string, grants ...authserver.Grant) *thing {
	s.t.Helper()
	d := &thing{t: s.t, s: s, name: name, ctxs: &endpoint.Contexts{}, got: make(chan struct{}, 64)}
	var err error
	if d.enrol, err = s.as.Enrol(context.Background(), authserver.EnrolRequest{Name: name, Audience: audience, Grants: grants}); err != nil {
		s.t.Fatal(err)
	}
	if d.key, err = cose.GenerateKey(cose.CurveEd25519, rand.Reader); err != nil {
		s.t.Fatal(err)
	}
	if d.cred, err = cose.NewCCS(name, d.key.Public()); err != nil {
		s.t.Fatal(err)
	}
	m := endpoint.NewMux()
	m.Handle("/rekey", endpoint.AcceptOSCORE, endpoint.Methods{
		codes.POST: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
			b, _ := r.ReadBody()
			msg, err := groupcomm.ParseRekeyMessage(b)
			if err != nil {
				_ = w.SetResponse(codes.BadRequest, 0, nil)
				return
			}
			d.mu.Lock()
			d.rekeys = append(d.rekeys, msg)
			d.mu.Unlock()
			_ = w.SetResponse(codes.Changed, 0, nil)
			d.got <- struct{}{}
		}),
		codes.DELETE: mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
			d.mu.Lock()
			d.gone++
			d.mu.Unlock()
			_ = w.SetResponse(codes.Deleted, 0, nil)
			d.got <- struct{}{}
		}),
	})
	d.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: m, Openers: []endpoint.RequestOpener{d.ctxs}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = d.ep.Close() })
	d.boot()
	return d
}

// boot starts the derivation of a context with the Authorization Server anew.
func (d *thing) boot() {
	b2, err := oscore.NewB2Client(d.enrol.AS.Params(), rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	d.as = endpoint.WithB2(b2, nil)
}

func (d *thing) ask(sec endpoint.Protector, code codes.Code, path string, format message.MediaType, body []byte) (*endpoint.Response, error) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := endpoint.Request{To: d.s.ep.LocalAddr(), Code: code, Path: path, Payload: body, Security: sec}
	if body != nil {
		r.Options = message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(format))}}
	}
	return d.ep.Do(ctx, r)
}

func (d *thing) must(sec endpoint.Protector, code codes.Code, path string, format message.MediaType, body []byte, want codes.Code) *endpoint.Response {
	d.t.Helper()
	resp, err := d.ask(sec, code, path, format, body)
	if err != nil {
		d.t.Fatalf("%v %s: %v", code, path, err)
	}
	if resp.Code != want {
		d.t.Fatalf("%v %s: %s %q, want %s", code, path, coapmsg.CodeString(resp.Code), resp.Payload, coapmsg.CodeString(want))
	}
	return resp
}

// fetchToken gets an access token for a scope.
func (d *thing) fetchToken(scope ...ace.ScopeEntry) {
	d.t.Helper()
	resp := d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, (&ace.TokenRequest{Audience: audience, Scope: scope, GrantType: ace.GrantClientCredentials}).Marshal(), codes.Created)
	tok, err := ace.ParseTokenResponse(resp.Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	d.token = tok
}

// postToken gives the token to the Group Manager and derives the association.
func (d *thing) postToken() {
	d.t.Helper()
	n1 := make([]byte, 8)
	_, _ = rand.Read(n1)
	id1, err := d.ctxs.NewRecipientID()
	if err != nil {
		d.t.Fatal(err)
	}
	q := &ace.AuthzInfoRequest{AccessToken: d.token.AccessToken, Nonce1: n1, RecipientID: id1, WantSignInfo: true, WantECDHInfo: true, WantKDCDHCreds: true}
	resp := d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, q.Marshal(), codes.Created)
	d.infoFormat = format(resp.Options)
	if d.info, err = ace.ParseAuthzInfoResponse(resp.Payload); err != nil {
		d.t.Fatal(err)
	}
	p, err := d.token.Cnf.OSC.ClientContext(n1, d.info.Nonce2, id1, d.info.RecipientID)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.gm, err = oscore.NewContext(p, oscore.NewEphemeralSequence()); err != nil {
		d.t.Fatal(err)
	}
	if err := d.ctxs.AddOSCORE(d.gm, nil, nil); err != nil {
		d.t.Fatal(err)
	}
	d.gmProt = endpoint.WithOSCORE(d.gm)
}

// join joins a group and gives the response.
func (d *thing) join(group string, roles ace.Roles) (*groupcomm.JoinResponse, string) {
	d.t.Helper()
	resp := d.must(d.gmProt, codes.POST, "/ace-group/"+group, ace.ContentFormatGroupcomm, d.joinRequest(group, roles), codes.Created)
	j, err := groupcomm.ParseJoinResponse(resp.Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	path := ""
	for _, o := range resp.Options {
		if o.ID == message.LocationPath {
			path += "/" + string(o.Value)
		}
	}
	return j, path
}

func (d *thing) joinRequest(group string, roles ace.Roles) []byte {
	d.t.Helper()
	nc := make([]byte, 8)
	_, _ = rand.Read(nc)
	d.roles = roles
	q := &groupcomm.JoinRequest{Entry: ace.ScopeEntry{Group: group, Roles: roles}, Nonce: nc, GetCreds: &groupcomm.CredsFilter{}, Credential: d.cred.Bytes(), ControlURI: "coap:///rekey"}
	if d.control != nil {
		q.ControlURI = *d.control
	}
	q.Scope = groupcomm.EncodeScope(q.Entry)
	sig, err := groupcomm.SignEvidence(d.key, cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, d.info.Challenge, nc))
	if err != nil {
		d.t.Fatal(err)
	}
	q.Evidence = sig
	return q.Marshal()
}

func (d *thing) wait(n int) {
	d.t.Helper()
	for range n {
		select {
		case <-d.got:
		case <-time.After(15 * time.Second):
			d.t.Fatal("nothing arrived at the device")
		}
	}
}

func grant(group string, r ace.Roles) authserver.Grant {
	return authserver.Grant{Audience: audience, Group: group, Roles: r}
}

// ready makes a device that has a token and an association.
func (s *site) ready(name, group string, r ace.Roles) *thing {
	s.t.Helper()
	d := s.thing(name, grant(group, r))
	d.fetchToken(ace.ScopeEntry{Group: group, Roles: r})
	d.postToken()
	return d
}

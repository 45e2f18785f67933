package coap_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// wantClear wants an error in clear: what a stranger, or one whose context is
// gone, gets.
func wantClear(t *testing.T, err error, code codes.Code) {
	t.Helper()
	var e *endpoint.UnprotectedError
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %v in clear", err, code)
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.thing("a", grant("g1", responder))
	t.Run("GO-12.1-3 every resource but authz-info wants OSCORE, and says where tokens are", func(t *testing.T) {
		for _, path := range []string{"/ace-group", "/ace-group/g1", "/ace-group/g1/creds", "/ace-group/g1/nodes/n1", "/token"} {
			resp := d.must(nil, codes.GET, path, 0, nil, codes.Unauthorized)
			h, err := ace.ParseRequestCreationHints(resp.Payload)
			if err != nil || h.AS != "coap://127.0.0.1/token" || h.Audience != audience {
				t.Fatal(path, h, err)
			}
		}
	})
	t.Run("unknown paths", func(t *testing.T) { d.must(nil, codes.GET, "/nothing", 0, nil, codes.NotFound) })
	t.Run("authz-info takes POST only", func(t *testing.T) {
		d.must(nil, codes.GET, "/authz-info", 0, nil, codes.MethodNotAllowed)
	})
	t.Run("authz-info: garbage, another format, a forged token", func(t *testing.T) {
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xff}, codes.BadRequest)
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatCWT, []byte{0xa0}, codes.UnsupportedMediaType)
		d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
		forged := bytes.Clone(d.token.AccessToken)
		forged[len(forged)-1] ^= 1
		q := &ace.AuthzInfoRequest{AccessToken: forged, Nonce1: make([]byte, 8), RecipientID: []byte{1}}
		resp := d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, q.Marshal(), codes.Unauthorized)
		if len(resp.Payload) != 0 {
			t.Fatal("a stranger is told something")
		}
	})
	t.Run("a context nobody knows", func(t *testing.T) {
		oc, err := oscore.NewContext(oscore.Params{MasterSecret: make([]byte, 16), SenderID: []byte{0x55, 0x66, 0x77}, RecipientID: []byte{1}}, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.ask(endpoint.WithOSCORE(oc), codes.GET, "/ace-group/g1", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.thing("a", grant("g1", responder))
	t.Run("the scope is cut to what the policy grants", func(t *testing.T) {
		d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder | requester})
		if len(d.token.Scope) != 1 || d.token.Scope[0].Roles != responder {
			t.Fatalf("%+v", d.token.Scope)
		}
	})
	t.Run("nothing granted, and garbage", func(t *testing.T) {
		q := &ace.TokenRequest{Audience: audience, Scope: ace.Scope{{Group: "g9", Roles: responder}}, GrantType: ace.GrantClientCredentials}
		resp := d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, q.Marshal(), codes.BadRequest)
		if e, err := ace.ParseError(resp.Code, resp.Payload); err != nil || e.Number != ace.InvalidScope {
			t.Fatal(e, err)
		}
		d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, []byte{0x01}, codes.BadRequest)
	})
	t.Run("a context with the Authorization Server opens nothing of the Group Manager", func(t *testing.T) {
		d.must(d.as, codes.GET, "/ace-group/g1", 0, nil, codes.Unauthorized)
		d.must(d.as, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xa0}, codes.Unauthorized)
	})
	t.Run("and the other way round", func(t *testing.T) {
		d.postToken()
		d.must(d.gmProt, codes.POST, "/token", ace.ContentFormatACE, []byte{0xa0}, codes.Unauthorized)
	})
	t.Run("a revoked device gets none", func(t *testing.T) {
		if err := s.as.RevokeClient(context.Background(), "a", "operator"); err != nil {
			t.Fatal(err)
		}
		resp, err := d.ask(d.as, codes.POST, "/token", ace.ContentFormatACE, []byte{0xa0})
		if err == nil && resp.Code == codes.Created {
			t.Fatal("a token")
		}
		d.boot()
		_, err = d.ask(d.as, codes.POST, "/token", ace.ContentFormatACE, []byte{0xa0})
		wantClear(t, err, codes.Unauthorized)
	})
}

func TestCopiedEnrolment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.thing("a", grant("g1", responder))
	d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
	thief := s.thing("b", grant("g1", responder))
	thief.enrol = d.enrol
	thief.boot()
	thief.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
	t.Run("the use of a superseded context is refused and raises an alarm", func(t *testing.T) {
		q := &ace.TokenRequest{Audience: audience, Scope: ace.Scope{{Group: "g1", Roles: responder}}, GrantType: ace.GrantClientCredentials}
		d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, q.Marshal(), codes.Unauthorized)
		c, err := s.as.Client("a")
		if err != nil || c.Alarms != 1 {
			t.Fatalf("%+v %v", c, err)
		}
	})
	t.Run("a device that starts again is no thief", func(t *testing.T) {
		thief.boot()
		thief.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
		if c, err := s.as.Client("a"); err != nil || c.Alarms != 1 {
			t.Fatalf("%+v %v", c, err)
		}
	})
	t.Run("enrolled anew, the old secret derives nothing", func(t *testing.T) {
		e, err := s.as.Reenrol(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		thief.boot()
		if _, err := thief.ask(thief.as, codes.POST, "/token", ace.ContentFormatACE, []byte{0xa0}); err == nil {
			t.Fatal("the old secret works")
		}
		d.enrol = e
		d.boot()
		d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
	})
}

func TestJoinOverTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	t.Run("KO-JPROC-12,KO-JPROC-15 an empty request learns the parameters", func(t *testing.T) {
		resp := d.must(d.gmProt, codes.POST, "/ace-group/g1", 0, nil, codes.BadRequest)
		j, err := groupcomm.ParseJoinInfo(resp.Payload)
		if err != nil || j.Sign == nil || j.ECDH == nil || format(resp.Options) != ace.ContentFormatGroupcomm {
			t.Fatal(j, err)
		}
	})
	t.Run("KG-IF-02 another Content-Format", func(t *testing.T) {
		d.must(d.gmProt, codes.POST, "/ace-group/g1", ace.ContentFormatCBOR, d.joinRequest("g1", responder), codes.UnsupportedMediaType)
	})
	t.Run("KG-JOIN-16 wrong evidence has error id 3", func(t *testing.T) {
		q, err := groupcomm.ParseJoinRequest(d.joinRequest("g1", responder))
		if err != nil {
			t.Fatal(err)
		}
		q.Evidence[0] ^= 1
		resp := d.must(d.gmProt, codes.POST, "/ace-group/g1", ace.ContentFormatGroupcomm, q.Marshal(), codes.BadRequest)
		if p, ok, err := groupcomm.ParseProblem(resp.Payload); err != nil || !ok || p.ID != groupcomm.ErrorEvidence {
			t.Fatal(p, err)
		}
	})
	t.Run("KG-JOIN-22 2.01, then 2.04 for one who is a member", func(t *testing.T) {
		d.join("g1", responder)
		d.must(d.gmProt, codes.POST, "/ace-group/g1", ace.ContentFormatGroupcomm, d.joinRequest("g1", responder), codes.Changed)
	})
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	d.join("g1", responder)
	s.clock.Advance(25 * time.Hour)
	_, err := d.ask(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil)
	wantClear(t, err, codes.Unauthorized)
}

func TestPendingAssociation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	d.join("g1", responder)
	first := d.gmProt
	t.Run("posting a token again ends nothing by itself", func(t *testing.T) {
		d.postToken()
		d.must(first, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
	})
	t.Run("the first request under the new association ends the old one", func(t *testing.T) {
		d.must(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
		_, err := d.ask(first, codes.GET, "/ace-group/g1/num", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
	t.Run("what is not confirmed in time is forgotten", func(t *testing.T) {
		d.postToken()
		s.clock.Advance(2 * time.Minute)
		_, err := d.ask(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
}

func TestUpdateOfRights(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	s.group("g2")
	d := s.thing("a", grant("g1", responder), grant("g2", responder))
	d.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})
	d.postToken()
	d.join("g1", responder)
	d.must(d.gmProt, codes.GET, "/ace-group/g2/num", 0, nil, codes.Forbidden)
	q := &ace.TokenRequest{
		Audience: audience, Scope: ace.Scope{{Group: "g1", Roles: responder}, {Group: "g2", Roles: responder}},
		ReqCnf: &ace.Confirmation{KID: d.token.Cnf.OSC.ID}, GrantType: ace.GrantClientCredentials,
	}
	resp := d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, q.Marshal(), codes.Created)
	tok, err := ace.ParseTokenResponse(resp.Payload)
	if err != nil {
		t.Fatal(err)
	}
	resp = d.must(d.gmProt, codes.POST, "/authz-info", ace.ContentFormatACE, (&ace.AuthzInfoRequest{AccessToken: tok.AccessToken}).Marshal(), codes.Created)
	if len(resp.Payload) != 0 {
		t.Fatal("a payload")
	}
	d.join("g2", responder)
	d.must(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
	t.Run("a token that is none is 4.01 or 4.00, and changes nothing", func(t *testing.T) {
		d.must(d.gmProt, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xa0}, codes.BadRequest)
		d.must(d.gmProt, codes.POST, "/authz-info", ace.ContentFormatACE, (&ace.AuthzInfoRequest{AccessToken: []byte{1, 2, 3}}).Marshal(), codes.Unauthorized)
		d.must(d.gmProt, codes.GET, "/ace-group/g2/num", 0, nil, codes.Content)
	})
}

func TestVerifier(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	m := s.ready("a", "g1", responder)
	m.join("g1", responder)
	v := s.ready("checker", "g1", ace.RoleVerifier)
	t.Run("KO-RES-08,KO-OPS-19,KO-OPS-20 a verifier gets its data, no secret", func(t *testing.T) {
		resp := v.must(v.gmProt, codes.GET, "/ace-group/g1/verif-data", 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || k.Key.MasterSecret != nil || len(k.SignatureEncryptionKey) != 16 || k.Key.HKDF == 0 {
			t.Fatal(k, err)
		}
		v.must(v.gmProt, codes.GET, "/ace-group/g1/creds", 0, nil, codes.Content)
	})
	t.Run("KO-RES-10 and nothing else", func(t *testing.T) {
		for _, path := range []string{"/ace-group/g1", "/ace-group/g1/num", "/ace-group/g1/active", "/ace-group/g1/policies", "/ace-group/g1/kdc-cred"} {
			v.must(v.gmProt, codes.GET, path, 0, nil, codes.Forbidden)
		}
	})
	t.Run("KO-RES-01,KO-OPS-18,KO-OPS-28 it asks for the Group Manager's credential by FETCH", func(t *testing.T) {
		nc := []byte("12345678")
		resp := v.must(v.gmProt, coapmsg.FETCH, "/ace-group/g1/kdc-cred", ace.ContentFormatGroupcomm, groupcomm.KDCCredRequest{Nonce: nc}.Marshal(), codes.Content)
		checkKDC(t, resp.Payload, nc)
	})
	t.Run("KO-RES-02 a member is no verifier", func(t *testing.T) {
		resp := m.must(m.gmProt, codes.GET, "/ace-group/g1/verif-data", 0, nil, codes.Forbidden)
		if p, ok, err := groupcomm.ParseProblem(resp.Payload); err != nil || !ok || p.ID != groupcomm.ErrorVerifiersOnly {
			t.Fatal(p, err)
		}
		m.must(m.gmProt, coapmsg.FETCH, "/ace-group/g1/kdc-cred", ace.ContentFormatGroupcomm, groupcomm.KDCCredRequest{Nonce: []byte("12345678")}.Marshal(), codes.Forbidden)
	})
}

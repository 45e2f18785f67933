package coap_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestTokenCheck(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	s.group("g2")
	d := s.ready("a", "g1", responder)
	t.Run("AC-007,AC-096,AC-009,AC-010 a request in clear is unauthorized, and answered with hints", func(t *testing.T) {
		resp := d.must(nil, codes.GET, "/ace-group/g1", 0, nil, codes.Unauthorized)
		h, err := ace.ParseRequestCreationHints(resp.Payload)
		if err != nil || h.AS != "coap://127.0.0.1/token" || h.Audience != audience {
			t.Fatalf("%+v, %v", h, err)
		}
	})
	t.Run("AC-099,AC-151 in clear nobody learns what there is or what may be done with it", func(t *testing.T) {
		var first []byte
		for _, r := range []struct {
			code codes.Code
			path string
		}{{codes.GET, "/ace-group/g1"}, {codes.GET, "/ace-group/none"}, {codes.DELETE, "/ace-group/g2"}, {codes.PUT, "/ace-group/g1/nodes/x"}} {
			resp := d.must(nil, r.code, r.path, 0, nil, codes.Unauthorized)
			if first == nil {
				first = resp.Payload
			}
			if !bytes.Equal(resp.Payload, first) {
				t.Errorf("%v %s: %x", r.code, r.path, resp.Payload)
			}
		}
	})
	t.Run("AC-008,AO-002 authz-info itself needs no token", func(t *testing.T) {
		q := &ace.AuthzInfoRequest{AccessToken: d.token.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, q.Marshal(), codes.Created)
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, []byte{0xa0}, codes.BadRequest)
	})
	t.Run("AO-041,AO-040 its answer is of Content-Format 19", func(t *testing.T) {
		q := &ace.AuthzInfoRequest{AccessToken: d.token.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}
		resp := d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, q.Marshal(), codes.Created)
		if cfOf(t, resp) != ace.ContentFormatACE {
			t.Fatal(cfOf(t, resp))
		}
	})
	t.Run("AC-095,AC-097,AO-064,AO-060 after verification the token of the context decides: another group is 4.03", func(t *testing.T) {
		d.join("g1", responder)
		d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Content)
		d.must(d.gmProt, codes.POST, "/ace-group/g2", ace.ContentFormatGroupcomm, d.joinRequest("g2", responder), codes.Forbidden)
	})
	t.Run("AO-031,AO-032,AO-045,AO-002 an update is protected, and answered under the same context without payload", func(t *testing.T) {
		q := &ace.TokenRequest{
			Audience: audience, Scope: ace.Scope{{Group: "g1", Roles: responder}}, ReqCnf: &ace.Confirmation{KID: d.token.Cnf.OSC.ID}, GrantType: ace.GrantClientCredentials,
		}
		tok, err := ace.ParseTokenResponse(d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, q.Marshal(), codes.Created).Payload)
		if err != nil || tok.Cnf != nil {
			t.Fatal(tok, err)
		}
		update := (&ace.AuthzInfoRequest{AccessToken: tok.AccessToken}).Marshal()
		if resp := d.must(d.gmProt, codes.POST, "/authz-info", ace.ContentFormatACE, update, codes.Created); len(resp.Payload) != 0 {
			t.Fatalf("%x", resp.Payload)
		}
		d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Content)
		d.must(nil, codes.POST, "/authz-info", ace.ContentFormatACE, update, codes.BadRequest)
	})
	t.Run("AC-110,AC-120 a token permits what was asked for and granted, and nothing else", func(t *testing.T) {
		v := s.server.Inspect(d.token.AccessToken)
		if len(v.Claims.Scope) != 1 || v.Claims.Scope.Group("g1") != responder {
			t.Fatalf("%v", v.Claims.Scope)
		}
	})
	t.Run("AO-063 what does not verify is answered as RFC 8613 says, in clear", func(t *testing.T) {
		other := s.ready("b", "g1", responder)
		s.sessions.Drop(1 << 40)         // nobody's
		s.clock.Advance(2 * time.Minute) // its association was never confirmed
		_, err := other.ask(other.gmProt, codes.GET, "/ace-group/g1", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
	t.Run("AO-062,AC-096,AO-061 once the token has expired its context is answered with 4.01 in clear", func(t *testing.T) {
		s.clock.Advance(25 * time.Hour)
		_, err := d.ask(d.gmProt, codes.GET, "/ace-group/g1", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
}

func TestReplacedContext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	d.join("g1", responder)
	t.Run("AO-067,AO-073,AO-074,AO-075 the newer context replaces the old one at its first request; what comes under the old one then fails", func(t *testing.T) {
		first := d.gmProt
		d.postToken()
		d.must(first, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
		d.must(d.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
		_, err := d.ask(first, codes.GET, "/ace-group/g1/num", 0, nil)
		wantClear(t, err, codes.Unauthorized)
	})
	t.Run("AC-092 other methods of authz-info are refused under the association too", func(t *testing.T) {
		for _, m := range []codes.Code{codes.GET, codes.PUT, codes.DELETE, coapmsg.FETCH} {
			d.must(d.gmProt, m, "/authz-info", 0, nil, codes.MethodNotAllowed)
		}
	})
}

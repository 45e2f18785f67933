package coap_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
)

// faulty makes a join request with faults on top of a good one.
func (d *thing) faulty(group string, r ace.Roles, faults ...func(q *groupcomm.JoinRequest)) []byte {
	d.t.Helper()
	q, err := groupcomm.ParseJoinRequest(d.joinRequest(group, r))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range faults {
		f(q)
	}
	return q.Marshal()
}

// TestOrderOfJoinChecks: each request has the fault of its row and those of the rows
// below that can go with it, so that the answer tells which check came first.
func TestOrderOfJoinChecks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx := context.Background()
	// Sender IDs of one byte: the last check fails as well, once all are used up.
	if _, err := s.manager.CreateGroup(ctx, manager.GroupSpec{Name: "g1", Active: true, Config: manager.GroupConfig{
		GroupEnc: cose.AlgAESCCM64_64_128, AEAD: cose.AlgAESCCM64_64_128,
	}}); err != nil {
		t.Fatal(err)
	}
	s.group("g2")
	eater := s.ready("eater", "g1", responder)
	_, home := eater.join("g1", responder)
	for range 256 {
		resp, err := eater.ask(eater.gmProt, codes.POST, home, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Code != codes.Changed {
			break
		}
	}
	d := s.ready("d", "g1", responder)
	checker := s.ready("checker", "g1", ace.RoleVerifier)
	other := s.ready("other", "g2", responder)
	gone := s.ready("gone", "nowhere", responder)
	lost := s.thing("lost", grant("g1", responder|ace.RoleMonitor))
	lost.fetchToken(ace.ScopeEntry{Group: "g1", Roles: ace.RoleMonitor})
	lost.postToken() // no challenge comes with it
	lost.widen("g1", responder)
	late := s.thing("late", grant("g1", responder))
	late.fetchToken(ace.ScopeEntry{Group: "g1", Roles: responder})

	evidence := func(q *groupcomm.JoinRequest) { q.Evidence[0] ^= 1 }
	noEvidence := func(q *groupcomm.JoinRequest) { q.Evidence = nil }
	credential := func(q *groupcomm.JoinRequest) { q.Credential = []byte{0xa0} }
	control := func(q *groupcomm.JoinRequest) { q.ControlURI = "coap://192.0.2.1/x" }
	scope := func(group string, r ace.Roles) func(q *groupcomm.JoinRequest) {
		return func(q *groupcomm.JoinRequest) {
			q.Entry = ace.ScopeEntry{Group: group, Roles: r}
			q.Scope = groupcomm.EncodeScope(q.Entry)
		}
	}
	garbage := []byte{0xff}
	plain, info, problem := message.TextPlain, ace.ContentFormatGroupcomm, ace.ContentFormatProblem

	for _, c := range []struct {
		name     string
		d        *thing
		group    string
		body     []byte
		inactive bool
		code     codes.Code
		format   message.MediaType
		id       groupcomm.ErrorID
	}{
		{"KG-ERR-02 no entry of the token for the group", other, "g1", garbage, true, codes.Forbidden, plain, -1},
		{"KG-ERR-02 nor does it say whether the group exists", other, "nowhere", garbage, false, codes.Forbidden, plain, -1},
		{"a group that does not exist", gone, "nowhere", garbage, false, codes.NotFound, plain, -1},
		{"KO-RES-10 a token of a signature verifier only", checker, "g1", garbage, true, codes.Forbidden, plain, -1},
		{"KO-JPROC-06 the group is not active", d, "g1", garbage, true, codes.ServiceUnavailable, problem, groupcomm.ErrorInactive},
		{"KO-JPROC-15 an empty request learns the parameters in any state", d, "g1", nil, true, codes.BadRequest, info, -1},
		{"KG-ERR-04 what cannot be read", d, "g1", garbage, false, codes.BadRequest, info, -1},
		{"KO-JPROC-07 roles that do not go together, beyond the token", d, "g1", d.faulty("g1", responder, scope("g1", ace.RoleMonitor|requester), noEvidence, control), false, codes.BadRequest, info, -1},
		{"another group in the scope", d, "g1", d.faulty("g1", responder, scope("g2", requester), noEvidence, control), false, codes.BadRequest, info, -1},
		{"KG-JOIN-13 roles beyond the token", d, "g1", d.faulty("g1", responder, scope("g1", requester|responder), credential, noEvidence, control), false, codes.Forbidden, plain, -1},
		{"KO-JPROC-08 evidence is missing", d, "g1", d.faulty("g1", responder, credential, noEvidence, control), false, codes.BadRequest, info, -1},
		{"a control URI that points elsewhere", d, "g1", d.faulty("g1", responder, credential, evidence, control), false, codes.BadRequest, info, -1},
		{"KG-JOIN-14 the challenge is not known any more", lost, "g1", lost.faulty("g1", responder, credential, evidence), false, codes.BadRequest, info, -1},
		{"KG-JOIN-15 a credential that does not fit", d, "g1", d.faulty("g1", responder, credential, evidence), false, codes.BadRequest, problem, groupcomm.ErrorCredential},
		{"KG-JOIN-16 evidence that does not verify", d, "g1", d.faulty("g1", responder, evidence), false, codes.BadRequest, problem, groupcomm.ErrorEvidence},
		{"KO-JPROC-05 no Sender ID is free", d, "g1", d.faulty("g1", responder), false, codes.ServiceUnavailable, problem, groupcomm.ErrorNoMaterial},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.inactive {
				s.active("g1", false)
				defer s.active("g1", true)
			}
			resp := c.d.must(c.d.gmProt, codes.POST, "/ace-group/"+c.group, ace.ContentFormatGroupcomm, c.body, c.code)
			if f := format(resp.Options); f != c.format {
				t.Fatalf("Content-Format %v, want %v: %q", f, c.format, resp.Payload)
			}
			switch c.format {
			case problem:
				if p, ok, err := groupcomm.ParseProblem(resp.Payload); err != nil || !ok || p.ID != c.id {
					t.Fatal(p, err)
				}
			case info:
				j, err := groupcomm.ParseJoinInfo(resp.Payload)
				if err != nil || j.Sign == nil || j.ECDH == nil || (j.Challenge != nil) != (c.d == lost) {
					t.Fatal(j, err)
				}
			}
		})
	}
	t.Run("KG-ERR-01 first of all the token has to be valid", func(t *testing.T) {
		late.postToken()
		body := late.faulty("g1", responder, credential, evidence)
		late.must(late.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Forbidden)
		s.clock.Advance(25 * time.Hour)
		s.active("g1", false)
		_, err := late.ask(late.gmProt, codes.POST, "/ace-group/g1", ace.ContentFormatGroupcomm, body)
		var clear *endpoint.UnprotectedError
		if !errors.As(err, &clear) || clear.Code != codes.Unauthorized {
			t.Fatal(err)
		}
	})
}

func (s *site) active(group string, yes bool) {
	s.t.Helper()
	if err := s.manager.SetActive(context.Background(), group, yes); err != nil {
		s.t.Fatal(err)
	}
}

// widen updates the rights of the device's token (RFC 9203, Section 4.2).
func (d *thing) widen(group string, r ace.Roles) {
	d.t.Helper()
	d.must(d.gmProt, codes.GET, "/ace-group/"+group+"/num", 0, nil, codes.Forbidden) // the association is in use
	q := &ace.TokenRequest{
		Audience: audience, Scope: ace.Scope{{Group: group, Roles: r}}, ReqCnf: &ace.Confirmation{KID: d.token.Cnf.OSC.ID}, GrantType: ace.GrantClientCredentials,
	}
	resp := d.must(d.as, codes.POST, "/token", ace.ContentFormatACE, q.Marshal(), codes.Created)
	tok, err := ace.ParseTokenResponse(resp.Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	d.must(d.gmProt, codes.POST, "/authz-info", ace.ContentFormatACE, (&ace.AuthzInfoRequest{AccessToken: tok.AccessToken}).Marshal(), codes.Created)
}

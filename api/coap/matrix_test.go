package coap_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
)

// op is a method on a resource of group g1, with what it needs as payload. {n}
// in the path is the caller's node.
type op struct {
	code   codes.Code
	path   string
	format message.MediaType
	body   func(d *thing, j *groupcomm.JoinResponse) []byte
}

func fixed(b []byte) func(*thing, *groupcomm.JoinResponse) []byte {
	return func(*thing, *groupcomm.JoinResponse) []byte { return b }
}

// operations is the whole interface (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.5).
func operations() map[string]op {
	const g = "/ace-group/g1"
	all := (&groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true, Roles: []ace.Roles{responder, requester}}}).Marshal()
	return map[string]op{
		"F ace-group": {coapmsg.FETCH, "/ace-group", ace.ContentFormatGroupcomm, fixed((&groupcomm.GidsRequest{Gids: [][]byte{{1}}}).Marshal())},
		"G group":     {code: codes.GET, path: g},
		"G active":    {code: codes.GET, path: g + "/active"},
		"G verif":     {code: codes.GET, path: g + "/verif-data"},
		"G creds":     {code: codes.GET, path: g + "/creds"},
		"F creds":     {coapmsg.FETCH, g + "/creds", ace.ContentFormatGroupcomm, fixed(all)},
		"G kdc-cred":  {code: codes.GET, path: g + "/kdc-cred"},
		"F kdc-cred":  {coapmsg.FETCH, g + "/kdc-cred", ace.ContentFormatGroupcomm, fixed(groupcomm.KDCCredRequest{Nonce: []byte("12345678")}.Marshal())},
		"F stale":     {coapmsg.FETCH, g + "/stale-sids", ace.ContentFormatCBOR, fixed(groupcomm.MarshalNum(0))},
		"G policies":  {code: codes.GET, path: g + "/policies"},
		"G num":       {code: codes.GET, path: g + "/num"},
		"G node":      {code: codes.GET, path: "{n}"},
		"P node":      {code: codes.POST, path: "{n}"},
		"P cred":      {codes.POST, "{n}/cred", ace.ContentFormatGroupcomm, func(d *thing, _ *groupcomm.JoinResponse) []byte { return d.update("g1") }},
		"D node":      {code: codes.DELETE, path: "{n}"},
	}
}

// update makes a valid update of the device's credential.
func (d *thing) update(group string) []byte {
	u := &groupcomm.CredentialUpdate{Credential: d.cred.Bytes(), Nonce: []byte("abcdefgh")}
	scope := groupcomm.EncodeScope(ace.ScopeEntry{Group: group, Roles: d.roles})
	u.Evidence, _ = groupcomm.SignEvidence(d.key, cose.AlgEdDSA, groupcomm.ClientPoP(scope, d.info.Challenge, u.Nonce))
	return u.Marshal()
}

// TestWhoMayDoWhat walks the table of callers and operations.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	if _, err := s.manager.Rekey(context.Background(), "g1", manager.CauseOperator); err != nil {
		t.Fatal(err)
	}
	try := func(t *testing.T, d *thing, home string, allowed ...string) {
		t.Helper()
		may := map[string]bool{}
		for _, a := range allowed {
			may[a] = true
		}
		ops := operations()
		names := []string{"F ace-group", "G group", "G active", "G verif", "G creds", "F creds", "G kdc-cred", "F kdc-cred", "F stale", "G policies", "G num", "G node", "P cred", "P node", "D node"}
		if len(names) != len(ops) {
			t.Fatal("an operation is not tried")
		}
		for _, name := range names {
			o := ops[name]
			var body []byte
			if o.body != nil {
				body = o.body(d, nil)
			}
			resp, err := d.ask(d.gmProt, o.code, strings.Replace(o.path, "{n}", home, 1), o.format, body)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if ok := coapmsg.IsSuccess(resp.Code); ok != may[name] {
				t.Errorf("%s: %s, allowed %v", name, coapmsg.CodeString(resp.Code), may[name])
			}
		}
	}
	t.Run("KO-RES-06,KO-RES-13,KG-CRED-01 a requester", func(t *testing.T) {
		d := s.ready("requester", "g1", requester)
		_, home := d.join("g1", requester)
		try(t, d, home, "F ace-group", "G group", "G active", "G creds", "F creds", "G kdc-cred", "F stale", "G policies", "G num", "G node", "P cred", "P node", "D node")
	})
	if _, err := s.manager.Rekey(context.Background(), "g1", manager.CauseOperator); err != nil {
		t.Fatal(err)
	}
	other := s.ready("lamp", "g1", responder)
	_, lampHome := other.join("g1", responder)
	t.Run("KO-RES-07 a monitor", func(t *testing.T) {
		d := s.ready("monitor", "g1", ace.RoleMonitor)
		_, home := d.join("g1", ace.RoleMonitor)
		try(t, d, home, "F ace-group", "G group", "G active", "G creds", "F creds", "G kdc-cred", "F stale", "G policies", "G num", "G node", "D node")
	})
	t.Run("KO-RES-08,KO-RES-10 a signature verifier", func(t *testing.T) {
		d := s.ready("verifier", "g1", ace.RoleVerifier)
		try(t, d, lampHome, "F ace-group", "G verif", "G creds", "F creds", "F kdc-cred")
	})
	t.Run("KO-RES-09 one who has not joined", func(t *testing.T) {
		d := s.ready("outsider", "g1", requester)
		try(t, d, lampHome, "F ace-group")
	})
	t.Run("KG-ERR-02 one with a token for another group", func(t *testing.T) {
		s.group("g2")
		d := s.ready("stranger", "g2", requester)
		try(t, d, lampHome, "F ace-group")
	})
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	d := s.ready("a", "g1", responder)
	_, home := d.join("g1", responder)
	t.Run("KG-GNAME-01 the root knows FETCH only", func(t *testing.T) {
		for _, c := range []codes.Code{codes.GET, codes.POST, codes.PUT, codes.DELETE} {
			d.must(d.gmProt, c, "/ace-group", 0, nil, codes.MethodNotAllowed)
		}
	})
	t.Run("KG-CRED-08 an update is 2.04 without payload", func(t *testing.T) {
		resp := d.must(d.gmProt, codes.POST, home+"/cred", ace.ContentFormatGroupcomm, d.update("g1"), codes.Changed)
		if len(resp.Payload) != 0 {
			t.Fatal("a payload")
		}
	})
	t.Run("KG-NODE-10 a renewal has no payload", func(t *testing.T) {
		d.must(d.gmProt, codes.POST, home, ace.ContentFormatGroupcomm, []byte{0xa0}, codes.BadRequest)
	})
	t.Run("KG-ERR-05 unknown members of a request are ignored", func(t *testing.T) {
		q := (&groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true, Roles: []ace.Roles{responder}}}).Marshal()
		q = append(append([]byte{0xa2}, q[1:]...), 0x19, 0x03, 0xe7, 0xf6) // 999: null
		d.must(d.gmProt, coapmsg.FETCH, "/ace-group/g1/creds", ace.ContentFormatGroupcomm, q, codes.Content)
	})
	t.Run("KG-GET-04,KO-OPS-02 material says until when", func(t *testing.T) {
		resp := d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || k.Expiry.In == 0 || k.Expiry.At == 0 {
			t.Fatal(k, err)
		}
		if left := int64(k.Expiry.At) - s.clock.Now().Unix(); left != int64(k.Expiry.In) && left != int64(k.Expiry.In)+1 { // part of a second is over
			t.Fatalf("exi is %d, and exp is %d s away", k.Expiry.In, left)
		}
	})
	t.Run("KG-GET-12,KG-GET-13,KG-JRESP-16 kdc-cred proves over the nonce of the latest join", func(t *testing.T) {
		body := d.joinRequest("g1", responder)
		q, err := groupcomm.ParseJoinRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		d.must(d.gmProt, codes.POST, "/ace-group/g1", ace.ContentFormatGroupcomm, body, codes.Changed)
		resp := d.must(d.gmProt, codes.GET, "/ace-group/g1/kdc-cred", 0, nil, codes.Content)
		checkKDC(t, resp.Payload, q.Nonce)
		again := d.must(d.gmProt, codes.GET, "/ace-group/g1/kdc-cred", 0, nil, codes.Content)
		if bytes.Equal(resp.Payload, again.Payload) {
			t.Fatal("the same proof twice")
		}
	})
}

func TestWellKnown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	s.group("secret")
	d := s.ready("a", "g1", responder)
	list := func(sec endpoint.Protector, queries ...string) string {
		t.Helper()
		resp, err := d.ep.Do(t.Context(), endpoint.Request{To: s.ep.LocalAddr(), Code: codes.GET, Path: "/.well-known/core", Query: queries, Security: sec})
		if err != nil || resp.Code != codes.Content {
			t.Fatal(resp, err)
		}
		return string(resp.Payload)
	}
	if got := list(nil); got != `</ace-group>;if="ace.groups",</authz-info>;rt="ace.ai"` {
		t.Errorf("strangers see %s", got)
	}
	t.Run("KG-IF-03,KO-RES-11 the root and the groups one has a token for", func(t *testing.T) {
		if got := list(nil, "if=ace.groups"); got != `</ace-group>;if="ace.groups"` {
			t.Error(got)
		}
		if got := list(d.gmProt, "if=ace.group"); got != `</ace-group/g1>;if="ace.group";rt="core.osc.gm"` {
			t.Error(got)
		}
		if got := list(d.gmProt, "rt=core.osc*"); got != `</ace-group/g1>;if="ace.group";rt="core.osc.gm"` {
			t.Error(got)
		}
		if got := list(d.gmProt, "rt=core.osc.gm", "href=/ace-group/g2"); got != "" {
			t.Error(got)
		}
	})
}

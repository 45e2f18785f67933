package coap_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
)

func TestInterface(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	s.group("g2")
	d := s.ready("lamp", "g1", responder)
	t.Run("KG-SCOPE-02 a scope entry is the group's name and its roles", func(t *testing.T) {
		entry := ace.ScopeEntry{Group: "g1", Roles: requester | responder}
		if got := hex.EncodeToString(groupcomm.EncodeScope(entry)); got != "8262673106" {
			t.Fatal(got)
		}
		if got := hex.EncodeToString(ace.Scope{entry}.Marshal()); got != "818262673106" {
			t.Fatal(got)
		}
	})
	t.Run("KG-SCOPE-08,KO-SCOPE-09,KG-JOIN-26 a join in clear, or under an association with the Authorization Server, is refused", func(t *testing.T) {
		for _, sec := range []endpoint.Protector{nil, d.as} {
			resp, err := d.ask(sec, codes.POST, "/ace-group/g1", ace.ContentFormatGroupcomm, d.joinRequest("g1", responder))
			if err == nil && resp.Code != codes.Unauthorized {
				t.Fatal(resp.Code)
			}
		}
	})
	j, home := d.join("g1", responder)
	t.Run("KG-IF-04,KO-SCOPE-05 the path segment is the group's name", func(t *testing.T) {
		resp := d.must(d.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || !bytes.Equal(k.Key.Gid, j.Key.Gid) {
			t.Fatal(err)
		}
		d.must(d.gmProt, codes.GET, "/ace-group/g2", 0, nil, codes.Forbidden)
	})
	t.Run("KG-IF-05 credentials of members and of the Group Manager have their resources", func(t *testing.T) {
		d.must(d.gmProt, codes.GET, "/ace-group/g1/creds", 0, nil, codes.Content)
		d.must(d.gmProt, codes.GET, "/ace-group/g1/kdc-cred", 0, nil, codes.Content)
	})
	t.Run("KG-IF-06 a node for each member, and for nobody else", func(t *testing.T) {
		d.must(d.gmProt, codes.GET, home, 0, nil, codes.Content)
		d.must(d.gmProt, codes.POST, home+"/cred", ace.ContentFormatGroupcomm, []byte{0xa0}, codes.BadRequest)
		d.must(d.gmProt, codes.GET, "/ace-group/g1/nodes/n99", 0, nil, codes.Forbidden)
	})
	t.Run("KG-IF-01 paths stay as they are over a restart", func(t *testing.T) {
		s.restart()
		d.postToken()
		d.must(d.gmProt, codes.GET, home, 0, nil, codes.Content)
	})
}

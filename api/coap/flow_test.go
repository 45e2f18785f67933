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
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
)

const (
	requester = ace.RoleRequester
	responder = ace.RoleResponder
)

// TestFlow is the life of two devices in a group, over real sockets.
func TestFlow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	ctx := context.Background()
	sw := s.ready("switch", "g1", requester)
	t.Run("KG-TOK-03,KG-TOK-04,KG-TOK-08,KO-TOK-02,KO-TOK-08 authz-info tells challenge and parameters", func(t *testing.T) {
		if sw.infoFormat != ace.ContentFormatACE {
			t.Fatal(sw.infoFormat)
		}
		sign, err := groupcomm.ParseSignInfo(sw.info.SignInfo)
		if err != nil || len(sign) != 1 || sign[0].Groups[0] != "g1" || len(sw.info.Challenge) < 8 {
			t.Fatal(sign, err)
		}
		if ecdh, err := groupcomm.ParseECDHInfo(sw.info.ECDHInfo); err != nil || len(ecdh) != 1 {
			t.Fatal(ecdh, err)
		}
	})
	t.Run("KO-TOK-07,KO-TOK-09 no DH credential for a group that signs", func(t *testing.T) {
		if sw.info.KDCDHCreds != nil {
			t.Fatal("kdc_dh_creds")
		}
	})
	js, home := sw.join("g1", requester)
	t.Run("KG-JOIN-23 the location is the node's resource", func(t *testing.T) {
		if !strings.HasPrefix(home, "/ace-group/g1/nodes/n") {
			t.Fatal(home)
		}
	})
	lamp := s.ready("lamp", "g1", responder)
	jl, lampHome := lamp.join("g1", responder)
	t.Run("KO-JRESP-10,KG-JRESP-05,KG-JRESP-06,KG-JRESP-07,KO-JRESP-11 get_creds null gives a responder the requesters", func(t *testing.T) {
		if len(jl.Peers) != 1 || !bytes.Equal(jl.Peers[0].Credential, sw.cred.Bytes()) || !bytes.Equal(jl.Peers[0].SenderID, js.Key.SenderID) || jl.Peers[0].Roles != requester {
			t.Fatalf("%+v", jl.Peers)
		}
	})
	t.Run("KG-GET-05,KO-OPS-10 FETCH creds by Sender ID", func(t *testing.T) {
		q := &groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true, IDs: [][]byte{jl.Key.SenderID}}}
		resp := sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group/g1/creds", ace.ContentFormatGroupcomm, q.Marshal(), codes.Content)
		p, err := groupcomm.ParseCredsResponse(resp.Payload)
		if err != nil || len(p.Peers) != 1 || !bytes.Equal(p.Peers[0].Credential, lamp.cred.Bytes()) {
			t.Fatal(p, err)
		}
	})
	t.Run("KG-GET-11,KO-OPS-11 FETCH creds of nobody", func(t *testing.T) {
		q := &groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true, IDs: [][]byte{{0x77}}}}
		resp := sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group/g1/creds", ace.ContentFormatGroupcomm, q.Marshal(), codes.Content)
		if !groupcomm.IsEmptyResult(resp.Payload) {
			t.Fatalf("%x", resp.Payload)
		}
	})
	t.Run("KG-GET-06 FETCH creds with two empty filters", func(t *testing.T) {
		q := &groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true}}
		sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group/g1/creds", ace.ContentFormatGroupcomm, q.Marshal(), codes.BadRequest)
	})
	t.Run("KG-GET-18,KG-GET-17 the version is a bare integer", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Content)
		if v, err := groupcomm.ParseNum(resp.Payload); err != nil || v != 0 || format(resp.Options) != ace.ContentFormatCBOR {
			t.Fatal(v, err)
		}
	})
	t.Run("KO-OPS-22 active is a bare boolean", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.GET, "/ace-group/g1/active", 0, nil, codes.Content)
		if on, err := groupcomm.ParseActive(resp.Payload); err != nil || !on || format(resp.Options) != ace.ContentFormatCBOR {
			t.Fatal(on, err)
		}
	})
	t.Run("KG-GET-16 policies", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.GET, "/ace-group/g1/policies", 0, nil, codes.Content)
		if p, err := groupcomm.ParsePoliciesResponse(resp.Payload); err != nil || p.Policies != groupcomm.DefaultPolicies() {
			t.Fatal(p, err)
		}
	})
	t.Run("KG-GNAME-03,KG-GNAME-04,KO-OPS-24 which group has a Gid", func(t *testing.T) {
		q := &groupcomm.GidsRequest{Gids: [][]byte{{9, 9}, js.Key.Gid}}
		resp := sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group", ace.ContentFormatGroupcomm, q.Marshal(), codes.Content)
		p, err := groupcomm.ParseGidsResponse(resp.Payload)
		if err != nil || len(p.Groups) != 1 || p.Groups[0].Name != "g1" || p.Groups[0].URI != "/ace-group/g1" {
			t.Fatal(p, err)
		}
		q.Gids = q.Gids[:1]
		resp = sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group", ace.ContentFormatGroupcomm, q.Marshal(), codes.Content)
		t.Run("KG-GNAME-05 none", func(t *testing.T) {
			if !groupcomm.IsEmptyResult(resp.Payload) {
				t.Fatalf("%x", resp.Payload)
			}
		})
	})
	t.Run("KG-NODE-03 the node of another member", func(t *testing.T) {
		sw.must(sw.gmProt, codes.GET, lampHome, 0, nil, codes.Forbidden)
		sw.must(sw.gmProt, codes.DELETE, lampHome, 0, nil, codes.Forbidden)
	})
	t.Run("KG-NODE-01 PUT is no method of a node", func(t *testing.T) {
		sw.must(sw.gmProt, codes.PUT, home, 0, nil, codes.MethodNotAllowed)
	})
	t.Run("KO-RKOV-01,KG-REKEY-08,KG-REKEY-05,KO-RK-10 each member is sent the new material under its association", func(t *testing.T) {
		if _, err := s.manager.Rekey(ctx, "g1", manager.CauseOperator); err != nil {
			t.Fatal(err)
		}
		sw.wait(1)
		lamp.wait(1)
		if m := lamp.rekeys[0]; m.Version != 1 || bytes.Equal(m.Gid, jl.Key.Gid) || !bytes.Equal(m.Gid, sw.rekeys[0].Gid) {
			t.Fatalf("%+v", m)
		}
		waitConfirmed(t, s, "g1")
	})
	t.Run("KG-GET-02,KO-OPS-01,KO-OPS-02 a member that asks gets the same, without its Sender ID", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || k.Version != 1 || !bytes.Equal(k.Key.MasterSecret, sw.rekeys[0].MasterSecret) || k.Key.SenderID != nil {
			t.Fatal(k, err)
		}
	})
	t.Run("KG-NODE-04,KO-OPS-03 and its node tells the Sender ID", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.GET, home, 0, nil, codes.Content)
		k, err := groupcomm.ParseKeyResponse(resp.Payload)
		if err != nil || !bytes.Equal(k.Key.SenderID, js.Key.SenderID) {
			t.Fatal(k, err)
		}
	})
	t.Run("KO-OPS-25 the old Gid is no group's any more", func(t *testing.T) {
		q := &groupcomm.GidsRequest{Gids: [][]byte{js.Key.Gid}}
		resp := sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group", ace.ContentFormatGroupcomm, q.Marshal(), codes.Content)
		if !groupcomm.IsEmptyResult(resp.Payload) {
			t.Fatalf("%x", resp.Payload)
		}
	})
	t.Run("KO-MISS-08,KO-MISS-11,GO-D-2 stale Sender IDs, none here", func(t *testing.T) {
		resp := sw.must(sw.gmProt, coapmsg.FETCH, "/ace-group/g1/stale-sids", ace.ContentFormatCBOR, groupcomm.MarshalNum(0), codes.Content)
		if ids, err := groupcomm.ParseStaleSIDs(resp.Payload); err != nil || ids == nil || len(ids) != 0 {
			t.Fatal(ids, err)
		}
	})
	t.Run("KO-REM-02 an evicted device is told, the others are rekeyed", func(t *testing.T) {
		node := strings.TrimPrefix(lampHome, "/ace-group/g1/nodes/")
		if _, err := s.manager.Evict(ctx, "g1", node, manager.CauseOperator); err != nil {
			t.Fatal(err)
		}
		sw.wait(1)
		lamp.wait(1)
		lamp.mu.Lock()
		defer lamp.mu.Unlock()
		if lamp.gone != 1 || len(lamp.rekeys) != 1 || len(sw.rekeys) != 2 {
			t.Fatal(lamp.gone, len(lamp.rekeys))
		}
		if m := sw.rekeys[1]; len(m.StaleIDs) != 1 || !bytes.Equal(m.StaleIDs[0], jl.Key.SenderID) {
			t.Fatalf("%x", m.StaleIDs)
		}
	})
	t.Run("KG-GET-01,KG-ERR-06,KG-ERR-07,KG-ERR-10 one who is out is told so", func(t *testing.T) {
		resp := lamp.must(lamp.gmProt, codes.GET, "/ace-group/g1", 0, nil, codes.Forbidden)
		p, ok, err := groupcomm.ParseProblem(resp.Payload)
		if err != nil || !ok || p.ID != groupcomm.ErrorMembersOnly || format(resp.Options) != ace.ContentFormatProblem {
			t.Fatal(p, ok, err)
		}
	})
	t.Run("KO-OPS-08,KG-NODE-10,KG-NODE-13 a new Sender ID", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.POST, home, 0, nil, codes.Changed)
		r, err := groupcomm.ParseRenewal(resp.Payload)
		if err != nil || r.SenderID == nil || bytes.Equal(r.SenderID.SenderID, js.Key.SenderID) {
			t.Fatal(r, err)
		}
	})
	t.Run("KG-NODE-16 leaving", func(t *testing.T) {
		resp := sw.must(sw.gmProt, codes.DELETE, home, 0, nil, codes.Deleted)
		if len(resp.Payload) != 0 {
			t.Fatal("a payload")
		}
		sw.must(sw.gmProt, codes.GET, "/ace-group/g1/num", 0, nil, codes.Forbidden)
	})
}

func format(opts message.Options) message.MediaType {
	for _, o := range opts {
		if o.ID == message.ContentFormat {
			v, err := coapmsg.DecodeUint(o.Value)
			if err == nil {
				return message.MediaType(v)
			}
		}
	}
	return 0
}

package coap_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
)

// TestLongBodies joins a group with credentials of three kilobytes each: requests and
// responses, the credential lists and rekeying messages go block by block.
func TestLongBodies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx := context.Background()
	if _, err := s.manager.CreateGroup(ctx, manager.GroupSpec{Name: "g1", Active: true, Config: manager.GroupConfig{BackwardSecurity: true}}); err != nil {
		t.Fatal(err)
	}
	const size = 3000
	lengthy := func(name string, r ace.Roles) *thing {
		t.Helper()
		d := s.ready(name, "g1", r)
		var err error
		if d.cred, err = cose.NewCCS(strings.Repeat(name, size/len(name)), d.key.Public()); err != nil {
			t.Fatal(err)
		}
		return d
	}
	var lamps []*thing
	for _, n := range []string{"a", "b", "c"} {
		d := lengthy(n, responder)
		d.join("g1", responder)
		lamps = append(lamps, d)
	}
	sw := lengthy("switch", requester)
	var home string
	t.Run("a join brings a long credential and gets a long list", func(t *testing.T) {
		var j *groupcomm.JoinResponse
		j, home = sw.join("g1", requester)
		if len(j.Peers) != len(lamps) {
			t.Fatalf("%d peers", len(j.Peers))
		}
		for i, p := range j.Peers {
			if !bytes.Equal(p.Credential, lamps[i].cred.Bytes()) {
				t.Fatal("another credential")
			}
		}
	})
	t.Run("so do GET and FETCH of the credentials", func(t *testing.T) {
		q := &groupcomm.CredsRequest{Filter: groupcomm.CredsFilter{Select: true, Include: true, Roles: []ace.Roles{responder}}}
		for code, body := range map[codes.Code][]byte{codes.GET: nil, coapmsg.FETCH: q.Marshal()} {
			resp := sw.must(sw.gmProt, code, "/ace-group/g1/creds", ace.ContentFormatGroupcomm, body, codes.Content)
			c, err := groupcomm.ParseCredsResponse(resp.Payload)
			if err != nil || len(c.Peers) < len(lamps) || len(resp.Payload) < len(lamps)*size {
				t.Fatal(len(resp.Payload), err)
			}
		}
	})
	t.Run("a rekeying message tells of the one who joined", func(t *testing.T) {
		g, err := s.manager.Group(ctx, "g1")
		if err != nil {
			t.Fatal(err)
		}
		var last *groupcomm.RekeyMessage
		for last == nil || last.Version != g.Version { // a newer version takes the place of one that was not sent yet
			lamps[0].wait(1)
			lamps[0].mu.Lock()
			last = lamps[0].rekeys[len(lamps[0].rekeys)-1]
			lamps[0].mu.Unlock()
		}
		if len(last.Peers) != 1 || !bytes.Equal(last.Peers[0].Credential, sw.cred.Bytes()) {
			t.Fatalf("%d peers", len(last.Peers))
		}
	})
	t.Run("an update brings a long credential", func(t *testing.T) {
		sw.must(sw.gmProt, codes.POST, home+"/cred", ace.ContentFormatGroupcomm, sw.update("g1"), codes.Changed)
	})
}

package member_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// joinRequests are the Join Requests for a group with a payload.
func (w *world) joinRequests(group string) (list []*groupcomm.JoinRequest) {
	w.t.Helper()
	for _, a := range w.requests(codes.POST, "/ace-group/"+group) {
		if len(a.payload) > 0 {
			q, err := groupcomm.ParseJoinRequest(a.payload)
			w.check(err)
			list = append(list, q)
		}
	}
	return list
}

// refuses makes the servers answer requests to one resource with an error.
func (w *world) refuses(path string, id groupcomm.ErrorID) {
	w.asking.Lock()
	defer w.asking.Unlock()
	w.instead = func(a asked, rw mux.ResponseWriter) bool {
		if a.code != codes.POST || a.path != path || len(a.payload) == 0 {
			return false
		}
		_ = rw.SetResponse(codes.BadRequest, ace.ContentFormatProblem, bytes.NewReader(groupcomm.Problem{ID: id}.Marshal()))
		return true
	}
}

func TestWhatDeviceAsksAndUnderstands(t *testing.T) {
	t.Run("KG-IF-08 every operation that a client has to have is used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			a := w.deviceWith("a", func(c *member.Config) { c.Rekeying = member.RekeyByBoth }, grant("*", both))
			g := a.join("hall", both)
			b := w.device("b", both)
			b.join("hall", both)
			a.answers("hall", "b")
			w.check(g.UpdatePeers(t.Context()))
			w.check(g.Check(t.Context()))
			groups, err := a.GroupsOfGids(t.Context(), g.Status().Gid)
			if err != nil || len(groups) != 1 || groups[0].Name != "hall" || groups[0].URI != "/ace-group/hall" {
				t.Errorf("%+v, %v", groups, err)
			}
			node := "/" + g.Status().Node
			w.check(g.Leave(t.Context()))
			for _, op := range []asked{
				{code: coapmsg.FETCH, path: "/ace-group"},
				{code: codes.POST, path: "/ace-group/hall"}, {code: codes.GET, path: "/ace-group/hall"},
				{code: codes.GET, path: "/ace-group/hall/creds"}, {code: coapmsg.FETCH, path: "/ace-group/hall/creds"},
				{code: codes.GET, path: "/ace-group/hall/num"}, {code: codes.DELETE, path: node},
			} {
				if len(w.requests(op.code, op.path)) == 0 {
					t.Errorf("%s %s is never used", coapmsg.CodeString(op.code), op.path)
				}
			}
		})
	})
	t.Run("KG-PAR-01,KO-PAR-02,KO-PAR-04 the parameters of a join are made and understood", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			l := w.device("lamp-1", responder)
			l.join("hall", responder)
			sw := w.device("switch", requester)
			g := sw.join("hall", requester)
			q := w.joinRequests("hall")[1]
			if q.Entry.Group != "hall" || len(q.Nonce) != 8 || q.GetCreds == nil || q.ControlURI == "" || len(q.Evidence) != 64 || len(q.Credential) == 0 {
				t.Errorf("%+v", q)
			}
			st := g.Status()
			m, _ := w.node("hall", "switch")
			if !bytes.Equal(st.SenderID, m.SenderID) || st.Version != w.version("hall") || st.Expires.Before(l.of("hall").Status().Expires.Add(-1)) {
				t.Errorf("%+v, the Group Manager has %+v", st, m)
			}
			p, err := g.FindPeer("lamp-1")
			if err != nil || p.Roles != responder || !bytes.Equal(p.SenderID, l.of("hall").Status().SenderID) {
				t.Errorf("%+v, %v", p, err)
			}
			if len(sw.gmCredential("hall")) == 0 {
				t.Error("no credential of the Group Manager")
			}
			// stale_node_ids.
			w.evict("hall", "lamp-1")
			sw.await(member.EventRekeyed, 1)
			if _, err := g.FindPeer("lamp-1"); !errors.Is(err, member.ErrUnknownPeer) {
				t.Errorf("the evicted lamp: %v", err)
			}
		})
	})
	t.Run("KO-PAR-03 ecdh_info and kdc_dh_creds suffice to join a group without signatures", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", func(c *manager.GroupConfig) { c.Modes = manager.PairwiseOnly })
			w.device("lamp-1", responder).join("hall", responder)
			list := w.requests(codes.POST, "/ace-group/hall")
			if len(list) != 1 || len(list[0].payload) == 0 {
				t.Errorf("%d requests: what the token response told was not used", len(list))
			}
			if q := w.joinRequests("hall")[0]; len(q.Evidence) != 8 {
				t.Errorf("evidence of %d bytes", len(q.Evidence))
			}
		})
	})
	t.Run("KO-JREQ-17 refused evidence is never followed by empty evidence", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			d := w.device("lamp-1", responder)
			w.refuses("/ace-group/hall", groupcomm.ErrorEvidence)
			for range 2 {
				_, err := d.Join(t.Context(), member.JoinOptions{Group: "hall", Roles: responder})
				var refused *member.Refused
				if !errors.As(err, &refused) || refused.Problem == nil || refused.Problem.ID != groupcomm.ErrorEvidence {
					t.Fatalf("error %v", err)
				}
			}
			list := w.joinRequests("hall")
			if len(list) < 2 {
				t.Fatalf("%d requests", len(list))
			}
			for _, q := range list {
				if len(q.Evidence) != 64 {
					t.Errorf("evidence of %d bytes", len(q.Evidence))
				}
			}
		})
	})
	t.Run("KO-OPS-12 the update of a credential has evidence, also after it was refused", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			path := "/" + l[0].of("hall").Status().Node + "/cred"
			before := l[0].credential("hall")
			w.refuses(path, groupcomm.ErrorEvidence)
			for range 2 {
				if err := l[0].of("hall").RenewKey(t.Context()); !errors.Is(err, member.ErrRefused) {
					t.Fatalf("error %v", err)
				}
			}
			for _, a := range w.requests(codes.POST, path) {
				q, err := groupcomm.ParseCredentialUpdate(a.payload)
				w.check(err)
				if len(q.Evidence) != 64 || len(q.Nonce) != 8 {
					t.Errorf("%+v", q)
				}
			}
			if n := len(w.requests(codes.POST, path)); n != 2 || !bytes.Equal(l[0].credential("hall"), before) {
				t.Errorf("%d requests; what is refused for good is given up", n)
			}
			sw.answers("hall", "lamp-1")
		})
	})
}

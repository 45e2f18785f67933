package authserver

import (
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
)

func TestUpdateOfRights(t *testing.T) {
	t.Parallel()
	update := func(kid []byte) *ace.TokenRequest {
		q := room1(ace.RoleResponder)
		q.ReqCnf = &ace.Confirmation{KID: kid}
		return q
	}
	t.Run("AO-006,AO-016,AO-017 earlier material of the client is named by kid, and not sent again", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		resp, c := b.issue(t, b.sw, update(first.Cnf.OSC.ID))
		if resp.Cnf != nil || c.Cnf.OSC != nil || string(c.Cnf.KID) != string(first.Cnf.OSC.ID) || c.Scope.Group("room1") != ace.RoleResponder {
			t.Fatalf("response %+v, claims %+v", resp, c)
		}
	})
	t.Run("AC-123,AO-007 material of another client, or of nobody, is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		b.refused(t, b.lamp, update(first.Cnf.OSC.ID), ace.InvalidRequest)
		for _, kid := range [][]byte{{99}, {}, {0, 1}, make([]byte, 9)} {
			b.refused(t, b.sw, update(kid), ace.InvalidRequest)
		}
	})
	t.Run("AO-007 material for another audience is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://127.0.0.2"}))
		grants := []Grant{{Audience: "gm1", Group: "room1", Roles: 2}, {Audience: "gm2", Group: "room1", Roles: 4}}
		if err := b.SetGrants(t.Context(), "switch", grants); err != nil {
			t.Fatal(err)
		}
		first, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		q := update(first.Cnf.OSC.ID)
		q.Audience = "gm2"
		b.refused(t, b.sw, q, ace.InvalidRequest)
	})
	t.Run("AO-006 material lives as long as the last token bound to it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		b.clock.Advance(40 * time.Minute)
		b.issue(t, b.sw, update(first.Cnf.OSC.ID))
		b.clock.Advance(40 * time.Minute)
		must(b.Sweep(t.Context()))
		b.issue(t, b.sw, update(first.Cnf.OSC.ID))
		b.clock.Advance(time.Hour + time.Second)
		b.refused(t, b.sw, update(first.Cnf.OSC.ID), ace.InvalidRequest)
	})
}

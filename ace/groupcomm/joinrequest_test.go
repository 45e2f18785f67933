package groupcomm

import (
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestJoinRequest(t *testing.T) {
	t.Parallel()
	t.Run("KG-JOIN-01,KG-JOIN-02,KG-JOIN-07,KG-PAR-03,KG-PAR-05,KG-PAR-06,KO-JREQ-01 the request is a map with one scope entry and N_C", func(t *testing.T) {
		t.Parallel()
		q := &JoinRequest{
			Entry:      ace.ScopeEntry{Group: "g1", Roles: ace.RoleRequester | ace.RoleResponder},
			GetCreds:   &CredsFilter{},
			Credential: unhex("a10800"),
			Nonce:      unhex("25a8991cd700ac01"),
			Evidence:   unhex("aabb"),
			ControlURI: "coap://[::1]/grp-rk",
		}
		got := q.Marshal()
		want := "a6 03 45 8262673106 04 f6 05 43 a10800 06 48 25a8991cd700ac01 1818 42 aabb 181a 73 636f61703a2f2f5b3a3a315d2f6772702d726b"
		wantBytes(t, got, want)
		back := must(ParseJoinRequest(got))
		if back.Entry != q.Entry || back.GetCreds == nil || back.GetCreds.Select || back.ControlURI != q.ControlURI {
			t.Fatalf("parsed %+v", back)
		}
		wantBytes(t, back.Scope, "8262673106")
	})
}

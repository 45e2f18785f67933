package groupcomm

import (
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func exampleJoin() *JoinRequest {
	return &JoinRequest{
		Entry:      ace.ScopeEntry{Group: "g1", Roles: ace.RoleRequester | ace.RoleResponder},
		GetCreds:   &CredsFilter{},
		Credential: unhex("a10800"),
		Nonce:      unhex("25a8991cd700ac01"),
		Evidence:   unhex("aabb"),
		ControlURI: "coap://[::1]/grp-rk",
	}
}

func TestJoinRequest(t *testing.T) {
	t.Parallel()
	t.Run("KG-JOIN-01,KG-JOIN-02,KG-JOIN-07,KG-PAR-03,KG-PAR-05,KG-PAR-06,KO-JREQ-01 the request is a map with one scope entry and N_C", func(t *testing.T) {
		t.Parallel()
		q := exampleJoin()
		got := q.Marshal()
		wantBytes(t, got, "a6 03 45 8262673106 04 f6 05 43 a10800 06 48 25a8991cd700ac01 1818 42 aabb 181a 73 636f61703a2f2f5b3a3a315d2f6772702d726b")
		back := must(ParseJoinRequest(got))
		if back.Entry != q.Entry || back.GetCreds == nil || back.GetCreds.Select || back.ControlURI != q.ControlURI {
			t.Fatalf("parsed %+v", back)
		}
		wantBytes(t, back.Scope, "8262673106")
	})
	t.Run("KO-JREQ-03,KO-JREQ-06 a monitor leaves credential and evidence out, and nobody need ask for credentials", func(t *testing.T) {
		t.Parallel()
		q := &JoinRequest{Entry: ace.ScopeEntry{Group: "g1", Roles: ace.RoleMonitor}, Nonce: []byte{1}}
		wantBytes(t, q.Marshal(), "a2 03 45 8262673108 06 41 01")
		if back := must(ParseJoinRequest(q.Marshal())); back.Credential != nil || back.Evidence != nil || back.GetCreds != nil {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-JREQ-07,KO-JREQ-08 empty credential and evidence are not absent ones", func(t *testing.T) {
		t.Parallel()
		q := &JoinRequest{Entry: ace.ScopeEntry{Group: "g1", Roles: 2}, Nonce: []byte{1}, Credential: []byte{}, Evidence: []byte{}}
		wantBytes(t, q.Marshal(), "a4 03 45 8262673102 05 40 06 41 01 1818 40")
		if back := must(ParseJoinRequest(q.Marshal())); back.Credential == nil || back.Evidence == nil || len(back.Credential)+len(back.Evidence) != 0 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("the received bytes of the scope are kept, however encoded", func(t *testing.T) {
		t.Parallel()
		back := must(ParseJoinRequest(unhex("a2 03 47 82780267311806 06 41 01")))
		if back.Entry != (ace.ScopeEntry{Group: "g1", Roles: 6}) {
			t.Fatalf("parsed %+v", back)
		}
		wantBytes(t, back.Scope, "82780267311806")
		wantBytes(t, back.Marshal(), "a2 03 47 82780267311806 06 41 01")
	})
	t.Run("KG-ERR-05 fields that are not known are ignored", func(t *testing.T) {
		t.Parallel()
		must(ParseJoinRequest(unhex("a5 03 45 8262673102 06 41 01 07 f6 1903e8 80 6178 01")))
	})
	t.Run("KG-ERR-04,KG-JOIN-02,KO-JPROC-07,KO-JPROC-15 what is missing or of another type is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseJoinRequest, map[string]string{
			"empty": "", "no map": "80", "no scope": "a1 06 41 01", "no nonce": "a1 03 45 8262673102", "scope null": "a2 03 f6 06 41 01",
			"scope not wrapped": "a2 03 8262673102 06 41 01", "several entries": "a2 03 46 818262673102 06 41 01", "administrative": "a2 03 43 82f505 06 41 01",
			"nonce empty": "a2 03 45 8262673102 06 40", "nonce text": "a2 03 45 8262673102 06 61 61", "credential null": "a3 03 45 8262673102 05 f6 06 41 01",
			"evidence text": "a3 03 45 8262673102 06 41 01 1818 60", "uri bytes": "a3 03 45 8262673102 06 41 01 181a 41 61", "uri empty": "a3 03 45 8262673102 06 41 01 181a 60",
			"scope twice": "a3 03 45 8262673102 03 45 8262673102 06 41 01", "trailing": "a2 03 45 8262673102 06 41 01 00",
			"nonce of 65 bytes": "a2 03 45 8262673102 06 5841" + "0000000000000000000000000000000000000000000000000000000000000000" + "0000000000000000000000000000000000000000000000000000000000000000" + "00",
		})
	})
	t.Run("KG-JOIN-04 get_creds of a join selects by roles alone", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseJoinRequest, map[string]string{
			"exclusive": "a3 03 45 8262673102 04 83 f4 81 04 80 06 41 01", "no roles": "a3 03 45 8262673102 04 83 f5 80 80 06 41 01",
			"with ids": "a3 03 45 8262673102 04 83 f5 81 04 81 41 01 06 41 01",
		})
		if q := must(ParseJoinRequest(unhex("a3 03 45 8262673102 04 83 f5 82 04 06 80 06 41 01"))); len(q.GetCreds.Roles) != 2 {
			t.Fatalf("parsed %+v", q.GetCreds)
		}
	})
}

func FuzzParseJoinRequest(f *testing.F) {
	fuzzObject(f, ParseJoinRequest, (*JoinRequest).Marshal, exampleJoin().Marshal(), unhex("a4 03 45 8262673102 05 40 06 41 01 1818 40"),
		unhex("a3 03 45 8262673102 04 83 f5 82 04 06 80 06 41 01"))
}

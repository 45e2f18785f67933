package ace

import (
	"testing"
)

func TestScope(t *testing.T) {
	t.Parallel()
	t.Run("AI-001,KO-SCOPE-01,KO-SCOPE-02 a scope is an array of pairs of group name and roles", func(t *testing.T) {
		t.Parallel()
		s := Scope{{Group: "feedca570000", Roles: RoleRequester}}
		wantBytes(t, s.Marshal(), "81 82 6c 666565646361353730303030 02")
		if got := must(ParseScope(s.Marshal())); !got.Equal(s) {
			t.Fatalf("parsed %v", got)
		}
		wantBytes(t, Scope{{Group: "g1", Roles: RoleRequester | RoleResponder}}.Marshal(), "8182626731 06")
	})
	t.Run("AI-001,AI-002 an empty scope grants nothing, and what is not listed is denied", func(t *testing.T) {
		t.Parallel()
		s := must(ParseScope(unhex("80")))
		if len(s) != 0 || s.Group("g1") != 0 {
			t.Fatalf("parsed %v", s)
		}
		if r := must(ParseScope(unhex("8182626731 06"))).Group("g2"); r != 0 {
			t.Fatalf("another group has roles %v", r)
		}
	})
	t.Run("AI-007 entries for one group count together", func(t *testing.T) {
		t.Parallel()
		s := must(ParseScope(unhex("83 82626731 02 82626732 08 82626731 04")))
		if r := s.Group("g1"); r != RoleRequester|RoleResponder {
			t.Fatalf("roles %v", r)
		}
		u := s.Users()
		if len(u) != 2 || u[0] != (ScopeEntry{Group: "g1", Roles: 6}) || u[1] != (ScopeEntry{Group: "g2", Roles: 8}) {
			t.Fatalf("users %v", u)
		}
	})
	t.Run("KO-SCOPE-04 an entry with the lowest bit set is administrative and gives no role", func(t *testing.T) {
		t.Parallel()
		s := must(ParseScope(unhex("83 82 f5 05 82 63677031 181f 82 d95249 6867705b302d395d2a 0d")))
		if len(s.Users()) != 0 || s.Group("gp1") != 0 || len(s.Admins()) != 3 || s.NeedsChallenge() {
			t.Fatalf("parsed %v", s)
		}
		if s[0].AdminName != "\xf5" || s[1].AdminName != "\x63gp1" || s[2].Roles != 13 {
			t.Fatalf("parsed %+v", s)
		}
		wantBytes(t, s.Marshal(), "83 82 f5 05 82 63677031 181f 82 d95249 6867705b302d395d2a 0d")
	})
	t.Run("KO-TOK-03 no challenge is needed for monitors and verifiers", func(t *testing.T) {
		t.Parallel()
		for in, want := range map[string]bool{"8182626731 08": false, "8182626731 10": false, "8182626731 1818": false,
			"8182626731 02": true, "8182626731 04": true, "82 82626731 08 82626732 04": true} {
			if got := must(ParseScope(unhex(in))).NeedsChallenge(); got != want {
				t.Errorf("%s: %v, want %v", in, got, want)
			}
		}
	})
	t.Run("what is no such array is refused", func(t *testing.T) {
		t.Parallel()
		for name, in := range map[string]string{
			"empty": "", "text": "626731", "map": "a0", "pair outside": "82626731 06", "one element": "8181626731",
			"three elements": "8183626731 06 06", "bytes as name": "8182426731 06", "text as roles": "8182626731 61 36",
			"negative roles": "8182626731 20", "tagged roles": "8182626731 c1 06", "null as name": "8182 f6 06",
			"pattern as user": "8182 d95249 626731 06", "trailing": "80 00", "indefinite": "9f ff",
		} {
			if s, err := ParseScope(unhex(in)); err == nil {
				t.Errorf("%s: parsed %v", name, s)
			} else {
				wantErr(t, err, ErrScope)
			}
		}
	})
}

func TestScopeIsBounded(t *testing.T) {
	t.Parallel()
	s := make(Scope, MaxScopeEntries+1)
	for i := range s {
		s[i] = ScopeEntry{Group: "g", Roles: 2}
	}
	_, err := ParseScope(s.Marshal())
	wantErr(t, err, ErrScope)
}

func FuzzParseScope(f *testing.F) {
	fuzzObject(f, ParseScope, Scope.Marshal, []error{ErrScope},
		unhex("8182626731 06"), unhex("83 82 f5 05 82 63677031 181f 82 d95249 6867705b302d395d2a 0d"), unhex("80"))
}

func FuzzParseScopeEntry(f *testing.F) {
	fuzzObject(f, ParseScopeEntry, func(e ScopeEntry) []byte { return must(e.MarshalCBOR()) }, []error{ErrScope},
		unhex("82626731 06"), unhex("82f505"))
}

package ace

import (
	"testing"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	t.Run("KO-SCOPE-03 roles are the bits 2, 4, 8 and 16", func(t *testing.T) {
		t.Parallel()
		for name, want := range map[string]Roles{"requester": 2, "responder": 4, "monitor": 8, "verifier": 16, "requester+responder": 6} {
			if got := must(ParseRoles(name)); got != want || got.String() != name {
				t.Errorf("%s: %d, %v", name, got, got)
			}
		}
	})
	t.Run("KO-JREQ-02 monitor excludes the other member roles", func(t *testing.T) {
		t.Parallel()
		for r := range Roles(64) {
			want := r == 2 || r == 4 || r == 6 || r == 8
			if err := r.CheckJoin(); (err == nil) != want {
				t.Errorf("%d: %v", r, err)
			}
		}
	})
	t.Run("names that are no roles are refused", func(t *testing.T) {
		t.Parallel()
		for _, s := range []string{"", "+", "admin", "requester+admin", "Requester"} {
			_, err := ParseRoles(s)
			wantErr(t, err, ErrRoles)
		}
	})
	t.Run("unknown bits have names of their own", func(t *testing.T) {
		t.Parallel()
		if s := (Roles(1<<40) | RoleMonitor).String(); s != "monitor+role40" {
			t.Error(s)
		}
		if s := Roles(5).String(); s != "admin(101)" {
			t.Error(s)
		}
	})
}

func TestCheckGroupName(t *testing.T) {
	t.Parallel()
	t.Run("KO-SCOPE-05 a name fits one segment of a path", func(t *testing.T) {
		t.Parallel()
		for _, s := range []string{"g1", "feedca570000", "a.b", "room-1_x~!$&'()*+,;=:@"} {
			if err := CheckGroupName(s); err != nil {
				t.Error(err)
			}
		}
		for _, s := range []string{"", ".", "..", "a/b", "a b", "a%20b", "a?b", "a#b", "é", string(make([]byte, 256))} {
			wantErr(t, CheckGroupName(s), ErrScope)
		}
	})
}

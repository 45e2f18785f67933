package groupcomm

import (
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestCredsFilter(t *testing.T) {
	t.Parallel()
	ids := [][]byte{{1}, {2}}
	const req, resp = ace.RoleRequester, ace.RoleResponder
	match := func(f CredsFilter, id byte, r ace.Roles) bool { return f.Match([]byte{id}, r) }
	t.Run("KG-JOIN-03 null asks for all", func(t *testing.T) {
		t.Parallel()
		if !match(CredsFilter{}, 9, req) {
			t.Fatal("not all")
		}
		wantBytes(t, (&CredsRequest{}).Marshal(), "a1 04 f6")
	})
	t.Run("KG-JOIN-05,KO-JREQ-04 a member matches if it has all roles of one element", func(t *testing.T) {
		t.Parallel()
		f := CredsFilter{Select: true, Include: true, Roles: []ace.Roles{req | resp, ace.RoleMonitor}}
		for r, want := range map[ace.Roles]bool{req: false, resp: false, req | resp: true, ace.RoleMonitor: true, 0: false} {
			if match(f, 9, r) != want {
				t.Errorf("%v: %v", r, !want)
			}
		}
	})
	t.Run("KG-GET-07 inclusive with both filters is the union", func(t *testing.T) {
		t.Parallel()
		f := CredsFilter{Select: true, Include: true, Roles: []ace.Roles{req}, IDs: ids}
		if !match(f, 1, resp) || !match(f, 9, req) || match(f, 9, resp) {
			t.Fatal("no union")
		}
	})
	t.Run("KG-GET-08 exclusive with both filters takes the listed ones away", func(t *testing.T) {
		t.Parallel()
		f := CredsFilter{Select: true, Roles: []ace.Roles{req}, IDs: ids}
		if match(f, 1, req) || !match(f, 9, req) || match(f, 9, resp) {
			t.Fatal("no difference")
		}
	})
	t.Run("KG-GET-09 an empty filter is not applied", func(t *testing.T) {
		t.Parallel()
		only := CredsFilter{Select: true, Include: true, IDs: ids}
		if !match(only, 1, resp) || match(only, 9, req) {
			t.Fatal("not only the listed ones")
		}
		but := CredsFilter{Select: true, IDs: ids}
		if match(but, 1, req) || !match(but, 9, resp) {
			t.Fatal("not all but the listed ones")
		}
		for _, include := range []bool{true, false} {
			roles := CredsFilter{Select: true, Include: include, Roles: []ace.Roles{req}}
			if !match(roles, 1, req) || match(roles, 1, resp) {
				t.Fatal("not those of the roles")
			}
		}
	})
}

func TestCredsRequest(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-05,KO-OPS-10 the request is a map with flag, roles and Sender IDs", func(t *testing.T) {
		t.Parallel()
		q := &CredsRequest{Filter: CredsFilter{Select: true, Include: true, Roles: []ace.Roles{2, 6}, IDs: [][]byte{unhex("12ab")}}}
		wantBytes(t, q.Marshal(), "a1 04 83 f5 82 02 06 81 42 12ab")
		back := must(ParseCredsRequest(q.Marshal())).Filter
		if !back.Select || !back.Include || len(back.Roles) != 2 || len(back.IDs) != 1 {
			t.Fatalf("parsed %+v", back)
		}
		wantBytes(t, (&CredsRequest{Filter: CredsFilter{Select: true, Include: true, IDs: [][]byte{unhex("12ab")}}}).Marshal(), "a1 04 83 f5 80 81 42 12ab")
	})
	t.Run("KG-GET-06 a request whose filters are both empty is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseCredsRequest, map[string]string{"inclusive": "a1 04 83 f5 80 80", "exclusive": "a1 04 83 f4 80 80"})
	})
	t.Run("KG-ERR-04 what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseCredsRequest, map[string]string{
			"empty": "", "no filter": "a0", "two elements": "a1 04 82 f5 80", "flag as number": "a1 04 83 01 81 02 80", "roles no array": "a1 04 83 f5 02 81 41 01",
			"negative role": "a1 04 83 f5 81 20 80", "no role": "a1 04 83 f5 81 00 80", "id as text": "a1 04 83 f5 80 81 61 61", "map": "a1 04 a0",
		})
	})
}

func FuzzParseCredsRequest(f *testing.F) {
	fuzzObject(f, ParseCredsRequest, (*CredsRequest).Marshal, unhex("a1 04 83 f5 82 02 06 81 42 12ab"), unhex("a1 04 f6"))
}

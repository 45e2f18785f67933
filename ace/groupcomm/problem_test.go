package groupcomm

import "testing"

func TestProblem(t *testing.T) {
	t.Parallel()
	t.Run("KG-ERR-06,KG-ERR-07,KG-ERR-08 a problem is a map with the error identifier", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, Problem{ID: ErrorNoMaterial}.Marshal(), "a1 00 a1 00 04")
		wantBytes(t, Problem{ID: ErrorMembersOnly, Detail: "no"}.Marshal(), "a2 00 a1 00 00 21 62 6e6f")
		p, ok, err := ParseProblem(unhex("a2 00 a1 00 03 21 62 6e6f"))
		if err != nil || !ok || p.ID != ErrorEvidence || p.Detail != "no" {
			t.Fatal(p, ok, err)
		}
	})
	t.Run("KG-ERR-10,KG-ERR-11,KO-PAR-06 the identifiers are those registered", func(t *testing.T) {
		t.Parallel()
		for i, e := range []ErrorID{ErrorMembersOnly, ErrorRolesInconsistent, ErrorCredential, ErrorEvidence, ErrorNoMaterial, ErrorTerminated, ErrorGroupDeleted,
			ErrorNoSignatures, ErrorVerifiersOnly, ErrorInactive, ErrorActive, ErrorGroupName, ErrorConfiguration} {
			if int(e) != i || e.String() == "" {
				t.Errorf("%v is %d, not %d", e, int(e), i)
			}
		}
		if s := ErrorID(99).String(); s != "error 99" {
			t.Error(s)
		}
	})
	t.Run("problems of other applications are told apart", func(t *testing.T) {
		t.Parallel()
		p, ok, err := ParseProblem(unhex("a2 01 a1 00 00 20 61 78"))
		if err != nil || ok || p.Detail != "x" {
			t.Fatal(p, ok, err)
		}
	})
	t.Run("what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, func(b []byte) (Problem, error) { p, _, err := ParseProblem(b); return p, err }, map[string]string{
			"empty": "", "no id": "a1 00 a0", "id as text": "a1 00 a1 00 61 61", "detail as bytes": "a2 00 a1 00 01 21 41 61", "error as number": "a1 00 01",
		})
	})
}

func FuzzParseProblem(f *testing.F) {
	f.Add(unhex("a2 00 a1 00 03 21 62 6e6f"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, ok, err := ParseProblem(in)
		if err != nil || !ok {
			return
		}
		if again, ok, err := ParseProblem(p.Marshal()); err != nil || !ok || again != p {
			t.Fatalf("%+v, %+v, %v", p, again, err)
		}
	})
}

package ace

import "testing"

func TestRequestCreationHints(t *testing.T) {
	t.Parallel()
	t.Run("AC-009,AC-011,AC-012 hints are the map of the example, without an error code", func(t *testing.T) {
		t.Parallel()
		h := &RequestCreationHints{AS: "coap://as.example.com/token", Audience: "gm1", Scope: Scope{{Group: "feedca570000", Roles: 2}}, CNonce: unhex("e0a156bb3f")}
		wantBytes(t, h.Marshal(), "a4 01 781b 636f61703a2f2f61732e6578616d706c652e636f6d2f746f6b656e 05 63 676d31 09 50 81826c66656564636135373030303002 1827 45 e0a156bb3f")
		got := must(ParseRequestCreationHints(h.Marshal()))
		if got.AS != h.AS || got.Audience != "gm1" || !got.Scope.Equal(h.Scope) {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AC-011 hints of another application are read as far as they go", func(t *testing.T) {
		t.Parallel()
		h := must(ParseRequestCreationHints(unhex("a4 01781c636f6170733a2f2f61732e6578616d706c652e636f6d2f746f6b656e 0576636f6170733a2f2f72732e6578616d706c652e636f6d 09667254656d7043 182745e0a156bb3f")))
		if h.AS != "coaps://as.example.com/token" || h.Audience != "coaps://rs.example.com" || h.Scope != nil {
			t.Fatalf("parsed %+v", h)
		}
		wantBytes(t, h.CNonce, "e0a156bb3f")
	})
	t.Run("AC-013 kid names an existing association", func(t *testing.T) {
		t.Parallel()
		if h := must(ParseRequestCreationHints(unhex("a1 02 41 01"))); string(h.KID) != "\x01" {
			t.Fatalf("parsed %+v", h)
		}
	})
	t.Run("members of another type are refused", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"", "a1 01 41 61", "a1 02 61 61", "a1 1827 f6", "a1 09 01"} {
			_, err := ParseRequestCreationHints(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func FuzzParseRequestCreationHints(f *testing.F) {
	fuzzObject(f, ParseRequestCreationHints, (*RequestCreationHints).Marshal, []error{ErrMalformed},
		unhex("a4 01 6161 05 63 676d31 09 50 81826c66656564636135373030303002 1827 45 e0a156bb3f"), unhex("a1 09667254656d7043"))
}

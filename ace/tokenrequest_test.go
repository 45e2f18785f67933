package ace

import (
	"testing"
)

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	t.Run("AC-002,AC-024,AC-025,AC-050,AC-051,KG-SCOPE-01 the request is a map of integer keys", func(t *testing.T) {
		t.Parallel()
		q := &TokenRequest{Audience: "gm1", Scope: Scope{{Group: "feedca570000", Roles: 2}}, GrantType: GrantClientCredentials}
		wantBytes(t, q.Marshal(), "a2 05 63 676d31 09 50 81826c66656564636135373030303002")
		got := must(ParseTokenRequest(q.Marshal()))
		if got.Audience != "gm1" || !got.Scope.Equal(q.Scope) || got.ReqCnf != nil || got.AskProfile {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AO-005,AC-027,AC-121,AC-130,AC-143 rights are updated by naming the material in req_cnf", func(t *testing.T) {
		t.Parallel()
		q := &TokenRequest{Audience: "gm1", Scope: Scope{{Group: "feedca570000", Roles: 6}}, ReqCnf: &Confirmation{KID: []byte{1}}, GrantType: GrantClientCredentials}
		wantBytes(t, q.Marshal(), "a3 04 a1 03 41 01 05 63 676d31 09 50 81826c66656564636135373030303006")
		if got := must(ParseTokenRequest(q.Marshal())); string(got.ReqCnf.KID) != "\x01" {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AC-023,AC-045 grant types are integers, and none means client credentials", func(t *testing.T) {
		t.Parallel()
		if q := must(ParseTokenRequest(unhex("a0"))); q.GrantType != GrantClientCredentials || q.Scope != nil || q.Audience != "" {
			t.Fatalf("parsed %+v", q)
		}
		if q := must(ParseTokenRequest(unhex("a1 1821 03"))); q.GrantType != GrantRefreshToken {
			t.Fatalf("parsed %+v", q)
		}
		wantBytes(t, (&TokenRequest{GrantType: GrantPassword}).Marshal(), "a1 1821 00")
	})
	t.Run("AC-026,AC-047,AC-052 ace_profile null asks for the profile, and a text is refused", func(t *testing.T) {
		t.Parallel()
		q := &TokenRequest{AskProfile: true, GrantType: GrantClientCredentials}
		wantBytes(t, q.Marshal(), "a1 1826 f6")
		if got := must(ParseTokenRequest(q.Marshal())); !got.AskProfile {
			t.Fatalf("parsed %+v", got)
		}
		_, err := ParseTokenRequest(unhex("a1 1826 6b 636f61705f6f73636f7265"))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("AC-015,AC-053 a cnonce is copied as it is", func(t *testing.T) {
		t.Parallel()
		h := must(ParseRequestCreationHints(unhex("a1 1827 45 e0a156bb3f")))
		q := &TokenRequest{CNonce: h.CNonce, GrantType: GrantClientCredentials}
		wantBytes(t, q.Marshal(), "a1 1827 45 e0a156bb3f")
	})
	t.Run("a scope of another kind is told apart from a malformed request", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"a1 09 64 72656164", "a1 09 41 00", "a1 09 43 8182ff"} {
			_, err := ParseTokenRequest(unhex(in))
			wantErr(t, err, ErrScope)
		}
		for _, in := range []string{"", "80", "a1 05 43 676d31", "a1 05 60", "a1 04 f6", "a1 1821 20", "a2 05 6161 05 6161", "a1 09 01"} {
			_, err := ParseTokenRequest(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func FuzzParseTokenRequest(f *testing.F) {
	fuzzObject(f, ParseTokenRequest, (*TokenRequest).Marshal, []error{ErrMalformed, ErrScope, ErrInputMaterial},
		unhex("a3 04 a1 03 41 01 05 63 676d31 09 50 81826c66656564636135373030303006"), unhex("a1 1826 f6"), unhex("a1 1827 45 e0a156bb3f"))
}

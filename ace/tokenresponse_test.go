package ace

import (
	"testing"
	"time"
)

func TestTokenResponse(t *testing.T) {
	t.Parallel()
	t.Run("AC-036,AC-046 token_type is there if and only if the token is none with proof of possession", func(t *testing.T) {
		t.Parallel()
		p := &TokenResponse{AccessToken: []byte{1}, Bearer: true}
		wantBytes(t, p.Marshal(), "a3 01 41 01 02 00 1822 01")
		if got := must(ParseAccessInformation(p.Marshal())); !got.Bearer {
			t.Fatal(got)
		}
		_, err := ParseTokenResponse(p.Marshal())
		wantErr(t, err, ErrMalformed)
		p.Bearer = false
		wantBytes(t, p.Marshal(), "a2 01 41 01 02 00")
	})
	t.Run("AC-032,AC-037,AC-048,AC-051,AC-124,AC-130,AO-008,AO-072 the response is a map with token, lifetime and material", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		p := &TokenResponse{AccessToken: []byte{0xaa}, ExpiresIn: time.Hour, Cnf: &Confirmation{OSC: &m}, Profile: ProfileCoAPOSCORE}
		wantBytes(t, p.Marshal(), "a4 01 41 aa 02 190e10 08 a1 04 a3 00 41 01 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 05 48 5a175a175a175a17 1826 02")
		got := must(ParseTokenResponse(p.Marshal()))
		if got.ExpiresIn != time.Hour || !got.Cnf.OSC.MasterSecret.Equal(vectorMS) || got.Profile != ProfileCoAPOSCORE || got.Scope != nil {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AO-016 the response to an update has no cnf", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, (&TokenResponse{AccessToken: []byte{0xaa}, ExpiresIn: time.Hour}).Marshal(), "a2 01 41 aa 02 190e10")
	})
	t.Run("KG-SCOPE-03,KO-SCOPE-07 a granted scope has the encoding of the requested one", func(t *testing.T) {
		t.Parallel()
		p := &TokenResponse{AccessToken: []byte{0xaa}, ExpiresIn: time.Second, Scope: Scope{{Group: "g1", Roles: 2}}}
		wantBytes(t, p.Marshal(), "a3 01 41 aa 02 01 09 46 8182626731 02")
		if got := must(ParseTokenResponse(p.Marshal())); !got.Scope.Equal(p.Scope) {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AC-104,AC-105 a token of unknown lifetime is not used", func(t *testing.T) {
		t.Parallel()
		_, err := ParseTokenResponse(unhex("a1 01 41 aa"))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("AC-035,AC-046 no token type means PoP, and Bearer is refused", func(t *testing.T) {
		t.Parallel()
		must(ParseTokenResponse(unhex("a2 01 41 aa 02 01")))
		must(ParseTokenResponse(unhex("a3 01 41 aa 02 01 1822 02")))
		_, err := ParseTokenResponse(unhex("a3 01 41 aa 02 01 1822 01"))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("AC-034 another profile than the one implemented is refused", func(t *testing.T) {
		t.Parallel()
		_, err := ParseTokenResponse(unhex("a3 01 41 aa 02 01 1826 01"))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"", "a1 02 01", "a2 01 40 02 01", "a2 01 61 61 02 01", "a2 01 41 aa 02 20", "a3 01 41 aa 02 01 1829 a1 03 41 01"} {
			_, err := ParseTokenResponse(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func FuzzParseTokenResponse(f *testing.F) {
	fuzzObject(f, ParseTokenResponse, (*TokenResponse).Marshal, []error{ErrMalformed, ErrScope, ErrInputMaterial},
		unhex("a4 01 41 aa 02 190e10 08 a1 04 a3 00 41 01 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 05 48 5a175a175a175a17 1826 02"))
}

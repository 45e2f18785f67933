package ace

import (
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	t.Run("AC-072,AC-132,AC-133,AI-016 claims are encoded by their registered keys without tags", func(t *testing.T) {
		t.Parallel()
		c := &Claims{
			Issuer: "a", Subject: "b", Audience: []string{"c"}, Expires: time.Unix(3, 0), NotBefore: time.Unix(1, 0), IssuedAt: time.Unix(2, 0),
			ID: []byte{7}, Scope: Scope{{Group: "g1", Roles: 6}}, Profile: ProfileCoAPOSCORE, CNonce: []byte{9}, Cnf: &Confirmation{KID: []byte{1}},
		}
		wantBytes(t, c.Marshal(), "ab 01 6161 02 6162 03 6163 04 03 05 01 06 02 07 4107 08 a103 4101 09 46 818262673106 1826 02 1827 4109")
	})
	t.Run("KG-SCOPE-07,KO-SCOPE-08 an extended scope is the same byte string in tag 1668547115", func(t *testing.T) {
		t.Parallel()
		c := &Claims{Scope: Scope{{Group: "g1", Roles: 6}}, ExtendedScope: true}
		wantBytes(t, c.Marshal(), "a1 09 da6374022b 46 818262673106")
		got := must(ParseClaims(c.Marshal()))
		if !got.ExtendedScope || !got.Scope.Equal(c.Scope) {
			t.Fatalf("parsed %+v", got)
		}
		_, err := ParseClaims(unhex("a1 09 da6374022a 46 818262673106"))
		wantErr(t, err, ErrScope)
	})
	t.Run("AC-132 dates are integers or floating-point numbers, an audience is one name or several", func(t *testing.T) {
		t.Parallel()
		c := must(ParseClaims(unhex("a3 03 82 6161 6162 04 fb 41da5571c4200000 06 f9 3c00")))
		if len(c.Audience) != 2 || c.Audience[1] != "b" || c.IssuedAt.Unix() != 1 || c.Expires.UnixMilli() != 1767229200500 {
			t.Fatalf("parsed %+v, %d", c, c.Expires.UnixMilli())
		}
	})
	t.Run("AC-087 a date before the year 1 is none that is missing", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"a1 04 3b 0000000e7791f6ff", "a1 04 3b 7fffffffffffffff", "a1 04 fb c22cef23ee000000", "a1 04 f9 fc00"} {
			if c := must(ParseClaims(unhex(in))); c.Expires.IsZero() || c.Expires.Year() != 1 {
				t.Errorf("%s: %v", in, c.Expires)
			}
		}
		b := newBench(t, nil)
		claims := must(ParseClaims(unhex("a1 04 3b 0000000e7791f6ff")))
		err := b.judged(b.token(func(c *Claims) { c.Expires = claims.Expires }))
		wantCode(t, err, codes.Unauthorized)
	})
	t.Run("claims that are not known are skipped", func(t *testing.T) {
		t.Parallel()
		if c := must(ParseClaims(unhex("a3 01 6161 1903e8 f6 6178 01"))); c.Issuer != "a" {
			t.Fatalf("parsed %+v", c)
		}
	})
	t.Run("AC-047,AC-133 claims of another type are refused", func(t *testing.T) {
		t.Parallel()
		for name, in := range map[string]string{
			"not a map": "80", "iss as bytes": "a1 01 4161", "aud as number": "a1 03 01", "aud with number": "a1 03 81 01",
			"exp tagged": "a1 04 c1 01", "exp as text": "a1 04 6131", "exp NaN": "a1 04 f97e00", "exp true": "a1 04 f5", "exp null": "a1 04 f6",
			"cti as text": "a1 07 6131", "profile as text": "a1 1826 6b 636f61705f6f73636f7265", "iss twice": "a2 01 6161 01 6161",
			"cnf with two keys": "a1 08 a2 03 4101 01 a1 01 04", "cnf empty": "a1 08 a0", "cnf null": "a1 08 f6",
		} {
			_, err := ParseClaims(unhex(in))
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			wantErr(t, err, ErrMalformed)
		}
	})
	t.Run("AC-139 a cnf has one key", func(t *testing.T) {
		t.Parallel()
		if got := (&Confirmation{KID: []byte{1}}).marshal(); got[0] != 0xa1 {
			t.Fatalf("%x", got)
		}
		_, err := parseConfirmation(unhex("a2 01 a1 01 04 02 d0 83 40 a0 40"))
		wantErr(t, err, ErrMalformed)
	})
	t.Run("AC-140 members of cnf that are not known are skipped", func(t *testing.T) {
		t.Parallel()
		if c := must(parseConfirmation(unhex("a3 03 4101 05 4102 6178 f6"))); string(c.KID) != "\x01" {
			t.Fatalf("parsed %+v", c)
		}
	})
}

func FuzzParseClaims(f *testing.F) {
	fuzzObject(f, ParseClaims, (*Claims).Marshal, []error{ErrMalformed, ErrScope, ErrInputMaterial},
		unhex(exampleClaims), unhex("a1 09 da6374022b 46 818262673106"), unhex("a3 03 82 6161 6162 04 fb 41da5571c4200000 06 f9 3c00"))
}

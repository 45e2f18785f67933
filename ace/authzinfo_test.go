package ace

import (
	"bytes"
	"testing"
)

func TestAuthzInfoRequest(t *testing.T) {
	t.Parallel()
	t.Run("AO-026,AO-028,AO-033,AO-034,AC-053,AC-116,KG-TOK-01 token, nonce and identifier travel in one map, and nothing else does", func(t *testing.T) {
		t.Parallel()
		q := &AuthzInfoRequest{AccessToken: []byte{0xaa}, Nonce1: vectorN1, RecipientID: vectorID1}
		wantBytes(t, q.Marshal(), "a3 01 41 aa 1828 48 018a278f7faab55a 182b 42 1645")
		got := must(ParseAuthzInfoRequest(q.Marshal()))
		if !bytes.Equal(got.Nonce1, vectorN1) || !bytes.Equal(got.RecipientID, vectorID1) || got.WantSignInfo || got.WantECDHInfo || got.WantKDCDHCreds {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AC-145,KG-TOK-02,KG-TOK-14,KO-TOK-01 information about groups is asked for by null", func(t *testing.T) {
		t.Parallel()
		q := &AuthzInfoRequest{AccessToken: []byte{0xaa}, Nonce1: vectorN1, RecipientID: vectorID1, WantSignInfo: true, WantECDHInfo: true, WantKDCDHCreds: true}
		wantBytes(t, q.Marshal(), "a6 01 41 aa 1828 48 018a278f7faab55a 182b 42 1645 182d f6 182f f6 1830 f6")
		got := must(ParseAuthzInfoRequest(q.Marshal()))
		if !got.WantSignInfo || !got.WantECDHInfo || !got.WantKDCDHCreds {
			t.Fatalf("parsed %+v", got)
		}
		for _, in := range []string{"182d 80", "182f f5", "1830 40"} {
			_, err := ParseAuthzInfoRequest(unhex("a4 01 41 aa 1828 48 018a278f7faab55a 182b 42 1645" + in))
			wantErr(t, err, ErrMalformed)
		}
	})
	t.Run("AO-031,AO-032 an update has nothing but the token", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, (&AuthzInfoRequest{AccessToken: []byte{0xaa}}).Marshal(), "a1 01 41 aa")
	})
	t.Run("AO-042 nonce and identifier in an update are ignored", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, must(parseUpdateRequest(unhex("a3 01 41 aa 1828 f6 182b 01"))), "aa")
	})
	t.Run("an empty identifier is one", func(t *testing.T) {
		t.Parallel()
		if q := must(ParseAuthzInfoRequest(unhex("a3 01 41 aa 1828 41 01 182b 40"))); q.RecipientID == nil || len(q.RecipientID) != 0 {
			t.Fatalf("parsed %+v", q)
		}
	})
	t.Run("what is missing or of another type is refused", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{
			"", "41 aa", "a2 1828 41 01 182b 40", "a2 01 41 aa 182b 40", "a2 01 41 aa 1828 41 01", "a3 01 41 aa 1828 40 182b 40",
			"a3 01 41 aa 1828 f6 182b 40", "a3 01 41 aa 1828 41 01 182b 60", "a3 01 61 61 1828 41 01 182b 40",
		} {
			_, err := ParseAuthzInfoRequest(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func TestAuthzInfoResponse(t *testing.T) {
	t.Parallel()
	t.Run("AO-040,AO-048,AO-049,AC-053 the response is the map of the example", func(t *testing.T) {
		t.Parallel()
		p := &AuthzInfoResponse{Nonce2: vectorN2, RecipientID: vectorID2}
		wantBytes(t, p.Marshal(), "a2 182a 48 25a8991cd700ac01 182c 42 0000")
	})
	t.Run("AC-145,KG-TOK-14 a group manager adds its parameters", func(t *testing.T) {
		t.Parallel()
		p := &AuthzInfoResponse{Nonce2: vectorN2, RecipientID: vectorID2, Challenge: vectorN1, SignInfo: unhex("81 01"), ECDHInfo: unhex("81 02"), KDCDHCreds: unhex("81 03")}
		wantBytes(t, p.Marshal(), "a6 182a 48 25a8991cd700ac01 182c 42 0000 182d 81 01 182e 48 018a278f7faab55a 182f 81 02 1830 81 03")
		got := must(ParseAuthzInfoResponse(p.Marshal()))
		if !bytes.Equal(got.Challenge, vectorN1) || !bytes.Equal(got.SignInfo, p.SignInfo) || !bytes.Equal(got.KDCDHCreds, p.KDCDHCreds) {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AO-057 without nonce or identifier there is nothing to derive from", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"", "a0", "a1 182a 41 01", "a1 182c 41 01", "a2 182a 40 182c 41 01", "a3 182a 41 01 182c 41 01 182d f6"} {
			_, err := ParseAuthzInfoResponse(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func FuzzParseAuthzInfoRequest(f *testing.F) {
	fuzzObject(f, ParseAuthzInfoRequest, (*AuthzInfoRequest).Marshal, []error{ErrMalformed},
		unhex("a6 01 41 aa 1828 48 018a278f7faab55a 182b 42 1645 182d f6 182f f6 1830 f6"))
}

func FuzzParseAuthzInfoResponse(f *testing.F) {
	fuzzObject(f, ParseAuthzInfoResponse, (*AuthzInfoResponse).Marshal, []error{ErrMalformed},
		unhex("a6 182a 48 25a8991cd700ac01 182c 42 0000 182d 81 01 182e 48 018a278f7faab55a 182f 81 02 1830 81 03"))
}

package groupcomm

import "testing"

func TestKDCCred(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-12,KO-JRESP-13,KO-JRESP-14 the response has credential, nonce and evidence", func(t *testing.T) {
		t.Parallel()
		k := KDCCred{Credential: unhex("a0"), Nonce: unhex("cef04b2aa791bc6d"), Evidence: unhex("aabb")}
		wantBytes(t, k.Marshal(), "a3 11 41 a0 12 48 cef04b2aa791bc6d 13 42 aabb")
		if back := must(ParseKDCCred(k.Marshal())); string(back.Nonce) != string(k.Nonce) {
			t.Fatalf("parsed %+v", back)
		}
		refuses(t, ParseKDCCred, map[string]string{"empty": "", "no nonce": "a2 11 41 a0 13 42 aabb", "evidence empty": "a3 11 41 a0 12 41 01 13 40", "null": "a3 11 f6 12 41 01 13 41 01"})
	})
	t.Run("KO-RES-01,KO-OPS-28 a verifier asks with a nonce", func(t *testing.T) {
		t.Parallel()
		q := KDCCredRequest{Nonce: unhex("25a8991cd700ac01")}
		wantBytes(t, q.Marshal(), "a1 06 48 25a8991cd700ac01")
		must(ParseKDCCredRequest(q.Marshal()))
		refuses(t, ParseKDCCredRequest, map[string]string{"empty": "", "no nonce": "a0", "nonce empty": "a1 06 40", "text": "a1 06 61 61"})
	})
}

func FuzzParseKDCCred(f *testing.F) {
	fuzzObject(f, ParseKDCCred, func(k *KDCCred) []byte { return k.Marshal() }, unhex("a3 11 41 a0 12 48 cef04b2aa791bc6d 13 42 aabb"))
}

func FuzzParseKDCCredRequest(f *testing.F) {
	fuzzObject(f, ParseKDCCredRequest, func(q *KDCCredRequest) []byte { return q.Marshal() }, unhex("a1 06 48 25a8991cd700ac01"))
}

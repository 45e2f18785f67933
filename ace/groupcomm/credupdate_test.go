package groupcomm

import "testing"

func TestCredentialUpdate(t *testing.T) {
	t.Parallel()
	t.Run("KG-CRED-01 the request has credential, nonce and evidence", func(t *testing.T) {
		t.Parallel()
		u := &CredentialUpdate{Credential: unhex("a0"), Nonce: []byte{1}, Evidence: []byte{2}}
		wantBytes(t, u.Marshal(), "a3 05 41 a0 06 41 01 1818 41 02")
		must(ParseCredentialUpdate(u.Marshal()))
	})
	t.Run("KO-OPS-27 an empty evidence is read, to be refused as evidence", func(t *testing.T) {
		t.Parallel()
		if u := must(ParseCredentialUpdate(unhex("a3 05 41 a0 06 41 01 1818 40"))); u.Evidence == nil {
			t.Fatal("absent")
		}
	})
	t.Run("KG-ERR-04 what is missing is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseCredentialUpdate, map[string]string{
			"empty": "", "no credential": "a2 06 41 01 1818 41 02", "no nonce": "a2 05 41 a0 1818 41 02", "no evidence": "a2 05 41 a0 06 41 01", "null": "a3 05 f6 06 41 01 1818 41 02",
		})
	})
}

func FuzzParseCredentialUpdate(f *testing.F) {
	fuzzObject(f, ParseCredentialUpdate, (*CredentialUpdate).Marshal, unhex("a3 05 41 a0 06 41 01 1818 41 02"))
}

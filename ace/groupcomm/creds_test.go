package groupcomm

import "testing"

func TestCredsResponse(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-10 the response has version, credentials, roles and identifiers", func(t *testing.T) {
		t.Parallel()
		p := &CredsResponse{Version: 5, Peers: Peers{{Credential: unhex("a0"), Roles: 6, SenderID: []byte{1}}}}
		wantBytes(t, p.Marshal(), "a4 09 05 0d 81 41 a0 0e 81 06 0f 81 41 01")
		if back := must(ParseCredsResponse(p.Marshal())); back.Version != 5 || len(back.Peers) != 1 || back.Peers[0].Roles != 6 {
			t.Fatalf("parsed %+v", back)
		}
		wantBytes(t, (&CredsResponse{Version: 5}).Marshal(), "a4 09 05 0d 80 0e 80 0f 80")
	})
	t.Run("KG-GET-11 nothing found is an empty byte string", func(t *testing.T) {
		t.Parallel()
		if p, err := ParseCredsResponse([]byte(EmptyResult)); p != nil || err != nil {
			t.Fatal(p, err)
		}
	})
	t.Run("what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseCredsResponse, map[string]string{
			"empty": "", "no num": "a3 0d 80 0e 80 0f 80", "no creds": "a2 09 05 0f 80", "other length": "a3 09 05 0d 81 41 a0 0f 80",
			"text": "a3 09 05 0d 81 61 61 0f 81 41 01", "h'00'": "4100",
		})
	})
}

func FuzzParseCredsResponse(f *testing.F) {
	fuzzObject(f, ParseCredsResponse, func(p *CredsResponse) []byte {
		if p == nil {
			return []byte(EmptyResult)
		}
		return p.Marshal()
	}, unhex("a4 09 05 0d 81 41 a0 0e 81 06 0f 81 41 01"), []byte(EmptyResult))
}

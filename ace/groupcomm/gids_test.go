package groupcomm

import "testing"

func TestGids(t *testing.T) {
	t.Parallel()
	t.Run("KG-GNAME-02,KG-GNAME-03,KG-GNAME-04,KO-OPS-24 names and URIs go with their Gids", func(t *testing.T) {
		t.Parallel()
		q := &GidsRequest{Gids: [][]byte{unhex("37fc"), unhex("84bd")}}
		wantBytes(t, q.Marshal(), "a1 00 82 42 37fc 42 84bd")
		if back := must(ParseGidsRequest(q.Marshal())); len(back.Gids) != 2 {
			t.Fatalf("parsed %+v", back)
		}
		p := &GidsResponse{Groups: []GidGroup{{Gid: unhex("37fc"), Name: "g1", URI: "/ace-group/g1"}}}
		wantBytes(t, p.Marshal(), "a3 00 81 42 37fc 01 81 62 6731 02 81 6d 2f6163652d67726f75702f6731")
		if back := must(ParseGidsResponse(p.Marshal())); len(back.Groups) != 1 || back.Groups[0].URI != "/ace-group/g1" {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-GNAME-05 no group is an empty byte string", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, (&GidsResponse{}).Marshal(), "40")
		if back := must(ParseGidsResponse(unhex("40"))); len(back.Groups) != 0 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-ERR-04 what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseGidsRequest, map[string]string{"empty": "", "no gid": "a0", "none": "a1 00 80", "text": "a1 00 81 61 61", "no array": "a1 00 41 01"})
		refuses(t, ParseGidsResponse, map[string]string{"empty": "", "no names": "a2 00 80 02 80", "other lengths": "a3 00 81 41 01 01 80 02 80"})
	})
}

func FuzzParseGidsRequest(f *testing.F) {
	fuzzObject(f, ParseGidsRequest, (*GidsRequest).Marshal, unhex("a1 00 82 42 37fc 42 84bd"))
}

func FuzzParseGidsResponse(f *testing.F) {
	fuzzObject(f, ParseGidsResponse, (*GidsResponse).Marshal, unhex("a3 00 81 42 37fc 01 81 62 6731 02 81 6d 2f6163652d67726f75702f6731"), unhex("40"))
}

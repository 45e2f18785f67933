package groupcomm

import (
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func TestKeyResponse(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-02,KO-OPS-01,KO-OPS-02,KO-OPS-03 the response has the material, with the Sender ID or without", func(t *testing.T) {
		t.Parallel()
		k := exampleKey()
		node := &KeyResponse{Key: k, Version: 12, Expiry: Expiry{In: 60}}
		wantBytes(t, node.Marshal(), "a5 07 01 08"+exampleKeyHex+"09 0c 0a 01 0c 183c")
		if back := must(ParseKeyResponse(node.Marshal())); string(back.Key.SenderID) != "\x01" || back.Version != 12 {
			t.Fatalf("parsed %+v", back)
		}
		k.SenderID = nil
		group := &KeyResponse{Key: k, Version: 12, Expiry: Expiry{At: 5, In: 60}}
		if back := must(ParseKeyResponse(group.Marshal())); back.Key.SenderID != nil || back.Expiry.At != 5 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-OPS-19,KO-OPS-20 verification data have no secret and the Signature Encryption Key", func(t *testing.T) {
		t.Parallel()
		v := &KeyResponse{
			Key: KeyMaterial{HKDF: cose.AlgHMAC256, Gid: unhex("37fc"), CredentialFormat: cose.FormatCCS, GroupEnc: cose.AlgAESCCM16_64_128,
				Signature: cose.AlgEdDSA, SignParams: SignParams(cose.CurveEd25519)},
			Version: 3, Expiry: Expiry{At: 9, In: 8}, SignatureEncryptionKey: unhex("00112233445566778899aabbccddeeff"),
		}
		wantBytes(t, v.Marshal(), "a7 07 01 08 a6 03 05 06 42 37fc 08 0e 09 0a 0a 27 0b 82 81 01 82 01 06 09 03 0a 01 0b 09 0c 08 1821 50 00112233445566778899aabbccddeeff")
		if back := must(ParseKeyResponse(v.Marshal())); back.Key.MasterSecret != nil || len(back.SignatureEncryptionKey) != 16 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("a notification adds the stale Sender IDs", func(t *testing.T) {
		t.Parallel()
		n := &KeyResponse{Key: exampleKey(), Expiry: Expiry{In: 1}, StaleIDs: [][]byte{{5}}}
		if back := must(ParseKeyResponse(n.Marshal())); len(back.StaleIDs) != 1 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("what is incomplete is refused", func(t *testing.T) {
		t.Parallel()
		k := exampleKey()
		k.MasterSecret = nil
		refuses(t, ParseKeyResponse, map[string]string{
			"empty": "", "no secret": fmt.Sprintf("%x", (&KeyResponse{Key: k}).Marshal()), "no key": "a3 07 01 09 01 0c 01",
			"verification data without algorithms": "a5 07 01 08 a2 06 4137 08 0e 09 03 0c 08 1821 41 00", "no num": "a3 07 01 08" + exampleKeyHex + "0c 01",
			"no exi": "a3 07 01 08" + exampleKeyHex + "09 01",
		})
	})
}

func FuzzParseKeyResponse(f *testing.F) {
	fuzzObject(f, ParseKeyResponse, (*KeyResponse).Marshal, (&KeyResponse{Key: exampleKey(), StaleIDs: [][]byte{{5}}}).Marshal(),
		unhex("a7 07 01 08 a6 03 05 06 42 37fc 08 0e 09 0a 0a 27 0b 82 81 01 82 01 06 09 03 0a 01 0b 09 0c 08 1821 50 00112233445566778899aabbccddeeff"))
}

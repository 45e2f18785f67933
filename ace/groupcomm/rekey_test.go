package groupcomm

import (
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func exampleRekey() *RekeyMessage {
	return &RekeyMessage{
		MasterSecret: unhex("b1b2b3b4b5b6b7b8b9babbbcbdbebfc0"), Gid: unhex("37fd"), Version: 13, Expiry: Expiry{At: 1767229200, In: 3600},
		StaleIDs: [][]byte{{1}, {0x12, 0xab}},
	}
}

func configuringRekey() *RekeyMessage {
	m := exampleRekey()
	m.Config = &KeyMaterial{
		HKDF: cose.AlgHMAC256, CredentialFormat: cose.FormatCCS, GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
		SignParams: SignParams(cose.CurveEd25519), AEAD: cose.AlgAESCCM16_64_256, KeyAgreement: cose.AlgECDHSSHKDF256, ECDHParams: ECDHParams(cose.CurveX25519),
	}
	return m
}

const exampleRekeyHex = "a7 07 01 08 a2 02 50 b1b2b3b4b5b6b7b8b9babbbcbdbebfc0 06 42 37fd 09 0d 0a 01 0b 1a 6955c710 0c 19 0e10 1822 82 41 01 42 12ab"

func TestRekeyMessage(t *testing.T) {
	t.Parallel()
	t.Run("KG-REKEY-06,KG-REKEY-07,KO-RKOV-04,KO-RK-06,KO-RK-07,KO-RK-08,KO-PAR-01 the message has the new material and the stale Sender IDs", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, exampleRekey().Marshal(), exampleRekeyHex)
		back := must(ParseRekeyMessage(unhex(exampleRekeyHex)))
		if back.Version != 13 || len(back.StaleIDs) != 2 || back.MasterSalt != nil || back.Peers != nil || back.Expiry.In != 3600 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-RK-08 the list of stale Sender IDs may be empty", func(t *testing.T) {
		t.Parallel()
		m := exampleRekey()
		m.StaleIDs = nil
		if back := must(ParseRekeyMessage(m.Marshal())); back.StaleIDs == nil || len(back.StaleIDs) != 0 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-RK-07,KO-RK-09 a new salt and the members that joined come along", func(t *testing.T) {
		t.Parallel()
		m := exampleRekey()
		m.MasterSalt = []byte{9}
		m.Peers = Peers{{Credential: unhex("a0"), Roles: 6, SenderID: []byte{7}}}
		back := must(ParseRekeyMessage(m.Marshal()))
		if string(back.MasterSalt) != "\x09" || len(back.Peers) != 1 || back.Peers[0].Roles != 6 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("a new configuration comes along", func(t *testing.T) {
		t.Parallel()
		m := configuringRekey()
		back := must(ParseRekeyMessage(m.Marshal()))
		if c := back.Config; c == nil || c.AEAD != 11 || c.Signature != -8 || c.HKDF != 5 || c.MasterSecret != nil || c.Gid != nil || c.SenderID != nil {
			t.Fatalf("parsed %+v", back.Config)
		}
		if plain := must(ParseRekeyMessage(exampleRekey().Marshal())); plain.Config != nil {
			t.Fatalf("parsed %+v", plain)
		}
	})
	t.Run("half a configuration is refused", func(t *testing.T) {
		t.Parallel()
		half := configuringRekey()
		half.Config.SignParams = nil
		if _, err := ParseRekeyMessage(half.Marshal()); err == nil {
			t.Error("a configuration without sign_params")
		}
	})
	t.Run("what is incomplete is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseRekeyMessage, map[string]string{
			"empty": "", "no stale": "a5 07 01 08 a2 02 41 b1 06 41 37 09 0d 0a 01 0c 01", "no profile": "a5 07 01 08 a2 02 41 b1 06 41 37 09 0d 0c 01 1822 80",
			"no exi": "a5 07 01 08 a2 02 41 b1 06 41 37 09 0d 0a 01 1822 80", "no gid": "a6 07 01 08 a1 02 41 b1 09 0d 0a 01 0c 01 1822 80",
			"no secret": "a6 07 01 08 a1 06 41 37 09 0d 0a 01 0c 01 1822 80", "stale of text": "a6 07 01 08 a2 02 41 b1 06 41 37 09 0d 0a 01 0c 01 1822 81 61 61",
			"creds alone": "a7 07 01 08 a2 02 41 b1 06 41 37 09 0d 0a 01 0c 01 0d 80 1822 80",
		})
	})
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	t.Run("KO-OPS-08,KO-PAR-01 a new Sender ID comes alone", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, SenderIDResponse{SenderID: []byte{2}}.Marshal(), "a1 15 41 02")
		if r := must(ParseRenewal(unhex("a1 15 41 02"))); r.Rekey != nil || string(r.SenderID.SenderID) != "\x02" {
			t.Fatalf("parsed %+v", r)
		}
		wantBytes(t, SenderIDResponse{}.Marshal(), "a1 15 40")
	})
	t.Run("KO-OPS-07 or a rekeying message comes instead", func(t *testing.T) {
		t.Parallel()
		if r := must(ParseRenewal(unhex(exampleRekeyHex))); r.SenderID != nil || r.Rekey.Version != 13 {
			t.Fatalf("parsed %+v", r)
		}
	})
	t.Run("neither is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseRenewal, map[string]string{"empty": "", "no member": "a0", "text": "a1 15 61 61", "half a rekey": "a1 08 a0"})
	})
}

func FuzzParseRekeyMessage(f *testing.F) {
	fuzzObject(f, ParseRekeyMessage, (*RekeyMessage).Marshal, unhex(exampleRekeyHex), configuringRekey().Marshal())
}

func FuzzParseRenewal(f *testing.F) {
	fuzzObject(f, ParseRenewal, func(r Renewal) []byte {
		if r.Rekey != nil {
			return r.Rekey.Marshal()
		}
		return r.SenderID.Marshal()
	}, unhex(exampleRekeyHex), unhex("a1 15 41 02"))
}

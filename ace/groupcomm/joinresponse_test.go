package groupcomm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func exampleKey() KeyMaterial {
	return KeyMaterial{
		MasterSecret: unhex("a1a2a3a4a5a6a7a8a9aaabacadaeafb0"), Gid: unhex("37fc"), SenderID: []byte{1}, CredentialFormat: cose.FormatCCS,
		GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA, SignParams: SignParams(cose.CurveEd25519),
		AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256, ECDHParams: ECDHParams(cose.CurveX25519),
	}
}

func exampleResponse() *JoinResponse {
	p := DefaultPolicies()
	return &JoinResponse{
		Key: exampleKey(), Version: 12, Expiry: Expiry{At: 1767229200, In: 3600},
		Peers:    Peers{{Credential: unhex("a0"), Roles: 4, SenderID: []byte{}}, {Credential: unhex("a10800"), Roles: 6, SenderID: []byte{7}}},
		Policies: &p,
		KDC:      KDCCred{Credential: unhex("a10801"), Nonce: unhex("cef04b2aa791bc6d"), Evidence: unhex("aabb")},
	}
}

const (
	exampleKeyHex  = "aa 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 04 0a 06 42 37fc 07 41 01 08 0e 09 0a 0a 27 0b 82 81 01 82 01 06 0c 381a 0d 82 81 01 82 01 04"
	exampleJoinHex = "ad 07 01 08" + exampleKeyHex + "09 0c 0a 01 0b 1a 6955c710 0c 19 0e10 0d 82 41 a0 43 a10800 0e 82 04 06 0f 82 40 41 07" +
		"10 a2 01 190e10 02 00 11 43 a10801 12 48 cef04b2aa791bc6d 13 42 aabb"
)

func TestKeyMaterial(t *testing.T) {
	t.Parallel()
	t.Run("KO-JRESP-01,KO-JRESP-02,KO-JRESP-03,KO-JRESP-06,KO-JRESP-07,KO-JRESP-08 the key is a map of registered labels", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, exampleKey().Marshal(), exampleKeyHex)
		back := must(ParseKeyMaterial(unhex(exampleKeyHex)))
		if !bytes.Equal(back.Marshal(), exampleKey().Marshal()) {
			t.Fatalf("parsed %+v", back)
		}
		if crv, ok := back.SignParams.Curve(); !ok || crv != cose.CurveEd25519 {
			t.Fatal(crv)
		}
	})
	t.Run("KO-JRESP-04,KO-JRESP-05,KO-JRESP-20 hkdf and salt are left out and then have their defaults", func(t *testing.T) {
		t.Parallel()
		k := KeyMaterial{HKDF: cose.AlgHMAC512, MasterSalt: []byte{1}}
		wantBytes(t, k.Marshal(), "a2 03 07 05 41 01")
		if back := must(ParseKeyMaterial(unhex("a0"))); back.HKDF != 0 || back.MasterSalt != nil || back.UsesGroupMode() || back.UsesPairwiseMode() {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-JRESP-08 parameters of other curves have their key type", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, SignParams(cose.CurveP256).Marshal(), "82 81 02 82 02 01")
		wantBytes(t, ECDHParams(cose.CurveP521).Marshal(), "82 81 02 82 02 03")
	})
	t.Run("secrets do not print", func(t *testing.T) {
		t.Parallel()
		s := fmt.Sprintf("%v %+v %x %#v", exampleKey(), exampleResponse(), exampleKey(), exampleKey())
		if strings.Contains(s, "a1a2a3") || strings.Contains(s, "161 162") || strings.Contains(s, "0xa1, 0xa2") {
			t.Fatal(s)
		}
	})
}

func TestJoinResponse(t *testing.T) {
	t.Parallel()
	t.Run("KG-JOIN-24,KG-JRESP-01,KG-JRESP-02,KG-JRESP-05,KG-JRESP-06,KG-JRESP-07,KG-JRESP-08,KG-JRESP-10,KG-PAR-04,KO-JRESP-09,KO-JRESP-11,KO-JRESP-12,KO-JRESP-13 the response has all a member needs", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, exampleResponse().Marshal(), exampleJoinHex)
		back := must(ParseJoinResponse(unhex(exampleJoinHex)))
		if back.Version != 12 || len(back.Peers) != 2 || back.Peers[1].Roles != 6 || back.Peers[0].SenderID == nil || back.Policies.CheckInterval != DefaultCheckInterval {
			t.Fatalf("parsed %+v", back)
		}
		if !bytes.Equal(back.Marshal(), exampleResponse().Marshal()) {
			t.Fatal("another encoding")
		}
	})
	t.Run("KO-JRESP-16,KG-JRESP-12 Point-to-Point needs no mention", func(t *testing.T) {
		t.Parallel()
		if back := must(ParseJoinResponse(unhex(exampleJoinHex))); back.RekeyingScheme != SchemePointToPoint {
			t.Fatal(back.RekeyingScheme)
		}
	})
	t.Run("KG-JRESP-13 key management material without a scheme is refused", func(t *testing.T) {
		t.Parallel()
		in := unhex(exampleJoinHex)
		in[0]++
		_, err := ParseJoinResponse(append(in, unhex("181b 41 01")...))
		if err == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("KG-JOIN-25,KO-JRESP-23 what no member could use is refused", func(t *testing.T) {
		t.Parallel()
		whole := exampleJoinHex
		cut := func(old, new string) string {
			s := strings.Replace(whole, old, new, 1)
			if s == whole {
				t.Fatalf("%q is not in it", old)
			}
			return s
		}
		half := exampleKey()
		half.GroupEnc = 0
		noMode := KeyMaterial{MasterSecret: half.MasterSecret, Gid: half.Gid, CredentialFormat: half.CredentialFormat}
		noSecret := exampleKey()
		noSecret.MasterSecret = nil
		with := func(k KeyMaterial) string { return cut(exampleKeyHex, fmt.Sprintf("%x", k.Marshal())) }
		refuses(t, ParseJoinResponse, map[string]string{
			"empty": "", "other gkty": cut("07 01 08", "07 02 08"), "other profile": cut("0a 01 0b", "0a 02 0b"), "half a mode": with(half), "no mode": with(noMode),
			"no secret": with(noSecret), "no exi": cut("0c 19 0e10", "18fe 19 0e10"), "roles of other length": cut("0e 82 04 06", "0e 81 04"),
			"ids of other length": cut("0f 82 40 41 07", "0f 81 40"), "no ids": cut("0f 82 40 41 07", "18fe 82 40 41 07"), "no evidence": cut("13 42 aabb", "18fe 42 aabb"),
			"negative num": cut("09 0c 0a", "09 20 0a"), "key null": cut("08"+exampleKeyHex, "08 f6"), "credential null": cut("11 43 a10801", "11 f6"),
		})
	})
	t.Run("roles of peers may be left out", func(t *testing.T) {
		t.Parallel()
		back := must(ParseJoinResponse(unhex(strings.Replace(exampleJoinHex, "0e 82 04 06", "18fe 82 04 06", 1))))
		if len(back.Peers) != 2 || back.Peers[1].Roles != 0 {
			t.Fatalf("parsed %+v", back.Peers)
		}
	})
}

func FuzzParseJoinResponse(f *testing.F) {
	fuzzObject(f, ParseJoinResponse, (*JoinResponse).Marshal, unhex(exampleJoinHex))
}

func FuzzParseKeyMaterial(f *testing.F) {
	fuzzObject(f, ParseKeyMaterial, KeyMaterial.Marshal, unhex(exampleKeyHex), unhex("a2 03 07 05 41 01"))
}

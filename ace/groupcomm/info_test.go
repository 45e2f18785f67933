package groupcomm

import (
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func exampleInfo() (SignInfo, ECDHInfo, KDCDHCred) {
	return SignInfo{Groups: []string{"g1"}, Algorithm: cose.AlgEdDSA, Params: SignParams(cose.CurveEd25519), CredentialFormat: cose.FormatCCS},
		ECDHInfo{Groups: []string{"g1"}, Algorithm: cose.AlgECDHSSHKDF256, Params: ECDHParams(cose.CurveX25519), CredentialFormat: cose.FormatCCS},
		KDCDHCred{Groups: []string{"g1"}, CredentialFormat: cose.FormatCCS, Credential: unhex("a0")}
}

func TestInfoEntries(t *testing.T) {
	t.Parallel()
	sign, ecdh, cred := exampleInfo()
	t.Run("KG-TOK-11,KG-TOK-12,KG-TOK-13,KO-TOK-05 sign_info is an array of names, algorithm, parameters and format", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalSignInfo([]SignInfo{sign}), "81 85 62 6731 27 81 01 82 01 06 0e")
		back := must(ParseSignInfo(unhex("81 85 62 6731 27 81 01 82 01 06 0e")))
		if len(back) != 1 || back[0].Groups[0] != "g1" || back[0].Algorithm != cose.AlgEdDSA || !back[0].Params.Equal(sign.Params) || back[0].CredentialFormat != cose.FormatCCS {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-TOK-08 ecdh_info likewise", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalECDHInfo([]ECDHInfo{ecdh}), "81 85 62 6731 381a 81 01 82 01 04 0e")
		if back := must(ParseECDHInfo(unhex("81 85 62 6731 381a 81 01 82 01 04 0e"))); back[0].Algorithm != cose.AlgECDHSSHKDF256 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-TOK-09 kdc_dh_creds is an array of names, format and credential", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalKDCDHCred([]KDCDHCred{cred}), "81 83 62 6731 0e 41 a0")
		if back := must(ParseKDCDHCred(unhex("81 83 62 6731 0e 41 a0"))); string(back[0].Credential) != "\xa0" {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-TOK-11,KG-TOK-12 one entry may be about several groups", func(t *testing.T) {
		t.Parallel()
		two := sign
		two.Groups = []string{"g1", "g2"}
		wantBytes(t, MarshalSignInfo([]SignInfo{two}), "81 85 82 62 6731 62 6732 27 81 01 82 01 06 0e")
		if back := must(ParseSignInfo(MarshalSignInfo([]SignInfo{two}))); len(back[0].Groups) != 2 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-TOK-09,KO-TOK-04,KO-TOK-07 an empty list is not sent", func(t *testing.T) {
		t.Parallel()
		if MarshalSignInfo(nil) != nil || MarshalECDHInfo(nil) != nil || MarshalKDCDHCred(nil) != nil {
			t.Fatal("it is")
		}
	})
	t.Run("KG-TOK-11 what is malformed is refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseSignInfo, map[string]string{
			"empty": "", "no entries": "80", "null": "f6", "four elements": "81 84 62 6731 27 81 01 82 01 06", "no names": "81 85 80 27 81 01 82 01 06 0e",
			"name as bytes": "81 85 42 6731 27 81 01 82 01 06 0e", "algorithm as bytes": "81 85 62 6731 41 27 81 01 82 01 06 0e", "format null": "81 85 62 6731 27 81 01 82 01 06 f6",
			"capability as text": "81 85 62 6731 27 81 61 61 82 01 06 0e",
		})
		refuses(t, ParseECDHInfo, map[string]string{"empty": "", "no entries": "80", "map": "a0"})
		refuses(t, ParseKDCDHCred, map[string]string{"empty": "", "no entries": "80", "five": "81 85 62 6731 27 81 01 82 01 06 0e", "text": "81 83 62 6731 0e 61 61"})
	})
}

func TestJoinInfo(t *testing.T) {
	t.Parallel()
	sign, ecdh, cred := exampleInfo()
	t.Run("KG-TOK-15,KO-JPROC-12,KO-JPROC-13,KO-JPROC-14,KO-PAR-01 the map has the entries of the group and perhaps a new challenge", func(t *testing.T) {
		t.Parallel()
		j := &JoinInfo{Sign: &sign, ECDH: &ecdh, KDCDH: &cred, Challenge: unhex("018a278f7faab55a")}
		wantBytes(t, j.Marshal(), "a4 181d 81 85 62 6731 27 81 01 82 01 06 0e 181e 48 018a278f7faab55a 181f 81 85 62 6731 381a 81 01 82 01 04 0e 1820 81 83 62 6731 0e 41 a0")
		back := must(ParseJoinInfo(j.Marshal()))
		if back.Sign == nil || back.ECDH == nil || back.KDCDH == nil || len(back.Challenge) != 8 {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-JOIN-14,KG-CRED-04 a lost challenge is answered with a new one alone", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, (&JoinInfo{Challenge: []byte{1}}).Marshal(), "a1 181e 41 01")
		if back := must(ParseJoinInfo(unhex("a0"))); back.Sign != nil || back.Challenge != nil {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KO-JPROC-13 two entries for one group are refused", func(t *testing.T) {
		t.Parallel()
		refuses(t, ParseJoinInfo, map[string]string{
			"empty": "", "two": "a1 181d 82 85 62 6731 27 81 01 82 01 06 0e 85 62 6731 27 81 01 82 01 06 0e", "challenge empty": "a1 181e 40", "null": "a1 181d f6",
		})
	})
}

func FuzzParseSignInfo(f *testing.F) {
	fuzzObject(f, ParseSignInfo, MarshalSignInfo, unhex("81 85 62 6731 27 81 01 82 01 06 0e"), unhex("81 85 82 62 6731 62 6732 27 81 01 82 01 06 0e"))
}

func FuzzParseECDHInfo(f *testing.F) {
	fuzzObject(f, ParseECDHInfo, MarshalECDHInfo, unhex("81 85 62 6731 381a 81 01 82 01 04 0e"))
}

func FuzzParseKDCDHCred(f *testing.F) {
	fuzzObject(f, ParseKDCDHCred, MarshalKDCDHCred, unhex("81 83 62 6731 0e 41 a0"))
}

func FuzzParseJoinInfo(f *testing.F) {
	fuzzObject(f, ParseJoinInfo, (*JoinInfo).Marshal,
		unhex("a4 181d 81 85 62 6731 27 81 01 82 01 06 0e 181e 48 018a278f7faab55a 181f 81 85 62 6731 381a 81 01 82 01 04 0e 1820 81 83 62 6731 0e 41 a0"))
}

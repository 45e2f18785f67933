package ace

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

func exampleRSEnrolment() *RSEnrolment {
	return &RSEnrolment{
		Issuer: "as", Audience: "gm1",
		Trusted: []TrustedAS{{Issuer: "as", Key: exampleKey()}, {Issuer: "as", Verify: signer().Public()}},
		AS: EnrolmentAS{
			URI: "coap://192.0.2.1/token", ID: []byte{0, 1}, ASID: []byte{0}, Secret: secret.Hide([]byte("0123456789abcdef")), Salt: secret.Hide([]byte("saltsalt")),
		},
		IntrospectPath: "/introspect",
		TRL:            &TRLInfo{Path: "/revoke/trl", Hash: HashName, MaxN: 64, MaxDiffBatch: 16},
	}
}

func TestRSEnrolment(t *testing.T) {
	t.Parallel()
	t.Run("TR-QRY-12 the file comes back as it was, with what there is to know of the revocation list", func(t *testing.T) {
		t.Parallel()
		e := exampleRSEnrolment()
		b := must(e.Marshal())
		got := must(ParseRSEnrolment(b))
		if !bytes.Equal(must(got.Marshal()), b) || *got.TRL != *e.TRL || len(got.Trusted) != 2 || !got.Trusted[0].Key.Key.Equal(exampleKey().Key.Bytes()) ||
			!got.Trusted[1].Verify.Key.Equal(signer().Key.Public()) {
			t.Fatalf("%+v", got)
		}
		plain := &RSEnrolment{Issuer: "as", Audience: "gm1", Trusted: e.Trusted[:1]}
		plain.Trusted[0].Lenient = true
		if got := must(ParseRSEnrolment(must(plain.Marshal()))); !got.Trusted[0].Lenient || got.AS.URI != "" {
			t.Fatalf("%+v", got)
		}
		references := &RSEnrolment{Issuer: "as", Audience: "gm1", Trusted: []TrustedAS{{Issuer: "as", References: true}}, AS: e.AS, IntrospectPath: "/i"}
		if got := must(ParseRSEnrolment(must(references.Marshal()))); !got.Trusted[0].References {
			t.Fatalf("%+v", got)
		}
	})
	t.Run("it prints without its secrets", func(t *testing.T) {
		t.Parallel()
		e := exampleRSEnrolment()
		for _, format := range []string{"%v", "%+v", "%#v"} {
			if s := fmt.Sprintf(format, *e); strings.Contains(s, "0123456789abcdef") || strings.Contains(s, "48 49 50") || strings.Contains(s, "0x30, 0x31") {
				t.Error(s)
			}
		}
	})
	t.Run("what cannot be is refused", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*RSEnrolment){
			"audience": func(e *RSEnrolment) { e.Audience = "" }, "no key": func(e *RSEnrolment) { e.Trusted = nil },
			"other issuer": func(e *RSEnrolment) { e.Trusted[0].Issuer = "x" }, "lenient with a list": func(e *RSEnrolment) { e.Trusted[0].Lenient = true },
			"no association": func(e *RSEnrolment) { e.AS = EnrolmentAS{} }, "secret": func(e *RSEnrolment) { e.AS.Secret = secret.Hide([]byte{1}) },
			"hash": func(e *RSEnrolment) { e.TRL.Hash = "md5" }, "path": func(e *RSEnrolment) { e.TRL.Path = "x" }, "batch": func(e *RSEnrolment) { e.TRL.MaxDiffBatch = 65 },
			"introspection": func(e *RSEnrolment) { e.Trusted[0].Introspect, e.IntrospectPath = true, "" }, "key": func(e *RSEnrolment) { e.Trusted[0].Key.Key = secret.Hidden{} },
		} {
			e := exampleRSEnrolment()
			change(e)
			if _, err := e.Marshal(); !errors.Is(err, ErrEnrolment) {
				t.Errorf("%s: %v", name, err)
			}
		}
		good := string(must(exampleRSEnrolment().Marshal()))
		for _, in := range []string{
			"", "{}", good + "{}", strings.Replace(good, `"version": 1`, `"version": 2`, 1), strings.Replace(good, `"issuer"`, `"isuer"`, 1), strings.Replace(good, `"kid": "`, `"kid": "z`, 1),
			strings.Replace(good, `"cose_key": "`, `"key": "AAAA", "cose_key": "`, 1), strings.Replace(good, `"cose_key": "`, `"cose_key": "00`, 1), strings.Repeat(" ", maxEnrolment+1),
			strings.Replace(good, `"as_id": "`, `"as_id": "z`, 1),
		} {
			if _, err := ParseRSEnrolment([]byte(in)); !errors.Is(err, ErrEnrolment) {
				t.Errorf("%.40s: %v", in, err)
			}
		}
	})
}

func FuzzParseRSEnrolment(f *testing.F) {
	f.Add(must(exampleRSEnrolment().Marshal()))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ParseRSEnrolment(in)
		if err != nil {
			if !errors.Is(err, ErrEnrolment) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParseRSEnrolment(must(e.Marshal()))
		if err != nil || !bytes.Equal(must(again.Marshal()), must(e.Marshal())) {
			t.Fatal(err)
		}
	})
}

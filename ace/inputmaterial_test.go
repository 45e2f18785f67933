package ace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

func TestInputMaterial(t *testing.T) {
	t.Parallel()
	t.Run("AO-019,AO-010 the object is a map of registered labels", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		wantBytes(t, m.marshal(), "a3 00 41 01 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 05 48 5a175a175a175a17")
		got := must(parseMaterial(m.marshal()))
		if fmt.Sprint(*got) != fmt.Sprint(m) || !got.MasterSecret.Equal(m.MasterSecret.Bytes()) || !got.Salt.Equal(m.Salt.Bytes()) {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("AO-011,AO-012,AO-020,AO-021 algorithms and contextId are carried when they are not the defaults", func(t *testing.T) {
		t.Parallel()
		m := OSCOREInputMaterial{ID: []byte{2}, MasterSecret: secret.Hide(vectorMS), HKDF: cose.AlgHMAC512, AEAD: cose.AlgA128GCM, ContextID: []byte{9}}
		wantBytes(t, m.marshal(), "a5 00 41 02 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 03 07 04 01 06 41 09")
		got := must(parseMaterial(m.marshal()))
		if got.HKDF != m.HKDF || got.AEAD != m.AEAD || string(got.ContextID) != "\x09" {
			t.Fatalf("parsed %+v", got)
		}
		m.HKDF, m.AEAD, m.ContextID = cose.AlgHMAC256, cose.AlgAESCCM16_64_128, nil
		wantBytes(t, m.marshal(), "a2 00 41 02 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0")
	})
	t.Run("the direct key derivation algorithms name the HKDF as well", func(t *testing.T) {
		t.Parallel()
		for in, want := range map[string]cose.Algorithm{"29": cose.AlgHMAC256, "2a": cose.AlgHMAC512, "05": cose.AlgHMAC256, "07": cose.AlgHMAC512, "06": cose.AlgHMAC384} {
			got := must(parseMaterial(unhex("a3 00 41 02 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 03" + in)))
			if got.HKDF != want {
				t.Errorf("%s: %v", in, got.HKDF)
			}
		}
	})
	t.Run("AO-022,AO-036,AO-077 what this profile cannot use is refused", func(t *testing.T) {
		t.Parallel()
		const id, ms = "00 41 01", "02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0"
		for name, in := range map[string]string{
			"no ms": "a1" + id, "no id": "a1" + ms, "empty id": "a2 00 40" + ms, "short ms": "a2" + id + "02 41 01",
			"unknown label": "a3" + id + ms + "07 41 00", "unknown text label": "a3" + id + ms + "61 78 00",
			"version 2": "a3" + id + ms + "01 02", "alg EdDSA": "a3" + id + ms + "04 27", "alg as text": "a3" + id + ms + "04 61 61",
			"alg CTR": "a3" + id + ms + "04 39 fffd", "alg unknown": "a3" + id + ms + "04 1a 7fffffff", "alg 0": "a3" + id + ms + "04 00",
			"hkdf ES256": "a3" + id + ms + "03 26", "hkdf AES": "a3" + id + ms + "03 0a",
		} {
			_, err := parseMaterial(unhex(in))
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			wantErr(t, err, ErrInputMaterial)
		}
	})
	t.Run("secrets do not print", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		for _, s := range []string{fmt.Sprint(m), fmt.Sprintf("%+v %x %#v", m, m, &m)} {
			if strings.Contains(s, "a1a2a3") || strings.Contains(s, "161 162") || strings.Contains(s, "0xa1") {
				t.Error(s)
			}
		}
	})
}

func FuzzParseInputMaterial(f *testing.F) {
	m := vectorMaterial()
	fuzzObject(f, parseMaterial, func(m *OSCOREInputMaterial) []byte { return m.marshal() }, []error{ErrInputMaterial, ErrMalformed},
		m.marshal(), unhex("a5 00 41 02 02 50 a1a2a3a4a5a6a7a8a9aaabacadaeafb0 03 07 04 01 06 41 09"))
}

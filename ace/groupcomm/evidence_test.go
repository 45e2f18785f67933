package groupcomm

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
)

func TestPoPInput(t *testing.T) {
	t.Parallel()
	scope, ns, nc, nkdc := unhex("826667726f7570316673656e646572"), unhex("018a278f7faab55a"), unhex("25a8991cd700ac01"), unhex("cef04b2aa791bc6d")
	t.Run("KG-JOIN-09,KG-CRED-02,KO-JPROC-04 the client's input is scope, N_S and N_C as byte strings", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, ClientPoP(scope, ns, nc), "4f 826667726f7570316673656e646572 48 018a278f7faab55a 48 25a8991cd700ac01")
		wantBytes(t, ClientPoP(EncodeScope(ace.ScopeEntry{Group: "g1", Roles: 6}), ns, nc), "45 8262673106 48 018a278f7faab55a 48 25a8991cd700ac01")
		wantBytes(t, ClientPoP(nil, make([]byte, 32), nil), "40 5820 0000000000000000000000000000000000000000000000000000000000000000 40")
	})
	t.Run("KG-JRESP-11 the group manager's input is N_C and N_KDC as byte strings", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, KDCPoP(nc, nkdc), "48 25a8991cd700ac01 48 cef04b2aa791bc6d")
	})
}

func TestSignEvidence(t *testing.T) {
	t.Parallel()
	input := []byte("input")
	for name, c := range map[string]struct {
		crv cose.Curve
		alg cose.Algorithm
	}{
		"KO-JREQ-09,KO-JPROC-04,KO-JRESP-15,KO-JRESP-18 an Ed25519 signature over the input is evidence": {cose.CurveEd25519, cose.AlgEdDSA},
		"KO-JREQ-09,KO-JPROC-04,KO-JRESP-15 an ES256 signature over the input is evidence":               {cose.CurveP256, cose.AlgES256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := must(cose.GenerateKey(c.crv, rand.Reader))
			sig := must(SignEvidence(key, c.alg, input))
			if len(sig) != 64 {
				t.Fatal(len(sig))
			}
			if err := VerifySignature(key.Public(), c.alg, input, sig); err != nil {
				t.Fatal(err)
			}
			other := must(cose.GenerateKey(c.crv, rand.Reader)).Public()
			sig[5] ^= 1
			for _, err := range []error{
				VerifySignature(key.Public(), c.alg, input, sig),
				VerifySignature(key.Public(), c.alg, input, nil),
				VerifySignature(other, c.alg, input, must(SignEvidence(key, c.alg, input))),
				VerifySignature(key.Public(), c.alg, []byte("other"), must(SignEvidence(key, c.alg, input))),
			} {
				if !errors.Is(err, ErrEvidence) {
					t.Error(err)
				}
			}
		})
	}
}

func TestMACEvidence(t *testing.T) {
	t.Parallel()
	input := []byte("input")
	for name, crv := range map[string]cose.Curve{
		"KO-JREQ-10,KO-JREQ-11,KO-JPROC-04,KO-JRESP-15,KO-JRESP-18 an 8-byte MAC by X25519 is evidence": cose.CurveX25519,
		"KO-JREQ-10,KO-JREQ-11,KO-JPROC-04,KO-JRESP-15 an 8-byte MAC by P-256 is evidence":              cose.CurveP256,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			member, gm := must(cose.GenerateKey(crv, rand.Reader)), must(cose.GenerateKey(crv, rand.Reader))
			mac := must(MACEvidence(member, gm.Public(), input))
			ikm := must(gm.ECDH(member.Public()))
			want := must(hkdf.Key(sha256.New, ikm, nil, string(input), 8))
			if !bytes.Equal(mac, want) {
				t.Fatalf("%x, want %x", mac, want)
			}
			if err := VerifyMAC(gm, member.Public(), input, mac); err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{
				VerifyMAC(gm, member.Public(), []byte("other"), mac),
				VerifyMAC(gm, gm.Public(), input, mac),
				VerifyMAC(gm, member.Public(), input, mac[:7]),
				VerifyMAC(gm, member.Public(), input, nil),
				VerifyMAC(gm, must(cose.GenerateKey(cose.CurveP384, rand.Reader)).Public(), input, mac),
			} {
				if !errors.Is(err, ErrEvidence) {
					t.Error(err)
				}
			}
		})
	}
}

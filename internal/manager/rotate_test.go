package manager

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestRotateIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	w.group("g2", nil)
	w.group("other", func(c *GroupConfig) { c.Signature = cose.AlgES256 })
	d, j := w.lamp("a", "g1")
	old := j.Response.KDC.Credential
	n, err := w.RotateIdentity(ctx, w.info("g1").Identity)
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for name, want := range map[string]Cause{"g1": CauseManagerKey, "g2": CauseManagerKey, "other": CauseNone} {
		if g := w.info(name); g.LastCause != want {
			t.Errorf("%s: %v", name, g.LastCause)
		}
	}
	k, err := w.KDCCred(ctx, d.caller, "g1")
	if err != nil || bytes.Equal(k.Credential, old) {
		t.Fatal("the old credential", err)
	}
	cred, err := cose.ParseCredential(cose.FormatCCS, k.Credential)
	if err != nil {
		t.Fatal(err)
	}
	m := w.member("g1", j.Node)
	if err := groupcomm.VerifySignature(cred.PublicKey(), cose.AlgEdDSA, groupcomm.KDCPoP(m.Challenge, k.Nonce), k.Evidence); err != nil {
		t.Fatal(err)
	}
	if _, again := w.lamp("b", "g1"); !bytes.Equal(again.Response.KDC.Credential, k.Credential) {
		t.Fatal("a join with another credential")
	}
	if g := w.group("g3", nil); g.Version != 0 {
		t.Fatal(g)
	}
	t.Run("the old key is forgotten", func(t *testing.T) {
		if err := w.view(func(r reader) error {
			_, err := r.Get(nameManagerKey(GroupConfig{}.WithDefaults().slot()))
			if err == nil {
				t.Error("still there")
			}
			return ignoreNotFound(err)
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("what a crash interrupted is completed at the next start", func(t *testing.T) {
		before := w.info("g1").Version
		// As if the process had ended right after the new generation was noted.
		slot, err := w.currentSlot(GroupConfig{}.WithDefaults().slot())
		if err != nil {
			t.Fatal(err)
		}
		slot.Generation++
		if err := w.ensureIdentity(ctx, slot); err != nil {
			t.Fatal(err)
		}
		if err := w.update(ctx, func(x *txn) error { return x.put(nameManagerKeyGeneration(slot), slot.Generation) }); err != nil {
			t.Fatal(err)
		}
		w.rig = func(o *Options) { o.OnRestart, o.KeepAssociations = RestartKeep, true }
		w.restart()
		g := w.info("g1")
		if g.Version != before+1 || g.LastCause != CauseManagerKey {
			t.Fatalf("%+v", g)
		}
		var h *head
		if err := w.view(func(r reader) (err error) { h, err = r.group("g1"); return err }); err != nil || h.KeyGeneration != slot.Generation {
			t.Fatal(h.KeyGeneration, err)
		}
	})
}

// TestFormats joins groups of other formats and algorithms.
func TestFormats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	for i, c := range []struct {
		name string
		rig  func(c *GroupConfig)
		crv  cose.Curve
		wrap func(t *testing.T, d *device) []byte
	}{
		{"KO-TOK-06,KO-CRED-01 a CWT is kept and given out as it was delivered", func(c *GroupConfig) { c.CredentialFormat = cose.FormatCWT }, cose.CurveEd25519, cwt},
		{"KO-TOK-06,KO-CRED-01 an X.509 certificate", format(cose.FormatX5Chain, cose.AlgEdDSA), cose.CurveEd25519, certificate(cose.FormatX5Chain)},
		{"KO-TOK-06,KO-CRED-01 a whole X.509 chain", format(cose.FormatX5Chain, cose.AlgES256), cose.CurveP256, chain(cose.FormatX5Chain)},
		{"KO-TOK-06,KO-CRED-01 an X.509 bag", format(cose.FormatX5Bag, cose.AlgEdDSA), cose.CurveEd25519, certificate(cose.FormatX5Bag)},
		{"KO-TOK-06,KO-CRED-01 a C509 certificate", format(cose.FormatC509Chain, cose.AlgEdDSA), cose.CurveEd25519, certificate(cose.FormatC509Chain)},
		{"KO-TOK-06,KO-CRED-01 a whole C509 chain", format(cose.FormatC509Chain, cose.AlgES384), cose.CurveP384, chain(cose.FormatC509Chain)},
		{"KO-TOK-06,KO-CRED-01 a C509 bag", format(cose.FormatC509Bag, cose.AlgEd448), cose.CurveEd448, certificate(cose.FormatC509Bag)},
		{"KO-TOK-06 Ed448", func(c *GroupConfig) { c.Signature = cose.AlgEd448 }, cose.CurveEd448, nil},
		{"KO-TOK-06 P-384", func(c *GroupConfig) { c.Signature = cose.AlgES384 }, cose.CurveP384, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprintf("g%d", i)
			w.group(name, c.rig)
			d := w.device("d"+name, c.crv, entry(name, requester|responder))
			raw := d.cred.Bytes()
			if c.wrap != nil {
				raw = c.wrap(t, d)
			}
			j, err := d.tryJoin(name, requester|responder, func(q *groupcomm.JoinRequest) { q.Credential = raw })
			if err != nil {
				t.Fatal(err)
			}
			kc, err := cose.ParseCredential(w.info(name).Config.CredentialFormat, j.Response.KDC.Credential)
			if err != nil || kc.PublicKey().Curve() != c.crv {
				t.Fatal("the Group Manager's credential", err)
			}
			m := w.member(name, j.Node)
			if err := groupcomm.VerifySignature(kc.PublicKey(), w.info(name).Config.Signature, groupcomm.KDCPoP(m.Challenge, j.Response.KDC.Nonce), j.Response.KDC.Evidence); err != nil {
				t.Fatal("the Group Manager's proof:", err)
			}
			if _, err := d.tryJoin(name, requester|responder, func(q *groupcomm.JoinRequest) { q.Credential, q.Evidence[3] = raw, q.Evidence[3]^1 }); KindOf(err) != KindProof {
				t.Fatal("a proof that is none:", err)
			}
			out, _, err := w.Credentials(ctx, d.caller, name, nil)
			if err != nil || len(out.Peers) != 1 || !bytes.Equal(out.Peers[0].Credential, raw) {
				t.Fatalf("%x, %v", out, err)
			}
		})
	}
}

// cwt is a credential of the device in a signed CWT.
func cwt(t *testing.T, d *device) []byte {
	t.Helper()
	c, err := cose.NewCWT(d.name, d.key.Public(), cose.AlgEdDSA, d.key)
	if err != nil {
		t.Fatal(err)
	}
	return c.Bytes()
}

func format(f cose.CredentialFormat, sign cose.Algorithm) func(c *GroupConfig) {
	return func(c *GroupConfig) { c.CredentialFormat, c.Signature = f, sign }
}

// certificate is a credential of the device in a certificate of its own.
func certificate(f cose.CredentialFormat) func(t *testing.T, d *device) []byte {
	return func(t *testing.T, d *device) []byte {
		t.Helper()
		newCert := cose.NewX509
		if f == cose.FormatC509Bag || f == cose.FormatC509Chain {
			newCert = cose.NewC509
		}
		c, err := newCert(f, d.name, d.key, start, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Bytes()
	}
}

// chain is a certificate of the device with another one behind it, whose signature
// nobody asks for.
func chain(f cose.CredentialFormat) func(t *testing.T, d *device) []byte {
	return func(t *testing.T, d *device) []byte {
		one, issuer := certificate(f)(t, d), certificate(f)(t, d)
		return cborx.AppendBytes(cborx.AppendBytes(cborx.AppendArray(nil, 2), one), issuer)
	}
}

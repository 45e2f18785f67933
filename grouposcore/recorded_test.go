package grouposcore

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/integration/vectorfile"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
)

// TestRecordedIntermediates compares every intermediate value that the recorded
// exchanges of other implementations state.
func TestRecordedIntermediates(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../integration/vectorrun/testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := vectorfile.Parse(b)
		if err != nil {
			return nil
		}
		for _, x := range f.Exchanges {
			if !x.Params.Group || x.Params.GroupEnc < -65530 || x.Params.KeyAgreement > -27 || !x.Conformant {
				continue
			}
			if x.Params.GroupEnc == -65531 || x.Messages[0].Mode == "det" {
				continue
			}
			seen++
			t.Run(proven(x)+" "+x.Name, func(t *testing.T) { intermediates(t, x) })
		}
		return nil
	})
	if err != nil || seen < 100 {
		t.Fatalf("%d recorded exchanges, %v", seen, err)
	}
}

// proven names the requirements that an exchange shows.
func proven(x *vectorfile.Exchange) string {
	ids := "GO-2.3-1,GO-2.3-2,GO-3.3-1,GO-3.4-2"
	if len(x.Params.Pairwise) > 0 {
		ids += ",GO-2.5.1-1,GO-2.5.1-5,GO-2.5.1-6"
	}
	for _, m := range x.Messages {
		if m.Mode == "group" {
			return ids + ",GO-2.1.9-1,GO-3.1-2,GO-4.2-1"
		}
	}
	return ids
}

// stated compares a value that the file states.
func stated(t *testing.T, what string, got []byte, want vectorfile.Hex) {
	t.Helper()
	if want != nil {
		wantBytes(t, what, got, want)
	}
}

func intermediates(t *testing.T, x *vectorfile.Exchange) {
	p := x.Params
	group := Params{
		Gid: p.IDContext, MasterSecret: secret.Bytes(p.MasterSecret), MasterSalt: secret.Bytes(p.MasterSalt), HKDF: cose.Algorithm(p.HKDF),
		AEAD: cose.Algorithm(p.AEAD), KeyAgreement: cose.Algorithm(p.KeyAgreement),
		GroupEnc: cose.Algorithm(p.GroupEnc), Signature: cose.Algorithm(p.Signature), GMCredential: p.GMCredential,
	}
	if p.FourElements {
		group.Countersign = cose.CountersignFour
	}
	creds := new(StaticCredentials)
	ctx := map[string]*Context{}
	for _, m := range p.Members {
		cred, err := cose.ParseCredential(cose.FormatCCS, m.Credential)
		if err != nil {
			t.Fatal(err)
		}
		priv, err := cose.NewPrivateKey(cred.PublicKey().Curve(), m.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		creds.Set(m.ID, cred)
		c, err := NewContext(group, Identity{SenderID: m.ID, Credential: cred, PrivateKey: priv}, numbers(t, 0), creds)
		if err != nil {
			t.Fatal(err)
		}
		ctx[m.Name] = c
		stated(t, "common iv", c.commonIV, p.CommonIV)
		stated(t, "signature encryption key", c.seKey, p.SignatureEncryptionKey)
		stated(t, "sender key", c.self.key, m.SenderKey)
	}
	keys := map[[2]string][]byte{}
	for _, k := range p.Pairwise {
		from, to := ctx[k.From], ctx[k.To]
		z, err := from.self.agree(to.self.cred)
		if err != nil {
			t.Fatal(err)
		}
		stated(t, "shared secret", z, k.SharedSecret)
		key, err := from.pairKey(from.self.key, from.self.id, from.self.cred, to.self.cred, z)
		if err != nil {
			t.Fatal(err)
		}
		stated(t, "pairwise key", key, k.Key)
		keys[[2]string{k.From, k.To}] = key
	}
	var req binding
	for _, m := range x.Messages {
		opt, err := coapmsg.ParseOSCOREOption(m.Option)
		if err != nil {
			t.Fatal(err)
		}
		if m.Request {
			req = binding{kid: opt.KID, piv: opt.PIV, gid: opt.KIDContext}
		}
		c := ctx[m.From]
		e := &envelope{mode: PairwiseMode, request: m.Request, req: req, option: m.Option, genID: req.kid, piv: req.piv}
		if m.Mode == "group" {
			e.mode = GroupMode
			stated(t, "key", c.self.key, m.Key)
		} else if k := keys[[2]string{m.From, m.To}]; k != nil {
			stated(t, "key", k, m.Key)
		}
		if opt.PIV != nil {
			e.genID, e.piv = c.self.id, opt.PIV
		}
		s := new(scratch)
		aad := c.additionalData(s, e, c.self.cred)
		stated(t, "external_aad", s.aad, m.ExternalAAD)
		if aad != nil {
			stated(t, "aad", aad, m.AAD)
		}
		stated(t, "nonce", c.nonce(s, e), m.Nonce)
		if m.Mode != "group" {
			continue
		}
		stated(t, "countersign structure", cose.AppendCountersignStructure(nil, group.Countersign, s.aad, m.Ciphertext), m.Countersign)
		stated(t, "keystream info", appendKeystreamInfo(nil, e.genID, c.gid, m.Request, c.self.sigLen), m.KeystreamInfo)
		ks := make([]byte, c.self.sigLen)
		if err := c.xorKeystream(s, ks, e.piv, e.genID, m.Request); err != nil {
			t.Fatal(err)
		}
		stated(t, "keystream", ks, m.Keystream)
	}
}

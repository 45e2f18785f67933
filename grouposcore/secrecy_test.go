package grouposcore

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

func TestNothingSecretIsPrinted(t *testing.T) {
	p := newPair(t)
	p.r.params.MasterSecret, p.r.params.MasterSalt = secret.Bytes("SECRETSECRETSECRET"), secret.Bytes("SALTSALTSALT")
	p.client, p.server = NewGroup(p.r.at(t, "client", 5)), NewGroup(p.r.at(t, "server", 7))
	m, cx := p.ask(t, get("a"), PairwiseMode)
	sx := p.hear(t, m)
	c := p.client.Current()
	_, _, _, failed := p.server.UnprotectRequest(flip(m, -1), noon)
	cp := CheckerParams{
		Gid: c.gid, SignatureEncryptionKey: c.seKey, GroupEnc: c.params.GroupEnc, Signature: c.params.Signature, GMCredential: c.params.GMCredential,
	}
	checker, err := NewChecker(cp, p.r.creds)
	if err != nil {
		t.Fatal(err)
	}
	var z secret.Bytes
	for _, e := range c.agreed.Load().byKey {
		z = e.z
	}
	type holder struct { // of a package above, careless
		group      *Group
		ctx        *Context
		cx, sx     *Exchange
		checker    *Checker
		credential CredentialSource
	}
	h := holder{p.client, c, cx, sx, checker, p.r.creds}
	hidden := []secret.Bytes{p.r.params.MasterSecret, p.r.params.MasterSalt, c.seKey, c.commonIV, c.self.key, c.peers.get([]byte{0x52}).key, z}
	for _, v := range []any{p.r.params, p.r.ids["client"], cp, c, *c, p.client, cx, sx, checker, failed, h, &h} {
		t.Run(fmt.Sprintf("%T", v), func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
			if b, err := json.Marshal(v); err == nil {
				out.Write(b)
			}
			for _, key := range hidden {
				s := string(key)
				for _, form := range []string{s, fmt.Sprintf("%x", s), fmt.Sprintf("%d", []byte(s)), fmt.Sprintf("%#v", []byte(s)), strings.Trim(fmt.Sprint([]byte(s)), "[]")} {
					if strings.Contains(out.String(), form) {
						t.Fatalf("%q in %s", form, out.String())
					}
				}
			}
		})
	}
	t.Run("an exchange says what it is", func(t *testing.T) {
		if s := fmt.Sprint(cx); s != "pairwise mode exchange 44616c/25/05" {
			t.Fatal(s)
		}
	})
}

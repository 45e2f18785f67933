package member_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/member"
)

func TestNothingSecretIsPrinted(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		sw, _ := w.hall(nil, "lamp-1")
		sw.answers("hall", "lamp-1")
		g := sw.of("hall")
		k, err := g.InsecureCopy()
		w.check(err)
		type holder struct { // of a program above, careless
			d *member.Device
			g *member.Group
			k *member.CopiedKeys
		}
		h := holder{sw.Device, g, k}
		cfg := member.Config{Enrolment: sw.enrol, Store: sw.store}
		st := g.Status()
		secrets := [][]byte{
			k.Params.MasterSecret, sw.enrol.AS.Secret.Bytes(), sw.enrol.AS.Salt.Bytes(), k.Identity.PrivateKey.Secret(),
		}
		for _, v := range []any{h, &h, sw.Device, g, k, *k, cfg, &cfg, st} {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
			if j, err := json.Marshal(st); err == nil {
				out.Write(j)
			}
			for _, b := range secrets {
				forms := []string{
					string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%d", b), fmt.Sprintf("%#v", b), strings.Trim(fmt.Sprint(b), "[]"),
					base64.StdEncoding.EncodeToString(b),
				}
				for _, form := range forms {
					if strings.Contains(out.String(), form) {
						t.Fatalf("%T prints a secret: %s", v, out.String())
					}
				}
			}
		}
	})
}

package manager

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

// TestNothingSecretIsSaid looks for key material in whatever people get to see.
func TestNothingSecretIsSaid(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := newWorld(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	ctx := context.Background()
	w.group("g1", nil)
	_, j := w.lamp("a", "g1")
	if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
		t.Fatal(err)
	}
	w.net.wait(t, 1)
	eventually(t, "confirmed", func() bool { return len(w.pending("g1")) == 0 })
	gm, err := w.identity(w.info("g1").Config.slot())
	if err != nil {
		t.Fatal(err)
	}
	members, err := w.Members(ctx, "g1")
	if err != nil {
		t.Fatal(err)
	}
	var h *head
	err = w.view(func(r reader) (err error) { h, err = r.group("g1"); return err })
	if err != nil {
		t.Fatal(err)
	}
	w.Stop()
	said := strings.Join([]string{
		w.auditLog(), log.String(), fmt.Sprintf("%v %+v %#v", w.Service, w.Service, w.Service), fmt.Sprintf("%v %+v", w.info("g1"), members),
		fmt.Sprintf("%v %+v %#v", h, h, h), fmt.Sprintf("%+v", j.Response), fmt.Sprintf("%v", gm),
	}, "\n")
	t.Run("KO-PAR-10 no Master Secret, no private key", func(t *testing.T) {
		for name, secret := range map[string][]byte{
			"first Master Secret": j.Response.Key.MasterSecret, "second Master Secret": h.Secret, "private key": gm.private.Secret(),
			"association": []byte("secret of a"),
		} {
			for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
				if strings.Contains(strings.ToLower(said), strings.ToLower(form)) {
					t.Errorf("%s is said", name)
				}
			}
		}
	})
	t.Run("KO-PAR-11 operations and rekeyings are logged with cause, version and Gid", func(t *testing.T) {
		log := w.auditLog()
		for _, want := range []string{`"event":"group.created"`, `"event":"member.joined"`, `"event":"group.rekeyed"`, `"cause":"operator"`, `"version":1`, `"gid":"` + hex.EncodeToString(h.Gid)} {
			if !strings.Contains(log, want) {
				t.Errorf("%s is not in the audit log:\n%s", want, log)
			}
		}
	})
}

// TestNothingSecretIsPrinted prints what holds keys with every verb, by value, by
// pointer, and inside of something else.
func TestNothingSecretIsPrinted(t *testing.T) {
	key := []byte("0123456789abcdef")
	h := head{Name: "g", Secret: key, Salt: key}
	a := association{Secret: key, Salt: key}
	k := managerKey{Private: key}
	p := secret.Bytes(key)
	m := cachedMessage{payload: func() secret.Bytes { return p }}
	type holder struct {
		ms map[uint64]cachedMessage
	}
	for _, v := range []any{h, &h, a, &a, k, &k, m, &m, a.params(), StoredAssociation{Params: a.params()}, holder{map[uint64]cachedMessage{1: m}}, &holder{map[uint64]cachedMessage{1: m}}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			out := fmt.Sprintf(verb, v)
			for _, form := range []string{string(key), hex.EncodeToString(key), strings.Trim(fmt.Sprint(key), "[]"), "0x30, 0x31"} {
				if strings.Contains(strings.ToLower(out), strings.ToLower(form)) {
					t.Errorf("%s of %T: %s", verb, v, out)
				}
			}
		}
	}
}

package authserver

import (
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	t.Run("a token is looked into by the keys of whom it is for", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.remote(t, "gm2")
		resp, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		v := must(b.Inspect(resp.AccessToken))
		if v.Refusal != nil || v.Audience != "gm1" || v.Token.Client != "switch" || v.Claims.Subject != "switch" {
			t.Fatalf("%+v", v)
		}
		b.ends(t, v.Hash)
		if v := must(b.Inspect(resp.AccessToken)); v.Refusal == nil || v.Refusal.Refusal != ace.RefusedRevoked || v.Token.Revoked.IsZero() {
			t.Fatalf("%+v", v)
		}
		b.clock.Advance(time.Hour)
		must(b.Sweep(t.Context()))
		if v := must(b.Inspect(resp.AccessToken)); v.Refusal.Refusal != ace.RefusedExpired || v.Token != nil {
			t.Fatalf("%+v", v)
		}
		if v := must(b.Inspect([]byte{0xff})); v.Refusal.Refusal != ace.RefusedMalformed || v.Audience != "" {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("without resource servers there is nothing to look with", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.memory = keystore.NewMemory()
		b.open(t)
		_, err := b.Inspect([]byte{0xff})
		wantErr(t, err, ErrNotFound)
	})
}

package manager

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
)

func TestSamePostAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	d, j := w.lamp("a", "g1")
	old := d.caller
	superseded := d.post(24*time.Hour, entry("g1", requester|responder))
	if !slices.Equal(superseded, []uint64{old.Association}) || !slices.Equal(w.net.dropped, superseded) {
		t.Fatalf("superseded %v, dropped %v", superseded, w.net.dropped)
	}
	t.Run("the old association opens nothing", func(t *testing.T) {
		_, err := w.Num(ctx, old, "g1")
		wantKind(t, err, KindUnauthorized)
	})
	t.Run("KO-JPROC-01 the member is known under its new association", func(t *testing.T) {
		k, err := w.NodeMaterial(ctx, d.caller, "g1", j.Node)
		if err != nil || k.Version != 0 {
			t.Fatal(err)
		}
	})
	t.Run("KO-JREQ-12 the challenge is that of the latest post", func(t *testing.T) {
		if res := d.join("g1", responder); res.Created {
			t.Fatal("a second membership")
		}
	})
}

func TestTokenExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	short := w.device("short", cose.CurveEd25519, entry("g1", responder))
	short.post(time.Hour, entry("g1", responder))
	js := short.join("g1", responder)
	_, jl := w.lamp("long", "g1")
	w.clock.Advance(time.Hour)
	t.Run("KG-ERR-01 an expired token opens nothing, at once", func(t *testing.T) {
		_, err := w.Num(ctx, short.caller, "g1")
		wantKind(t, err, KindUnauthorized)
	})
	t.Run("KG-REM-01,KO-RKOV-06 the member is evicted and the group rekeyed", func(t *testing.T) {
		eventually(t, "evicted", func() bool { g := w.info("g1"); return g.Members == 1 && g.Version == 1 })
		if g := w.info("g1"); g.LastCause != CauseTokenExpired {
			t.Fatal(g.LastCause)
		}
		w.net.wait(t, 2)
		if len(w.net.sentTo(jl.Node)) != 1 || len(w.net.sentTo(js.Node)) != 0 {
			t.Fatal("wrong receivers")
		}
	})
	t.Run("KG-TOK-07 token, challenge and association are gone once the device was told", func(t *testing.T) {
		eventually(t, "dropped", func() bool {
			w.net.mu.Lock()
			defer w.net.mu.Unlock()
			return slices.Contains(w.net.dropped, short.caller.Association) && len(w.net.evicted) == 1
		})
		err := w.view(func(r reader) error {
			if c, err := r.indexed(tokenHashes, string(short.hash[:])); err != nil || c != 0 {
				t.Error("token still known", err)
			}
			if _, err := r.Get(nameAssociation(short.caller.Association)); err == nil {
				t.Error("association still stored")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestOtherTokenCovers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder))
	d.post(time.Hour, entry("g1", responder))
	d.join("g1", responder)
	d.hash[5] ^= 1 // another token of the same client
	d.post(30*time.Hour, entry("g1", responder|requester))
	w.clock.Advance(2 * time.Hour)
	if _, err := w.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if g := w.info("g1"); g.Members != 1 || g.Version != 0 {
		t.Fatalf("%+v", g)
	}
	if _, err := w.Num(context.Background(), d.caller, "g1"); err != nil {
		t.Fatal(err)
	}
}

func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder))
	first := d.caller
	for i := range maxClientTokens {
		d.hash[6] = byte(i + 1)
		d.post(time.Duration(25+i)*time.Hour, entry("g1", responder))
	}
	_, err := w.Gids(context.Background(), first, (&groupcomm.GidsRequest{Gids: [][]byte{{1}}}).Marshal())
	wantKind(t, err, KindUnauthorized)
	_, err = w.Gids(context.Background(), d.caller, (&groupcomm.GidsRequest{Gids: [][]byte{{1}}}).Marshal())
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplaceToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	w.group("g2", nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder))
	d.join("g1", responder)
	tok := &ace.Token{Hash: ace.TokenHash{1, 2, 3}, Issuer: "as", Client: "a", Scope: ace.Scope{entry("g2", requester)}, Expires: w.clock.Now().Add(48 * time.Hour)}
	if err := w.ReplaceToken(ctx, d.caller.Association, tok); err != nil {
		t.Fatal(err)
	}
	t.Run("the rights that went away end the membership", func(t *testing.T) {
		if g := w.info("g1"); g.Members != 0 || g.Version != 1 {
			t.Fatalf("%+v", g)
		}
	})
	t.Run("KG-TOK-16,KG-TOK-06 the challenge stays, for the groups of the new rights", func(t *testing.T) {
		d.join("g2", requester)
		cur, err := w.Token(d.caller)
		if err != nil || cur.Hash != tok.Hash || string(cur.Challenge) != string(d.ns) || string(cur.Material.ID) != "a" {
			t.Fatalf("%+v %v", cur, err)
		}
	})
	t.Run("an association that does not exist", func(t *testing.T) {
		wantKind(t, w.ReplaceToken(ctx, 999, tok), KindUnauthorized)
	})
}

func TestEndClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	w.group("g2", nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder), entry("g2", responder))
	d.join("g1", responder)
	d.join("g2", responder)
	w.lamp("b", "g1")
	n, err := w.EndClient(ctx, "as", "a", CauseOperator)
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	for _, g := range []string{"g1", "g2"} {
		if i := w.info(g); i.Version != 1 {
			t.Fatalf("%+v", i)
		}
	}
	_, err = w.Num(ctx, d.caller, "g1")
	wantKind(t, err, KindUnauthorized)
	eventually(t, "context dropped", func() bool {
		w.net.mu.Lock()
		defer w.net.mu.Unlock()
		return slices.Contains(w.net.dropped, d.caller.Association)
	})
	if n, err := w.EndClient(ctx, "as", "nobody", CauseOperator); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if log := w.auditLog(); !strings.Contains(log, "token.revoked") {
		t.Fatal(log)
	}
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d, _ := w.lamp("a", "g1")
	n, err := w.RevokeToken(context.Background(), d.hash)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := w.RevokeToken(context.Background(), d.hash); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	// The client is gone altogether when the notice is settled or not: it has no tokens.
	err = w.view(func(r reader) error {
		c, err := r.indexed(clientNames, identityText(&ace.Token{Issuer: "as", Client: "a"}))
		if c != 0 {
			t.Error("client is still there")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLostChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	d := w.device("a", cose.CurveEd25519, entry("g1", responder))
	err := w.update(ctx, func(t *txn) error {
		cl, tok, err := t.caller(d.caller, t.now)
		if err != nil {
			return err
		}
		tok.Challenge = nil
		return t.putClient(cl)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("KG-JOIN-14,KO-JPROC-14,KO-JREQ-16 a new challenge comes with the refusal and then holds", func(t *testing.T) {
		_, err := d.tryJoin("g1", responder, nil)
		var e *Error
		if !asError(err, &e) || e.Kind != KindJoinInfo {
			t.Fatal(err)
		}
		j, err := groupcomm.ParseJoinInfo(e.Info)
		if err != nil || len(j.Challenge) < 8 || j.Sign == nil {
			t.Fatal(j, err)
		}
		d.ns = j.Challenge
		d.join("g1", responder)
	})
}

package authserver

import (
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	t.Run("tokens are listed by hash, with whom they are for", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		var hashes []ace.TokenHash
		for range 3 {
			resp, _ := b.issue(t, b.lamp, room1(ace.RoleResponder))
			hashes = append(hashes, ace.HashToken(resp.AccessToken))
		}
		page := must(b.Tokens(ace.TokenHash{}, 2))
		rest := must(b.Tokens(page[1].Hash, 2))
		if len(page) != 2 || len(rest) != 1 || rest[0].Hash != hashes[2] {
			t.Fatalf("%v, %v", page, rest)
		}
		v := must(b.Token(hashes[0]))
		if v.Client != "lamp" || v.Audience != "gm1" || v.Scope.Group("room1") != ace.RoleResponder || !v.Revoked.IsZero() || v.Expires.Sub(v.Issued) != time.Hour {
			t.Fatalf("%+v", v)
		}
		_, err := b.Token(ace.TokenHash{1})
		wantErr(t, err, ErrNotFound)
	})
	t.Run("a token is revoked once, and that is told each time", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, _ := b.issue(t, b.lamp, room1(ace.RoleResponder))
		h := ace.HashToken(resp.AccessToken)
		if b.TokenRevoked(h) {
			t.Fatal("revoked from the beginning")
		}
		for range 2 {
			if err := b.RevokeToken(t.Context(), h, "test"); err != nil {
				t.Fatal(err)
			}
		}
		if !b.TokenRevoked(h) || len(b.events.revoked) != 2 || must(b.Token(h)).Revoked.IsZero() {
			t.Fatal("not revoked", b.events.revoked)
		}
		n := 0
		for _, record := range b.log(t) {
			if strings.Contains(record, `"token.revoked"`) {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("%d audit records", n)
		}
		b.restart(t)
		if !b.TokenRevoked(h) {
			t.Fatal("forgotten")
		}
		wantErr(t, b.RevokeToken(t.Context(), ace.TokenHash{1}, "x"), ErrNotFound)
	})
	t.Run("a client's tokens are revoked with it, however many", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		const n = 3*updateBudget/recordsOfRevocation + 5
		for range n {
			b.issue(t, b.lamp, room1(ace.RoleResponder))
		}
		other, _ := b.issue(t, b.sw, room1(ace.RoleResponder))
		for range 2 {
			if err := b.RevokeClient(t.Context(), "lamp", "lost"); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.events.revoked) != n || b.TokenRevoked(ace.HashToken(other.AccessToken)) {
			t.Fatalf("%d revoked", len(b.events.revoked))
		}
		_, err := b.PeerByID(b.lamp.AS.ID)
		wantErr(t, err, ErrDisabled)
		wantErr(t, b.RevokeClient(t.Context(), "nobody", ""), ErrNotFound)
	})
	t.Run("a store that fails counts as revoked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if err := b.keys.Close(); err != nil {
			t.Fatal(err)
		}
		if !b.TokenRevoked(ace.TokenHash{1}) {
			t.Fatal("valid")
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.memory.Len() - len(b.log(t))
	const n = 2*sweepBatch + 3
	for range n {
		b.issue(t, b.lamp, room1(ace.RoleResponder))
	}
	if got := must(b.Sweep(t.Context())); got != 0 {
		t.Fatalf("%d valid tokens forgotten", got)
	}
	b.clock.Advance(time.Hour)
	if got := must(b.Sweep(t.Context())); got != n {
		t.Fatalf("%d of %d forgotten", got, n)
	}
	if after := b.memory.Len() - len(b.log(t)); after != before {
		t.Fatalf("%d records are left", after-before)
	}
	resp, _ := b.issue(t, b.lamp, room1(ace.RoleResponder))
	if id := resp.Cnf.OSC.ID; len(id) != 1 || id[0] != n+1 {
		t.Fatalf("material %x was given out again", id)
	}
}

package authserver

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// remote enrols a resource server that is another process, and lets both devices have roles there.
func (b *bench) remote(t *testing.T, audience string) (*ace.RSEnrolment, Peer) {
	t.Helper()
	e := must(b.EnrolRS(t.Context(), RSRequest{Audience: audience, URI: "coap://127.0.0.2", Lifetime: time.Hour}))
	for _, name := range []string{"switch", "lamp"} {
		c := must(b.Client(name))
		grants := append(c.Grants, Grant{Audience: audience, Group: "room1", Roles: ace.RoleRequester | ace.RoleResponder})
		if err := b.SetGrants(t.Context(), name, grants); err != nil {
			t.Fatal(err)
		}
	}
	return e, must(b.PeerByID(e.AS.ID)).Peer
}

func (b *bench) administrator(t *testing.T, name string) Peer {
	t.Helper()
	return b.peer(must(b.Enrol(t.Context(), EnrolRequest{Name: name, Audience: "gm1", Administrator: true})))
}

// tokenFor issues a token and returns its hash.
func (b *bench) tokenFor(t *testing.T, e *ace.Enrolment, audience string) ace.TokenHash {
	t.Helper()
	q := room1(ace.RoleResponder)
	q.Audience = audience
	return ace.HashToken(must(b.Issue(t.Context(), b.peer(e), q)).AccessToken)
}

func (b *bench) ends(t *testing.T, list ...ace.TokenHash) {
	t.Helper()
	for _, h := range list {
		if err := b.RevokeToken(t.Context(), h, "test"); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) query(t *testing.T, p Peer, options ...string) *trl.Response {
	t.Helper()
	r, err := b.TRL(t.Context(), p, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestList(t *testing.T) {
	t.Parallel()
	t.Run("TR-TRL-01,TR-QRY-01,TR-QRY-02 the list begins empty", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		for _, p := range []Peer{gm2, b.peer(b.sw), b.administrator(t, "admin")} {
			if r := b.query(t, p); r.Full == nil || len(r.Full) != 0 || !r.WithCursor || r.Cursor != nil {
				t.Fatalf("%v: %+v", p, r)
			}
		}
	})
	t.Run("TR-TRL-02 a hash is on it from the revocation to the end of the token", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		one, two := b.tokenFor(t, b.sw, "gm2"), b.tokenFor(t, b.sw, "gm2")
		b.ends(t, one)
		b.ends(t, one)
		if r := b.query(t, gm2); !slices.Equal(r.Full, []ace.TokenHash{one}) {
			t.Fatalf("%+v", r)
		}
		b.restart(t)
		b.clock.Advance(time.Hour)
		b.ends(t, two) // too late
		must(b.Sweep(t.Context()))
		if r := b.query(t, gm2); len(r.Full) != 0 || *r.Cursor != 1 {
			t.Fatalf("%+v", r)
		}
		r := b.query(t, gm2, "diff=0")
		if len(r.Diff) != 2 || !slices.Equal(r.Diff[0].Removed, []ace.TokenHash{one}) || len(r.Diff[0].Added) != 0 || !slices.Equal(r.Diff[1].Added, []ace.TokenHash{one}) {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("TR-TRL-13,TR-QRY-01,TR-TRL-04 each gets what pertains to it, an administrator everything", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		_, gm3 := b.remote(t, "gm3")
		admin := b.administrator(t, "admin")
		sw2, sw3, lamp2 := b.tokenFor(t, b.sw, "gm2"), b.tokenFor(t, b.sw, "gm3"), b.tokenFor(t, b.lamp, "gm2")
		b.ends(t, sw2, sw3, lamp2)
		for p, want := range map[Peer][]ace.TokenHash{
			gm2: {sw2, lamp2}, gm3: {sw3}, b.peer(b.sw): {sw2, sw3}, b.peer(b.lamp): {lamp2}, admin: {sw2, sw3, lamp2},
		} {
			if r := b.query(t, p); !slices.Equal(r.Full, want) {
				t.Errorf("%v: %v", p, r.Full)
			}
			for _, h := range []ace.TokenHash{sw2, sw3, lamp2} {
				if yes := must(b.Pertains(p, h)); yes != slices.Contains(want, h) {
					t.Errorf("%v: %v pertains: %v", p, h, yes)
				}
			}
		}
	})
	t.Run("TR-TRL-04,TR-TRL-14 nobody else may ask, nor one who was revoked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		admin := b.administrator(t, "admin")
		if err := errors.Join(b.RevokeClient(t.Context(), "admin", "left"), b.RevokeRS(t.Context(), "gm2", "gone")); err != nil {
			t.Fatal(err)
		}
		for _, p := range []Peer{{PeerClient, 99}, {PeerRS, 1}, {PeerRS, 99}, {}} {
			_, err := b.TRL(t.Context(), p, nil)
			wantErr(t, err, ErrNotFound)
		}
		for _, p := range []Peer{admin, gm2} {
			_, err := b.TRL(t.Context(), p, nil)
			wantErr(t, err, ErrDisabled)
		}
		b.ends(t, b.tokenFor(t, b.sw, "gm1"))
		if len(b.events.changed) != 2 { // the client and gm1
			t.Fatal(b.events.changed)
		}
	})
	t.Run("TR-QRY-13,TR-QRY-16 an update is an entry, and told, only for those whose part it changes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		_, gm3 := b.remote(t, "gm3")
		b.ends(t, b.tokenFor(t, b.sw, "gm2"))
		if !slices.Contains(b.events.changed, gm2) || !slices.Contains(b.events.changed, b.peer(b.sw)) || len(b.events.changed) != 2 {
			t.Fatal(b.events.changed)
		}
		for p, want := range map[Peer]int{gm2: 1, b.peer(b.sw): 1, gm3: 0, b.peer(b.lamp): 0} {
			if r := b.query(t, p, "diff=0"); len(r.Diff) != want {
				t.Errorf("%v: %+v", p, r)
			}
		}
	})
	t.Run("TR-TRL-17 several tokens that are revoked or end at once make one entry", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		for range 4 {
			b.tokenFor(t, b.sw, "gm2")
		}
		if err := b.RevokeClient(t.Context(), "switch", "lost"); err != nil {
			t.Fatal(err)
		}
		if r := b.query(t, gm2, "diff=0"); len(r.Diff) != 1 || len(r.Diff[0].Added) != 4 {
			t.Fatalf("%+v", r)
		}
		b.clock.Advance(time.Hour)
		must(b.Sweep(t.Context()))
		if r := b.query(t, gm2, "diff=1"); len(r.Diff) != 1 || len(r.Diff[0].Removed) != 4 {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("TR-QRY-03 the latest updates are kept, over restarts, and no others", func(t *testing.T) {
		t.Parallel()
		s := trl.Support{Diff: true, MaxN: 3, Cursor: true, Batch: 2, Index: 100}
		b := newBenchWith(t, func(c *Config) { c.List = &s })
		_, gm2 := b.remote(t, "gm2")
		var all []ace.TokenHash
		for range 5 {
			all = append(all, b.tokenFor(t, b.sw, "gm2"))
		}
		b.ends(t, all...)
		b.restart(t)
		r := b.query(t, gm2, "diff=0", "cursor=2")
		if len(r.Diff) != 2 || r.Diff[0].Added[0] != all[4] || r.Diff[1].Added[0] != all[3] || *r.Cursor != 4 || r.More {
			t.Fatalf("%+v", r)
		}
		if r := b.query(t, gm2, "diff=0", "cursor=0"); r.Cursor != nil || !r.More {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("TR-TRL-12 what the list does not offer is neither kept nor told at enrolment", func(t *testing.T) {
		t.Parallel()
		b := newBenchWith(t, func(c *Config) { c.List = &trl.Support{} })
		e, gm2 := b.remote(t, "gm2")
		if e.TRL.MaxN != 0 || e.TRL.MaxDiffBatch != 0 {
			t.Fatalf("%+v", e.TRL)
		}
		before := b.memory.Len()
		b.ends(t, b.tokenFor(t, b.sw, "gm2"))
		if r := b.query(t, gm2, "diff=0", "cursor=7"); len(r.Full) != 1 || r.WithCursor {
			t.Fatalf("%+v", r)
		}
		if after := b.memory.Len(); after-before != 5+2+1 { // token, issue and revocation in the log, material, list
			t.Fatal(after - before)
		}
	})
	t.Run("TR-QRY-12 at enrolment each is told where the list is and what it offers", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e, _ := b.remote(t, "gm2")
		want := ace.TRLInfo{Path: "/revoke/trl", Hash: "sha-256", MaxN: 64, MaxDiffBatch: 16}
		if *e.TRL != want || *b.sw.TRL != want {
			t.Fatalf("%+v, %+v", e.TRL, b.sw.TRL)
		}
	})
	t.Run("TR-TRL-09 a bad query is a problem of the requester", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := b.TRL(t.Context(), b.peer(b.sw), []string{"diff=x"})
		var p *trl.Problem
		if !errors.As(err, &p) || p.ID != trl.InvalidValue {
			t.Fatal(err)
		}
	})
	t.Run("TR-TRL-15 tokens do not live for long, and never longer than a bound", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, err := b.EnrolRS(t.Context(), RSRequest{Audience: "x", URI: "coap://x", Lifetime: 400 * 24 * time.Hour})
		wantErr(t, err, ErrInvalid)
		if DefaultTokenLifetime > 24*time.Hour {
			t.Fatal(DefaultTokenLifetime)
		}
	})
	t.Run("queries are bounded for each requester", func(t *testing.T) {
		t.Parallel()
		b := newBenchWith(t, func(c *Config) { c.QueryLimits = &ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 2}} })
		sw, lamp := b.peer(b.sw), b.peer(b.lamp)
		for i := range 3 {
			_, err := b.TRL(t.Context(), sw, nil)
			var e *ace.Error
			if limited := errors.As(err, &e); limited != (i == 2) || (limited && (e.Code != codes.Code(4<<5|29) || e.RetryAfter <= 0)) {
				t.Fatal(i, err)
			}
		}
		b.query(t, lamp)
		if _, err := b.Notification(t.Context(), sw, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("many tokens, requesters and administrators fit into transactions", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		var rss []Peer
		var members []string
		for _, name := range strings.Split("abcdefgh", "") {
			_, p := b.remote(t, name)
			rss, members = append(rss, p), append(members, name)
		}
		for i := range maxAdministrators {
			b.administrator(t, "admin"+string(rune('0'+i)))
		}
		_, err := b.Enrol(t.Context(), EnrolRequest{Name: "one-more", Audience: "gm1", Administrator: true})
		wantErr(t, err, ErrInvalid)
		for range 3 {
			for _, m := range members {
				b.tokenFor(t, b.sw, m)
			}
		}
		if err := b.RevokeClient(t.Context(), "switch", "lost"); err != nil {
			t.Fatal(err)
		}
		if len(b.events.revoked) != 24 {
			t.Fatal(len(b.events.revoked))
		}
		for _, p := range rss {
			if r := b.query(t, p); len(r.Full) != 3 {
				t.Fatalf("%+v", r)
			}
		}
		b.clock.Advance(time.Hour)
		if n := must(b.Sweep(t.Context())); n != 24 {
			t.Fatal(n)
		}
		for _, p := range rss {
			if r := b.query(t, p); len(r.Full) != 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

package authserver

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

func TestIntrospect(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, b *bench, p Peer, token []byte) *ace.IntrospectionResponse {
		t.Helper()
		r, err := b.Introspect(t.Context(), p, &ace.IntrospectionRequest{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	token := func(t *testing.T, b *bench, audience string) []byte {
		t.Helper()
		q := room1(ace.RoleResponder)
		q.Audience = audience
		return must(b.Issue(t.Context(), b.peer(b.sw), q)).AccessToken
	}
	t.Run("AC-054,AC-059,AC-062,AC-063,AC-126 a resource server learns the claims of a valid token, its key among them", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e, gm2 := b.remote(t, "gm2")
		tok := token(t, b, "gm2")
		for _, form := range [][]byte{tok, []byte(base64.RawURLEncoding.EncodeToString(tok))} {
			r := ask(t, b, gm2, form)
			c := must(ace.OpenToken(tok, e.Trusted[0].Key))
			if !r.Active || r.ClientID != "switch" || r.Claims.Issuer != "as" || !r.Claims.Expires.Equal(c.Expires) || string(r.Claims.ID) != string(c.ID) ||
				!r.Claims.Cnf.OSC.MasterSecret.Equal(c.Cnf.OSC.MasterSecret.Bytes()) || r.Claims.Audience[0] != "gm2" {
				t.Fatalf("%+v", r)
			}
		}
	})
	t.Run("AC-067 of a token that is unknown, expired or revoked it learns that it is not active", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		revoked, expired := token(t, b, "gm2"), token(t, b, "gm2")
		b.ends(t, ace.HashToken(revoked))
		for _, tok := range [][]byte{revoked, []byte("unknown")} {
			if r := ask(t, b, gm2, tok); r.Active || r.Claims != nil || r.ClientID != "" {
				t.Fatalf("%+v", r)
			}
		}
		if !ask(t, b, gm2, expired).Active {
			t.Fatal("not active before its end")
		}
		b.clock.Advance(time.Hour)
		if ask(t, b, gm2, expired).Active {
			t.Fatal("active after its end")
		}
	})
	t.Run("AC-056 nor does it learn anything of the tokens of others", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		_, gm3 := b.remote(t, "gm3")
		if r := ask(t, b, gm3, token(t, b, "gm2")); r.Active {
			t.Fatalf("%+v", r)
		}
		if !ask(t, b, gm2, token(t, b, "gm2")).Active {
			t.Fatal("its own")
		}
	})
	t.Run("AC-065 who is no resource server is answered 4.03 and nothing else", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		if err := b.RevokeRS(t.Context(), "gm2", "gone"); err != nil {
			t.Fatal(err)
		}
		for _, p := range []Peer{b.peer(b.sw), gm2, {PeerRS, 1}, {PeerRS, 77}, {}} {
			_, err := b.Introspect(t.Context(), p, &ace.IntrospectionRequest{Token: []byte{1}})
			var e *ace.Error
			if !errors.As(err, &e) || e.Code != codes.Forbidden || e.Payload() != nil {
				t.Errorf("%v: %v", p, err)
			}
		}
	})
	t.Run("AC-154 its questions are bounded", func(t *testing.T) {
		t.Parallel()
		b := newBenchWith(t, func(c *Config) { c.QueryLimits = &ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 1}} })
		_, gm2 := b.remote(t, "gm2")
		ask(t, b, gm2, []byte{1})
		_, err := b.Introspect(t.Context(), gm2, &ace.IntrospectionRequest{Token: []byte{1}})
		var e *ace.Error
		if !errors.As(err, &e) || e.Code != codes.Code(4<<5|29) {
			t.Fatal(err)
		}
	})
}

func TestRemoteRS(t *testing.T) {
	t.Parallel()
	t.Run("AC-055,AO-076,AC-112 it has an association of its own, whose secret is no token key", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e, gm2 := b.remote(t, "gm2")
		a := must(b.PeerByID(e.AS.ID))
		if a.Peer != gm2 || a.Name != "gm2" || !a.Params.MasterSecret.Equal(e.AS.Secret.Bytes()) || e.AS.Secret.Equal(e.Trusted[0].Key.Key.Bytes()) || a.Params.Validate() != nil {
			t.Fatalf("%+v", a)
		}
		for _, d := range []*ace.Enrolment{b.sw, b.lamp} {
			if string(d.AS.ID) == string(e.AS.ID) || d.AS.Secret.Equal(e.AS.Secret.Bytes()) {
				t.Fatal("shared with a device")
			}
		}
		if got := must(ace.ParseRSEnrolment(must(e.Marshal()))); got.Audience != "gm2" || got.IntrospectPath != "/introspect" {
			t.Fatalf("%+v", got)
		}
	})
	t.Run("a second live use of its secret is noticed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		_, gm2 := b.remote(t, "gm2")
		first := b.Began(gm2)
		b.Began(gm2)
		wantErr(t, b.Used(t.Context(), first), ErrSuperseded)
		list := must(b.ResourceServers())
		if len(b.events.alarms) != 1 || b.events.alarms[0] != "gm2" || list[1].Alarms != 1 || !list[1].Remote || list[0].Remote {
			t.Fatalf("%v, %+v", b.events.alarms, list)
		}
	})
	t.Run("it can be enrolled again and revoked", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e, gm2 := b.remote(t, "gm2")
		x := b.Began(gm2)
		again := must(b.ReenrolRS(t.Context(), "gm2"))
		if again.AS.Secret.Equal(e.AS.Secret.Bytes()) || string(again.AS.ID) != string(e.AS.ID) || !again.Trusted[0].Key.Key.Equal(e.Trusted[0].Key.Key.Bytes()) {
			t.Fatal("the same secret, or another one")
		}
		wantErr(t, b.Used(t.Context(), x), ErrSuperseded)
		for range 2 {
			if err := b.RevokeRS(t.Context(), "gm2", "gone"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.PeerByID(e.AS.ID)
		wantErr(t, err, ErrDisabled)
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		b.refused(t, b.sw, q, ace.InvalidRequest)
		must(b.ReenrolRS(t.Context(), "gm2"))
		b.issueFor(t, b.sw, q)
		_, err = b.ReenrolRS(t.Context(), "gm9")
		wantErr(t, err, ErrNotFound)
		wantErr(t, b.RevokeRS(t.Context(), "gm9", ""), ErrNotFound)
		if len(b.events.alarms) != 0 {
			t.Fatal("alarms", b.events.alarms)
		}
	})
}

// issueFor asks for a token that must be given.
func (b *bench) issueFor(t *testing.T, e *ace.Enrolment, q *ace.TokenRequest) *ace.TokenResponse {
	t.Helper()
	resp, err := b.Issue(t.Context(), b.peer(e), q)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

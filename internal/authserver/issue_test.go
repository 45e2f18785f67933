package authserver

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
)

func TestIssue(t *testing.T) {
	t.Parallel()
	t.Run("AC-029,AC-070,AC-071,AC-124,AC-144,AC-146,AO-010,AO-013,AO-022,KG-SCOPE-04,KO-SCOPE-06 a token is bound to new material, client and audience", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, c := b.issue(t, b.sw, room1(ace.RoleRequester))
		if c.Issuer != "as" || c.Subject != "switch" || len(c.Audience) != 1 || c.Audience[0] != "gm1" || c.Profile != ace.ProfileCoAPOSCORE ||
			len(c.ID) == 0 || !c.Expires.Equal(start.Truncate(time.Second).Add(time.Hour)) || resp.ExpiresIn != time.Hour {
			t.Fatalf("claims %+v", c)
		}
		in, out := c.Cnf.OSC, resp.Cnf.OSC
		if in.MasterSecret.Len() != 16 || in.Salt.Len() != 8 || !in.MasterSecret.Equal(out.MasterSecret.Bytes()) || !in.Salt.Equal(out.Salt.Bytes()) || !bytes.Equal(in.ID, out.ID) {
			t.Fatalf("material %+v, %+v", in, out)
		}
		if resp.Scope != nil || resp.Profile != 0 {
			t.Fatalf("response %+v", resp)
		}
	})
	t.Run("AC-033 ace_profile is returned when asked for", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleRequester)
		q.AskProfile = true
		if resp, _ := b.issue(t, b.sw, q); resp.Profile != ace.ProfileCoAPOSCORE {
			t.Fatalf("response %+v", resp)
		}
	})
	t.Run("AC-016 a cnonce goes into the token", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleRequester)
		q.CNonce = []byte("fresh")
		if _, c := b.issue(t, b.sw, q); string(c.CNonce) != "fresh" {
			t.Fatalf("claims %+v", c)
		}
	})
	t.Run("AC-109,AO-015,AO-018,AO-071 material is of one client and one token only", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		ids, secrets, ctis, ivs := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
		for i := range 20 {
			if i == 10 {
				b.restart(t)
			}
			e := b.sw
			if i%2 == 1 {
				e = b.lamp
			}
			resp, c := b.issue(t, e, room1(ace.RoleResponder))
			ids[string(c.Cnf.OSC.ID)], secrets[string(c.Cnf.OSC.MasterSecret.Bytes())], ctis[string(c.ID)] = true, true, true
			ivs[string(resp.AccessToken[15:28])] = true
		}
		if len(ids) != 20 || len(secrets) != 20 || len(ctis) != 20 || len(ivs) != 20 {
			t.Fatal("something was given out twice", len(ids), len(secrets), len(ctis), len(ivs))
		}
	})
	t.Run("AC-146,KG-SCOPE-03,KG-SCOPE-05,KO-SCOPE-07 the scope is returned if less was granted than asked for", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleRequester | ace.RoleMonitor)
		q.Scope = append(q.Scope, ace.ScopeEntry{Group: "vault", Roles: ace.RoleRequester})
		resp, c := b.issue(t, b.sw, q)
		want := ace.Scope{{Group: "room1", Roles: ace.RoleRequester}}
		if !resp.Scope.Equal(want) || !c.Scope.Equal(want) {
			t.Fatalf("granted %v, token %v", resp.Scope, c.Scope)
		}
	})
	t.Run("KG-SCOPE-05 without audience and scope the defaults apply", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, c := b.issue(t, b.sw, &ace.TokenRequest{GrantType: ace.GrantClientCredentials})
		want := ace.Scope{{Group: "room1", Roles: ace.RoleRequester | ace.RoleResponder}}
		if !resp.Scope.Equal(want) || !c.Scope.Equal(want) || c.Audience[0] != "gm1" {
			t.Fatalf("granted %v", resp.Scope)
		}
	})
	t.Run("AC-081,AC-107,AC-115,AC-120,AO-014 nothing in a token can be read without its key", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, c := b.issue(t, b.sw, room1(ace.RoleRequester))
		for _, inside := range [][]byte{c.Cnf.OSC.MasterSecret.Bytes(), c.Cnf.OSC.Salt.Bytes(), []byte("room1"), []byte("switch"), []byte("gm1"), c.ID} {
			if bytes.Contains(resp.AccessToken, inside) {
				t.Errorf("%q is in it", inside)
			}
		}
		other := b.gm.Key
		other.Key = secret.Hide(make([]byte, other.Key.Len()))
		if _, err := ace.OpenToken(resp.AccessToken, other); err == nil {
			t.Fatal("another key opens it")
		}
	})
	t.Run("AC-117,AC-125,AC-129,AI-003,AI-004 a token is for one audience and one key, and no rs_cnf is sent", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, c := b.issue(t, b.sw, room1(ace.RoleRequester))
		if len(c.Audience) != 1 || c.Cnf.OSC == nil || c.Cnf.KID != nil || !c.Cnf.Key.IsZero() {
			t.Fatalf("claims %+v", c)
		}
		var members map[int]cborx.RawMessage
		if err := cborx.Unmarshal(resp.Marshal(), &members); err != nil || len(members) != 3 || members[1] == nil || members[2] == nil || members[8] == nil {
			t.Fatalf("members %v, %v", members, err)
		}
	})
	t.Run("AO-015,AO-018 requests at once get material, numbers and nonces of their own", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		lamp := b.peer(b.lamp)
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				resp, err := b.Issue(context.Background(), lamp, room1(ace.RoleResponder))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				seen["id"+string(resp.Cnf.OSC.ID)] = true
				seen["counter"+string(resp.AccessToken[15:20])] = true
			})
		}
		wg.Wait()
		if len(seen) != 64 {
			t.Fatalf("%d of 64 values", len(seen))
		}
	})
	t.Run("the token opens at the resource server and makes an association", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		resp, _ := b.issue(t, b.sw, room1(ace.RoleRequester))
		rs := must(ace.NewResourceServer(ace.RSConfig{
			Audience: "gm1", Issuers: must(b.TrustedAS("gm1")), Clock: b.clock, Rand: bytes.NewReader(make([]byte, 64)),
			AllocateID: func([]byte) ([]byte, error) { return []byte{7}, nil }, Revoked: b.TokenRevoked,
		}, nopStore{}))
		q := &ace.AuthzInfoRequest{AccessToken: resp.AccessToken, Nonce1: []byte("12345678"), RecipientID: []byte{1}}
		p := must(rs.PostToken(context.Background(), netip.Addr{}, q.Marshal()))
		if p.Token.Client != "switch" || !p.Params.MasterSecret.Equal(resp.Cnf.OSC.MasterSecret.Bytes()) {
			t.Fatalf("token %+v", p.Token)
		}
		if err := b.RevokeToken(context.Background(), p.Token.Hash, "test"); err != nil {
			t.Fatal(err)
		}
		if _, err := rs.PostToken(context.Background(), netip.Addr{}, q.Marshal()); err == nil {
			t.Fatal("a revoked token was accepted")
		}
	})
}

type nopStore struct{}

func (nopStore) Confirm(context.Context, *ace.Association) ([]uint64, error) { return nil, nil }
func (nopStore) ReplaceToken(context.Context, uint64, *ace.Token) error      { return nil }

func TestRefusals(t *testing.T) {
	t.Parallel()
	t.Run("AC-021,AC-040,AC-042 what is not granted is denied", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.refused(t, b.lamp, room1(ace.RoleRequester), ace.InvalidScope)
		q := room1(ace.RoleResponder)
		q.Scope[0].Group = "room2"
		b.refused(t, b.lamp, q, ace.InvalidScope)
		q.Scope = ace.Scope{}
		b.refused(t, b.lamp, q, ace.InvalidScope)
		q.Scope = ace.Scope{{AdminName: "\xf5", Roles: 1}}
		b.refused(t, b.lamp, q, ace.InvalidScope)
	})
	t.Run("AC-144 an audience that is not registered is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleResponder)
		q.Audience = "gm2"
		b.refused(t, b.lamp, q, ace.InvalidRequest)
	})
	t.Run("AC-044 another profile is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleResponder)
		q.Profile = ace.ProfileCoAPDTLS
		b.refused(t, b.lamp, q, ace.IncompatibleACEProfiles)
	})
	t.Run("AC-045 another grant type is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleResponder)
		q.GrantType = ace.GrantRefreshToken
		b.refused(t, b.lamp, q, ace.UnsupportedGrantType)
	})
	t.Run("AC-031 no refresh token is given out or taken, so that none gets a token of another key or audience", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		must(b.RegisterRS(t.Context(), RSRequest{Audience: "gm2", URI: "coap://x"}))
		resp, claims := b.issue(t, b.lamp, room1(ace.RoleResponder))
		var members map[int64]any
		if err := cborx.Unmarshal(resp.Marshal(), &members); err != nil {
			t.Fatal(err)
		}
		const refreshToken = 37
		if _, there := members[refreshToken]; there || members[1] == nil {
			t.Fatalf("%v", members)
		}
		for _, q := range []*ace.TokenRequest{
			{ReqCnf: &ace.Confirmation{KID: claims.Cnf.OSC.ID}}, {Audience: "gm2"}, {Audience: "gm2", ReqCnf: &ace.Confirmation{KID: claims.Cnf.OSC.ID}},
		} {
			q.GrantType = ace.GrantRefreshToken
			b.refused(t, b.lamp, q, ace.UnsupportedGrantType)
		}
	})
	t.Run("AC-028,AC-043,AC-122 a key of the client's own is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		q := room1(ace.RoleResponder)
		q.ReqCnf = &ace.Confirmation{Key: secret.Hide([]byte{0xa1, 0x01, 0x01})}
		b.refused(t, b.lamp, q, ace.UnsupportedPoPKey)
		q.ReqCnf = &ace.Confirmation{Key: secret.Hide([]byte{0xa2, 0x01, 0x04, 0x20, 0x41, 0x00})}
		b.refused(t, b.lamp, q, ace.UnsupportedPoPKey)
		q.ReqCnf = &ace.Confirmation{OSC: &ace.OSCOREInputMaterial{}}
		b.refused(t, b.lamp, q, ace.InvalidRequest)
	})
	t.Run("AC-019 a client that is not enrolled, or no longer, is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		lamp := b.peer(b.lamp)
		if err := b.RevokeClient(context.Background(), "lamp", "lost"); err != nil {
			t.Fatal(err)
		}
		for _, n := range []Peer{lamp, {PeerClient, 99}, {PeerClient, 0}} {
			_, err := b.Issue(context.Background(), n, room1(ace.RoleResponder))
			var refusal *ace.Error
			if !errors.As(err, &refusal) || refusal.Code != codes.Unauthorized || refusal.Number != ace.InvalidClient {
				t.Fatal(err)
			}
		}
	})
	t.Run("AC-039 a request that cannot be read is refused by its kind", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for in, want := range map[string]ace.ErrorCode{"\x80": ace.InvalidRequest, "\xa1\x09\x61a": ace.InvalidScope} {
			_, err := ace.ParseTokenRequest([]byte(in))
			e, err := b.Refuse(context.Background(), b.peer(b.lamp), "lamp", err)
			if err != nil || e.Number != want || e.Code != codes.BadRequest {
				t.Fatal(e, err)
			}
		}
	})
	t.Run("requests that cannot be read count for whether a client asks too often, and cost no record then", func(t *testing.T) {
		t.Parallel()
		b := newBenchWith(t, func(c *Config) { c.TokenLimits = nil })
		_, err := ace.ParseTokenRequest(nil)
		burst := defaultTokenLimits().PerKey.Burst
		for i := range int(burst) + 50 {
			e, rerr := b.Refuse(t.Context(), b.peer(b.lamp), "lamp", err)
			if rerr != nil || (i < int(burst)) != (e.Code == codes.BadRequest) {
				t.Fatal(i, e, rerr)
			}
			if i >= int(burst) && (e.Code != codeTooManyRequests || e.RetryAfter <= 0) {
				t.Fatal(i, e)
			}
		}
		n := 0
		for _, record := range b.log(t) {
			if strings.Contains(record, `"token.refused"`) {
				n++
			}
		}
		if n != int(burst) {
			t.Fatalf("%d records", n)
		}
		_, err = b.Issue(t.Context(), b.peer(b.lamp), room1(ace.RoleResponder))
		var e *ace.Error
		if !errors.As(err, &e) || e.Code != codeTooManyRequests {
			t.Fatal(err)
		}
	})
	t.Run("a refusal writes nothing but its audit record", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		before := b.memory.Len()
		b.refused(t, b.lamp, room1(ace.RoleRequester), ace.InvalidScope)
		if after := b.memory.Len(); after != before+1 {
			t.Fatalf("%d records more", after-before)
		}
		if list := must(b.Tokens(ace.TokenHash{}, 10)); len(list) != 0 {
			t.Fatalf("tokens %v", list)
		}
	})
}

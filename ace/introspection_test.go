package ace

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/ratelimit"
)

func TestIntrospectionMessages(t *testing.T) {
	t.Parallel()
	t.Run("AC-058,AC-068,AC-002 a request is a map of the token under its key", func(t *testing.T) {
		t.Parallel()
		q := &IntrospectionRequest{Token: []byte{1, 2}}
		wantBytes(t, q.Marshal(), "a1 0b 42 0102")
		if got := must(ParseIntrospectionRequest(q.Marshal())); !bytes.Equal(got.Token, q.Token) {
			t.Fatal(got)
		}
	})
	t.Run("AC-069,AC-058 a token_type_hint is text or an integer, and other parameters are skipped", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"a2 0b 41 01 1821 61 61", "a2 0b 41 01 1821 02", "a3 0b 41 01 1821 02 1903e8 f6"} {
			if _, err := ParseIntrospectionRequest(unhex(in)); err != nil {
				t.Error(in, err)
			}
		}
		for _, in := range []string{"", "a0", "80", "a1 0b 61 61", "a1 0b 40", "a2 0b 41 01 1821 41 00"} {
			_, err := ParseIntrospectionRequest(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
	t.Run("AC-067,AC-059 of a token that is not active nothing else is said", func(t *testing.T) {
		t.Parallel()
		p := &IntrospectionResponse{Claims: &Claims{Issuer: "x"}}
		wantBytes(t, p.Marshal(), "a1 0a f4")
		if got := must(ParseIntrospectionResponse(unhex("a2 0a f4 01 61 78"))); got.Active || got.Claims != nil {
			t.Fatal(got)
		}
	})
	t.Run("AC-059,AC-063,AC-062,AC-068,AC-069,AC-126 a response has the claims under their keys", func(t *testing.T) {
		t.Parallel()
		m := vectorMaterial()
		p := &IntrospectionResponse{Active: true, ClientID: "c", Username: "u", Claims: &Claims{
			Issuer: "as", Subject: "switch", Audience: []string{"gm1"}, Expires: time.Unix(9, 0), NotBefore: time.Unix(5, 0), IssuedAt: time.Unix(6, 0),
			ID: []byte{7}, Scope: Scope{}, Profile: ProfileCoAPOSCORE, CNonce: []byte{8}, Exi: 60, Cnf: &Confirmation{OSC: &m},
		}}
		got := p.Marshal()
		for _, member := range []string{
			"01 62 6173", "02 66 737769746368", "03 63 676d31", "04 09", "05 05", "06 06", "07 41 07", "09 41 80", "0a f5", "1818 61 63", "1823 61 75", "1826 02", "1827 41 08", "1828 183c",
		} {
			if !bytes.Contains(got, unhex(member)) {
				t.Errorf("%s is not in %x", member, got)
			}
		}
		back := must(ParseIntrospectionResponse(got))
		if !back.Active || back.ClientID != "c" || back.Username != "u" || back.Claims.Exi != 60 || !bytes.Equal(back.Marshal(), got) {
			t.Fatalf("%+v", back)
		}
	})
	t.Run("AC-126 an active token without cnf, and one of another type, are refused", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"", "a0", "a1 0a f5", "a1 0a 01", "a2 01 61 78 08 a1 03 41 01", "a3 08 a1 03 41 01 0a f5 1822 01"} {
			_, err := ParseIntrospectionResponse(unhex(in))
			wantErr(t, err, ErrMalformed)
		}
		if p := must(ParseIntrospectionResponse(unhex("a2 08 a1 03 41 01 0a f5"))); string(p.Claims.Cnf.KID) != "\x01" {
			t.Fatal(p)
		}
	})
	t.Run("AC-066 errors have the keys 30, 31 and 32 and integer codes", func(t *testing.T) {
		t.Parallel()
		e := &Error{Code: codes.Unauthorized, Number: InvalidClient, Description: "a", URI: "b"}
		wantBytes(t, e.Payload(), "a3 181e 02 181f 61 61 1820 61 62")
		if got := must(ParseError(codes.Unauthorized, e.Payload())); got.Number != InvalidClient || got.Description != "a" || got.URI != "b" {
			t.Fatal(got)
		}
	})
}

// asked is an Introspector for tests.
type asked struct {
	say   func(token []byte) (*IntrospectionResponse, error)
	calls int
}

func (a *asked) Introspect(_ context.Context, issuer string, token []byte) (*IntrospectionResponse, error) {
	a.calls++
	if issuer != "coap://as.example.com" {
		return nil, errors.New("whom?")
	}
	p, err := a.say(token)
	if p == nil {
		return nil, err
	}
	return ParseIntrospectionResponse(p.Marshal())
}

// introspected is a bench whose issuer is asked, or gives out references.
func introspected(t *testing.T, references bool, say func([]byte) (*IntrospectionResponse, error), change func(*RSConfig)) (*bench, *asked) {
	t.Helper()
	a := &asked{say: say}
	return newBench(t, func(c *RSConfig) {
		c.Issuers[0].Introspect, c.Issuers[0].References = !references, references
		c.Introspector = a
		if change != nil {
			change(c)
		}
	}), a
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	m := vectorMaterial()
	good := func() *Claims {
		return &Claims{
			Issuer: "coap://as.example.com", Subject: "switch", Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Minute),
			Scope: Scope{{Group: "g1", Roles: RoleMonitor}}, Cnf: &Confirmation{OSC: &m},
		}
	}
	active := func([]byte) (*IntrospectionResponse, error) {
		return &IntrospectionResponse{Active: true, Claims: good()}, nil
	}
	t.Run("AC-078 the issuer is asked before the post is answered", func(t *testing.T) {
		t.Parallel()
		b, a := introspected(t, false, active, nil)
		p := must(b.PostToken(t.Context(), here, post(b.token(nil))))
		if a.calls != 1 || !p.Token.Expires.Equal(exampleTime.Add(time.Minute)) {
			t.Fatal(a.calls, p.Token)
		}
	})
	t.Run("AC-119 without an answer no token is taken", func(t *testing.T) {
		t.Parallel()
		b, _ := introspected(t, false, func([]byte) (*IntrospectionResponse, error) { return nil, context.DeadlineExceeded }, nil)
		err := b.judged(b.token(nil))
		wantCode(t, err, codes.ServiceUnavailable)
		wantErr(t, err, ErrIntrospection)
		if b.PendingCount() != 0 {
			t.Fatal("pending")
		}
		b.SetIssuers([]TrustedAS{{Issuer: "coap://as.example.com", Key: exampleKey(), Introspect: true}})
		b.cfg.Introspector = nil
		wantCode(t, b.judged(b.token(nil)), codes.ServiceUnavailable)
	})
	t.Run("AC-067 a token that is not active is answered 4.01", func(t *testing.T) {
		t.Parallel()
		b, _ := introspected(t, false, func([]byte) (*IntrospectionResponse, error) { return &IntrospectionResponse{}, nil }, nil)
		wantCode(t, b.judged(b.token(nil)), codes.Unauthorized)
	})
	t.Run("AC-060 a profile that introspection names is the one to use", func(t *testing.T) {
		t.Parallel()
		for profile, want := range map[Profile]bool{ProfileCoAPOSCORE: true, ProfileCoAPDTLS: false, 0: true} {
			b, _ := introspected(t, false, func([]byte) (*IntrospectionResponse, error) {
				c := good()
				c.Profile = profile
				return &IntrospectionResponse{Active: true, Claims: c}, nil
			}, nil)
			err := b.judged(b.token(nil))
			if (err == nil) != want {
				t.Errorf("%d: %v", profile, err)
			}
			if err != nil {
				wantCode(t, err, codes.BadRequest)
			}
		}
	})
	t.Run("AC-061 a client-nonce that introspection returns has to be one that was given out", func(t *testing.T) {
		t.Parallel()
		var fresh, said []byte
		b, _ := introspected(t, false, func([]byte) (*IntrospectionResponse, error) {
			c := good()
			c.CNonce = said
			return &IntrospectionResponse{Active: true, Claims: c}, nil
		}, func(c *RSConfig) {
			c.CNonces = must(NewClientNonces(c.Clock, c.Rand, 0))
			fresh = must(c.CNonces.New())
		})
		with := func(c *Claims) { c.CNonce = fresh }
		said = []byte("another")
		wantCode(t, b.judged(b.token(with)), codes.Unauthorized)
		said = fresh
		if err := b.judged(b.token(with)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-154 introspections are bounded for each source and in all, and only for tokens that are authentic", func(t *testing.T) {
		t.Parallel()
		b, a := introspected(t, false, active, func(c *RSConfig) {
			c.IntrospectLimits = ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1, Burst: 2}, Total: ratelimit.Rate{PerSecond: 1, Burst: 3}}
		})
		bad := b.token(nil)
		bad[len(bad)-1] ^= 1
		for range 10 {
			wantCode(t, b.judged(bad), codes.Unauthorized)
		}
		if a.calls != 0 {
			t.Fatal("asked about a forgery")
		}
		var e *Error
		for i := range 5 {
			if err := b.judged(b.token(nil)); (err == nil) != (i < 2) {
				t.Fatal(i, err)
			} else if err != nil && (!errors.As(err, &e) || e.Code != codeTooManyRequests || e.RetryAfter <= 0) {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			from := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			if _, err := b.PostToken(t.Context(), from, post(b.token(nil))); (err == nil) != (i < 1) {
				t.Fatal(i, err)
			}
		}
		b.clock.Advance(time.Second)
		if err := b.judged(b.token(nil)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("AC-115,AC-084 a reference is worth what its issuer says of it", func(t *testing.T) {
		t.Parallel()
		claims := good()
		b, a := introspected(t, true, func(token []byte) (*IntrospectionResponse, error) {
			if string(token) != "ref" {
				return &IntrospectionResponse{}, nil
			}
			return &IntrospectionResponse{Active: true, Claims: claims}, nil
		}, nil)
		p := must(b.PostToken(t.Context(), here, post([]byte("ref"))))
		if p.Token.Hash != HashToken([]byte("ref")) || p.Token.Client != "switch" || !p.Params.MasterSecret.Equal(m.MasterSecret.Bytes()) {
			t.Fatalf("%+v", p.Token)
		}
		wantCode(t, b.judged([]byte("other")), codes.Unauthorized)
		calls := a.calls
		if err := b.judged(b.token(nil)); err != nil || a.calls != calls {
			t.Fatal("asked about a token that opens", err)
		}
		b.revoked[HashToken([]byte("ref"))] = true
		wantCode(t, b.judged([]byte("ref")), codes.Unauthorized)
		delete(b.revoked, HashToken([]byte("ref")))
		claims.Audience = []string{"gm2"}
		wantCode(t, b.judged([]byte("ref")), codes.Forbidden)
		claims.Audience, claims.Exi = []string{"gm1"}, 60
		wantCode(t, b.judged([]byte("ref")), codes.BadRequest)
	})
	t.Run("the configuration needs something to ask with", func(t *testing.T) {
		t.Parallel()
		cfg := newBench(t, nil).cfg
		cfg.Issuers[0].Introspect = true
		if _, err := NewResourceServer(cfg, &memoryStore{}); err == nil || !strings.Contains(err.Error(), "introspect") {
			t.Fatal(err)
		}
	})
}

func FuzzParseIntrospectionRequest(f *testing.F) {
	fuzzObject(f, ParseIntrospectionRequest, (*IntrospectionRequest).Marshal, []error{ErrMalformed}, unhex("a1 0b 42 0102"), unhex("a2 0b 41 01 1821 02"))
}

func FuzzParseIntrospectionResponse(f *testing.F) {
	m := vectorMaterial()
	p := &IntrospectionResponse{Active: true, ClientID: "c", Claims: &Claims{Issuer: "as", Scope: Scope{}, Exi: 5, Cnf: &Confirmation{OSC: &m}}}
	fuzzObject(f, ParseIntrospectionResponse, (*IntrospectionResponse).Marshal, []error{ErrMalformed, ErrScope, ErrInputMaterial},
		p.Marshal(), unhex("a1 0a f4"))
}

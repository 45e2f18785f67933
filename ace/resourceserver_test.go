package ace

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/clock"
)

// here is where posts come from in tests.
var here = netip.MustParseAddr("192.0.2.9")

// exampleTime lies within the lifetime of the example token.
var exampleTime = time.Unix(1767225700, 0)

// memoryStore is a TokenStore for tests: one association for each token.
type memoryStore struct {
	next  uint64
	assoc map[uint64]*Association
	fail  error
}

func (m *memoryStore) Confirm(_ context.Context, a *Association) (superseded []uint64, err error) {
	if m.fail != nil {
		return nil, m.fail
	}
	for n, old := range m.assoc {
		if old.Token.Hash == a.Token.Hash || (a.Token.Client != "" && old.Token.Client == a.Token.Client) {
			superseded = append(superseded, n)
			delete(m.assoc, n)
		}
	}
	m.next++
	a.Number, a.Token.ID = m.next, m.next
	m.assoc[a.Number] = a
	return superseded, nil
}

func (m *memoryStore) ReplaceToken(_ context.Context, n uint64, t *Token) error {
	if m.fail != nil {
		return m.fail
	}
	m.assoc[n].Token = *t
	return nil
}

// bench is a resource server for tests.
type bench struct {
	*ResourceServer
	clock   *clock.Fake
	store   *memoryStore
	ids     byte
	dropped []*Pending
	revoked map[TokenHash]bool
	mu      sync.Mutex
	seen    []SeenToken
	iv      byte
}

func newBench(t *testing.T, change func(*RSConfig)) *bench {
	t.Helper()
	b := &bench{clock: clock.NewFake(exampleTime), store: &memoryStore{assoc: map[uint64]*Association{}}, revoked: map[TokenHash]bool{}}
	cfg := RSConfig{
		Audience: "gm1",
		Issuers:  []TrustedAS{{Issuer: "coap://as.example.com", Key: exampleKey()}},
		AllocateID: func(avoid []byte) ([]byte, error) {
			b.ids++
			if bytes.Equal(avoid, []byte{b.ids}) {
				b.ids++
			}
			return []byte{b.ids}, nil
		},
		Clock:   b.clock,
		Rand:    rand.Reader,
		Revoked: func(h TokenHash) bool { return b.revoked[h] },
		Seen: func(v SeenToken) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.seen = append(b.seen, v)
		},
		Dropped: func(p *Pending) { b.dropped = append(b.dropped, p) },
	}
	if change != nil {
		change(&cfg)
	}
	b.ResourceServer = must(NewResourceServer(cfg, b.store))
	return b
}

// token seals claims that are good but for what change does to them.
func (b *bench) token(change func(*Claims)) []byte {
	m := vectorMaterial()
	c := &Claims{
		Issuer: "coap://as.example.com", Subject: "switch", Audience: []string{"gm1"}, Expires: exampleTime.Add(time.Hour),
		Scope: Scope{{Group: "g1", Roles: RoleRequester}}, Cnf: &Confirmation{OSC: &m},
	}
	if change != nil {
		change(c)
	}
	b.iv++
	return must(SealToken(exampleKey(), append(make([]byte, 12), b.iv), c))
}

func post(token []byte) []byte {
	return (&AuthzInfoRequest{AccessToken: token, Nonce1: vectorN1, RecipientID: vectorID1}).Marshal()
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != want {
		t.Fatalf("error %v, want code %v", err, want)
	}
}

func TestPostToken(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("AO-035,AO-037,AO-040,AO-051,AO-055,AC-074 a valid token makes a pending association", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		p := must(b.PostToken(ctx, here, post(unhex(exampleToken))))
		r := must(ParseAuthzInfoResponse(p.Response))
		if len(r.Nonce2) != 8 || !bytes.Equal(p.Params.SenderID, vectorID1) || !bytes.Equal(p.Params.RecipientID, r.RecipientID) {
			t.Fatalf("pending %+v, response %+v", p, r)
		}
		c := must(vectorMaterial().ClientContext(vectorN1, r.Nonce2, vectorID1, r.RecipientID))
		if !c.MasterSalt.Equal(p.Params.MasterSalt) || !c.MasterSecret.Equal(p.Params.MasterSecret) {
			t.Fatal("the two sides derive different contexts")
		}
		if b.PendingCount() != 1 || len(b.store.assoc) != 0 {
			t.Fatal("an association was stored before it was confirmed")
		}
	})
	t.Run("AO-029,AO-068 the same token posted again gives fresh nonces", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		one := must(ParseAuthzInfoResponse(must(b.PostToken(ctx, here, post(unhex(exampleToken)))).Response))
		two := must(ParseAuthzInfoResponse(must(b.PostToken(ctx, here, post(unhex(exampleToken)))).Response))
		if bytes.Equal(one.Nonce2, two.Nonce2) || bytes.Equal(one.RecipientID, two.RecipientID) || bytes.Equal(one.Challenge, two.Challenge) {
			t.Fatal("something repeats")
		}
	})
	t.Run("AO-038,AO-039 the identifier differs from the client's", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		q := &AuthzInfoRequest{AccessToken: unhex(exampleToken), Nonce1: vectorN1, RecipientID: []byte{1}}
		if p := must(b.PostToken(ctx, here, q.Marshal())); bytes.Equal(p.Params.RecipientID, []byte{1}) {
			t.Fatal("both have the same")
		}
		careless := newBench(t, func(c *RSConfig) { c.AllocateID = func([]byte) ([]byte, error) { return []byte{1}, nil } })
		_, err := careless.PostToken(ctx, here, q.Marshal())
		wantErr(t, err, ErrIdentifier)
		if len(careless.dropped) != 1 {
			t.Fatal("the identifier was not given back")
		}
	})
	t.Run("KG-TOK-04,KO-TOK-02,KO-TOK-03 a challenge is given if a role needs one", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		p := must(b.PostToken(ctx, here, post(b.token(nil))))
		if r := must(ParseAuthzInfoResponse(p.Response)); len(r.Challenge) != 8 || !bytes.Equal(r.Challenge, p.Token.Challenge) {
			t.Fatalf("challenge %x", r.Challenge)
		}
		p = must(b.PostToken(ctx, here, post(b.token(func(c *Claims) { c.Scope[0].Roles = RoleMonitor | RoleVerifier }))))
		if r := must(ParseAuthzInfoResponse(p.Response)); r.Challenge != nil || p.Token.Challenge != nil {
			t.Fatalf("challenge %x", r.Challenge)
		}
	})
	t.Run("KG-TOK-08,KO-TOK-08,KO-TOK-09 what the client asked for is described", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) {
			c.Describe = func(_ context.Context, tok *Token, q *AuthzInfoRequest, p *AuthzInfoResponse) error {
				if tok.Scope.Group("g1") == 0 || !q.WantSignInfo || !q.WantECDHInfo || !q.WantKDCDHCreds {
					return fmt.Errorf("token %v, request %+v", tok.Scope, q)
				}
				p.SignInfo, p.ECDHInfo, p.KDCDHCreds = unhex("8101"), unhex("8102"), unhex("8103")
				return nil
			}
		})
		q := &AuthzInfoRequest{AccessToken: b.token(nil), Nonce1: vectorN1, RecipientID: vectorID1, WantSignInfo: true, WantECDHInfo: true, WantKDCDHCreds: true}
		r := must(ParseAuthzInfoResponse(must(b.PostToken(ctx, here, q.Marshal())).Response))
		wantBytes(t, r.SignInfo, "8101")
		wantBytes(t, r.ECDHInfo, "8102")
		wantBytes(t, r.KDCDHCreds, "8103")
		_, err := b.PostToken(ctx, here, post(b.token(nil)))
		wantCode(t, err, codes.InternalServerError)
		if b.PendingCount() != 1 || len(b.dropped) != 1 {
			t.Fatal("the failed association is still pending")
		}
	})
	t.Run("AO-036 an identifier too long for the nonce is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		q := &AuthzInfoRequest{AccessToken: b.token(nil), Nonce1: vectorN1, RecipientID: make([]byte, 8)}
		_, err := b.PostToken(ctx, here, q.Marshal())
		wantCode(t, err, codes.BadRequest)
		if b.ids != 0 {
			t.Fatal("an identifier was drawn for it")
		}
	})
}

func TestRSConfig(t *testing.T) {
	t.Parallel()
	t.Run("all faults of a configuration are named at once", func(t *testing.T) {
		t.Parallel()
		_, err := NewResourceServer(RSConfig{Issuers: []TrustedAS{{Key: TokenKey{Alg: 99}}, {Issuer: "x", Key: TokenKey{Alg: 10}}}, MaxPending: -1}, &memoryStore{})
		if err == nil {
			t.Fatal("accepted")
		}
		if n := bytes.Count([]byte(err.Error()), []byte("\n")); n != 7 {
			t.Fatalf("%d faults: %v", n+1, err)
		}
	})
	t.Run("a store is needed", func(t *testing.T) {
		t.Parallel()
		cfg := newBench(t, nil).cfg
		if _, err := NewResourceServer(cfg, nil); err == nil {
			t.Fatal("accepted")
		}
	})
}

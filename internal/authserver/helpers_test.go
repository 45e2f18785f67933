package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/ratelimit"
	"github.com/cohort-iot/cohort/keystore"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

// must takes the results of a call that cannot fail in this test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want one that wraps %q", err, want)
	}
}

// events keeps what it is told.
type events struct {
	alarms  []string
	revoked []ace.TokenHash
	changed []Peer
}

func (e *events) SecretInUseTwice(client string)  { e.alarms = append(e.alarms, client) }
func (e *events) TokenRevoked(hash ace.TokenHash) { e.revoked = append(e.revoked, hash) }

func (e *events) ListChanged(list []Peer) { e.changed = append(e.changed, list...) }

// bench is an Authorization Server for tests, with resource server gm1 and two devices.
type bench struct {
	*Service
	clock    *clock.Fake
	events   *events
	memory   *keystore.Memory
	keys     *keystore.Store
	change   func(*Config)
	gm       ace.TrustedAS
	sw, lamp *ace.Enrolment
}

func newBench(t *testing.T) *bench { return newBenchWith(t, nil) }

func newBenchWith(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	b := &bench{clock: clock.NewFake(start), events: &events{}, memory: keystore.NewMemory(), change: change}
	b.open(t)
	ctx := context.Background()
	b.gm = must(b.RegisterRS(ctx, RSRequest{Audience: "gm1", URI: "coap://127.0.0.1:5683", Lifetime: time.Hour}))
	b.sw = must(b.Enrol(ctx, EnrolRequest{Name: "switch", Audience: "gm1", Grants: []Grant{
		{Audience: "gm1", Group: "room1", Roles: ace.RoleRequester | ace.RoleResponder},
		{Audience: "gm1", Pattern: "hall-*", Roles: ace.RoleMonitor},
	}}))
	b.lamp = must(b.Enrol(ctx, EnrolRequest{Name: "lamp", Audience: "gm1", Grants: []Grant{{Audience: "gm1", Group: "room1", Roles: ace.RoleResponder}}}))
	return b
}

// config bounds nothing, unless change says so.
func (b *bench) config() Config {
	c := Config{
		Issuer: "as", TokenURI: "coap://127.0.0.1/token", Events: b.events, ListChanged: b.events.ListChanged, Clock: b.clock, Rand: rand.Reader,
		TokenLimits: &ratelimit.Limits{}, QueryLimits: &ratelimit.Limits{},
	}
	if b.change != nil {
		b.change(&c)
	}
	return c
}

// open opens the store, again after a restart.
func (b *bench) open(t *testing.T) {
	t.Helper()
	b.keys = must(keystore.Open(b.memory, keystore.Options{DataKey: make([]byte, keystore.DataKeySize)}))
	b.Service = must(New(b.config(), b.keys))
}

func (b *bench) restart(t *testing.T) {
	t.Helper()
	if err := b.keys.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t)
}

func (b *bench) peer(e *ace.Enrolment) Peer { return must(b.PeerByID(e.AS.ID)).Peer }

func room1(r ace.Roles) *ace.TokenRequest {
	return &ace.TokenRequest{Audience: "gm1", Scope: ace.Scope{{Group: "room1", Roles: r}}, GrantType: ace.GrantClientCredentials}
}

// issue asks for a token that must be given, and opens it.
func (b *bench) issue(t *testing.T, e *ace.Enrolment, q *ace.TokenRequest) (*ace.TokenResponse, *ace.Claims) {
	t.Helper()
	resp, err := b.Issue(context.Background(), b.peer(e), q)
	if err != nil {
		t.Fatal(err)
	}
	return resp, must(ace.OpenToken(resp.AccessToken, b.gm.Key))
}

// refused asks for a token that must not be given.
func (b *bench) refused(t *testing.T, e *ace.Enrolment, q *ace.TokenRequest, want ace.ErrorCode) {
	t.Helper()
	before := len(b.log(t))
	resp, err := b.Issue(context.Background(), b.peer(e), q)
	var refusal *ace.Error
	if !errors.As(err, &refusal) || refusal.Number != want || refusal.Code != codes.BadRequest || resp != nil {
		t.Fatalf("error %v, want %v", err, want)
	}
	if log := b.log(t); len(log) != before+1 || !strings.Contains(log[before], `"token.refused"`) {
		t.Fatal("the refusal is not in the audit log")
	}
}

// log returns the audit records.
func (b *bench) log(t *testing.T) []string {
	t.Helper()
	var log []string
	err := b.keys.AuditScan(0, func(_ uint64, record []byte) error {
		log = append(log, string(record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

package manager

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/oscore"
)

// BenchmarkJoin measures the domain's part of a join over a store in memory.
func BenchmarkJoin(b *testing.B) {
	st, err := keystore.Open(keystore.NewMemory(), keystore.Options{DataKey: dataKey})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	s, err := New(st, Options{Clock: clock.NewFake(start), Rand: rand.Reader, SweepInterval: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	if err := s.Start(ctx); err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	if _, err := s.CreateGroup(ctx, GroupSpec{Name: "g1", Active: true, Config: GroupConfig{MaxMembers: 1 << 30}}); err != nil {
		b.Fatal(err)
	}
	key, _ := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	cred, _ := cose.NewCCS("bench", key.Public())
	ns, nc := []byte("12345678"), []byte("87654321")
	q := &groupcomm.JoinRequest{Entry: entry("g1", responder), Nonce: nc, Credential: cred.Bytes()}
	q.Scope = groupcomm.EncodeScope(q.Entry)
	if q.Evidence, err = groupcomm.SignEvidence(key, cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, ns, nc)); err != nil {
		b.Fatal(err)
	}
	payload := q.Marshal()
	callers := make([]Caller, b.N)
	for i := range callers {
		a := &ace.Association{
			Token:  ace.Token{Hash: ace.TokenHash{byte(i), byte(i >> 8), byte(i >> 16), 1}, Issuer: "as", Client: fmt.Sprint(i), Scope: ace.Scope{q.Entry}, Expires: start.Add(24 * time.Hour), Challenge: ns},
			Params: oscore.Params{MasterSecret: ns, SenderID: []byte{1}, RecipientID: []byte{2}},
		}
		if _, err := s.Confirm(ctx, a); err != nil {
			b.Fatal(err)
		}
		c, err := s.ClientOf(a.Number)
		if err != nil {
			b.Fatal(err)
		}
		callers[i] = Caller{Client: c, Association: a.Number, Addr: deviceAddr}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, c := range callers {
		if _, err := s.Join(ctx, c, "g1", payload); err != nil {
			b.Fatal(err)
		}
	}
}

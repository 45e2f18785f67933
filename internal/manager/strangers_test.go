package manager

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/keystore"
)

// proofCount counts verifications of proofs of possession.
type proofCount struct {
	nopMeter
	held, failed atomic.Int64
}

func (p *proofCount) Proved(ok bool) {
	if ok {
		p.held.Add(1)
	} else {
		p.failed.Add(1)
	}
}

func (p *proofCount) all() int64 { return p.held.Load() + p.failed.Load() }

// effectCount counts the transactions that are asked of a store.
type effectCount struct {
	Store
	n atomic.Int64
}

func (e *effectCount) Update(ctx context.Context, fn func(tx *keystore.Tx) error) error {
	e.n.Add(1)
	return e.Store.Update(ctx, fn)
}

// TestGarbageCostsNothing counts what ten thousand bad joins cost, in
// verifications and in transactions.
func TestGarbageCostsNothing(t *testing.T) {
	t.Parallel()
	proofs := &proofCount{}
	w := newWorld(t, func(o *Options) { o.Meter = proofs })
	w.Stop()
	effects := &effectCount{Store: w.store}
	s, err := New(effects, Options{Clock: w.clock, Rand: rand.Reader, Meter: proofs, OnRestart: RestartKeep, KeepAssociations: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	w.Service = s
	w.group("g1", nil)
	w.group("g2", nil)
	ctx := context.Background()
	member := w.device("member", cose.CurveEd25519, entry("g1", requester|responder))
	elsewhere := w.device("elsewhere", cose.CurveEd25519, entry("g2", responder))
	checker := w.device("checker", cose.CurveEd25519, entry("g1", verifier))
	late := w.device("late", cose.CurveEd25519)
	late.post(time.Minute, entry("g1", responder))
	good := member.request("g1", responder, nil)
	asLate := late.request("g1", responder, nil)
	w.clock.Advance(2 * time.Minute)
	eventually(t, "the token that expired is off the books", func() bool {
		w.clock.Advance(time.Second) // until the sweep notices
		left := 0
		err := w.view(func(r reader) error {
			return r.Scan(nameExpiries(), func(keystore.Name, []byte) error { left++; return nil })
		})
		return err == nil && left == 4 // its first entry in the list of expiries stays
	})
	const times = 2500

	// settle waits until what came before has written all it writes.
	settle := func() {
		var seen int64
		quiet := 0
		eventually(t, "quiet", func() bool {
			if n := effects.n.Load(); n != seen {
				seen, quiet = n, 0
			}
			quiet++
			return quiet == 50
		})
	}
	flood := func(t *testing.T, c Caller, payload []byte, want Kind) (proved, stored int64) {
		t.Helper()
		settle()
		p, e := proofs.all(), effects.n.Load()
		for range times {
			_, err := w.Join(ctx, c, "g1", payload)
			wantKind(t, err, want)
		}
		return proofs.all() - p, effects.n.Load() - e
	}
	t.Run("no signature is verified before the token is, and nothing is stored for a stranger", func(t *testing.T) {
		for name, f := range map[string]struct {
			c       Caller
			payload []byte
			kind    Kind
		}{
			"nobody's association, a request with a good proof": {Caller{Association: 4711, Addr: deviceAddr}, good, KindUnauthorized},
			"nobody's association, garbage":                     {Caller{Association: 4711, Addr: deviceAddr}, []byte{0xff, 1, 2}, KindUnauthorized},
			"an association of somebody else":                   {Caller{Client: elsewhere.caller.Client, Association: member.caller.Association, Addr: deviceAddr}, good, KindUnauthorized},
			"a token that has expired":                          {late.caller, asLate, KindUnauthorized},
		} {
			proved, stored := flood(t, f.c, f.payload, f.kind)
			if proved != 0 || stored > 2 { // a refusal of a client that is known goes into the audit log, once a minute
				t.Errorf("%s: %d proofs verified, %d transactions for %d requests", name, proved, stored, times)
			}
			if f.c.Client == 0 && stored != 0 {
				t.Errorf("%s: %d transactions for a stranger", name, stored)
			}
		}
	})
	t.Run("nor for a token that does not cover the group, nor for what cannot be read", func(t *testing.T) {
		badRoles := member.request("g1", responder, func(q *groupcomm.JoinRequest) {
			q.Entry.Roles = monitor | responder
			q.Scope = groupcomm.EncodeScope(q.Entry)
		})
		badCred := member.request("g1", responder, func(q *groupcomm.JoinRequest) { q.Credential = []byte{0xa0} })
		for name, f := range map[string]struct {
			c       Caller
			payload []byte
			kind    Kind
		}{
			"another group's token":      {elsewhere.caller, elsewhere.request("g1", responder, nil), KindForbidden},
			"a verifier's token":         {checker.caller, checker.request("g1", responder, nil), KindForbidden},
			"garbage":                    {member.caller, []byte{0xff}, KindJoinInfo},
			"roles that no member has":   {member.caller, badRoles, KindJoinInfo},
			"a credential that is none":  {member.caller, badCred, KindCredential},
			"another group in the scope": {member.caller, member.request("g2", responder, nil), KindJoinInfo},
		} {
			if proved, stored := flood(t, f.c, f.payload, f.kind); proved != 0 || stored > 2 {
				t.Errorf("%s: %d proofs verified, %d transactions for %d requests", name, proved, stored, times)
			}
		}
	})
	t.Run("one that gets so far costs one verification and no transaction", func(t *testing.T) {
		bad := member.request("g1", responder, func(q *groupcomm.JoinRequest) { q.Evidence[5] ^= 1 })
		proved, stored := flood(t, member.caller, bad, KindProof)
		if proved != times || stored > 2 || proofs.held.Load() != 0 {
			t.Errorf("%d proofs verified, %d transactions for %d requests", proved, stored, times)
		}
	})
	t.Run("a good one is verified once", func(t *testing.T) {
		if _, err := w.Join(ctx, member.caller, "g1", good); err != nil || proofs.held.Load() != 1 {
			t.Fatal(proofs.held.Load(), err)
		}
	})
}

package trust

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

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

func hash(n byte) ace.TokenHash { return ace.HashToken([]byte{n}) }

// ended is an Effect for tests.
type ended struct {
	list []ace.TokenHash
	fail error
}

func (e *ended) RevokeToken(_ context.Context, h ace.TokenHash) (int, error) {
	if e.fail != nil {
		return 0, e.fail
	}
	e.list = append(e.list, h)
	return 1, nil
}

// lists is a Source for tests: what each Authorization Server has.
type lists struct {
	support trl.Support
	full    []ace.TokenHash
	c       trl.Collection
	fail    error
	queries []string
	late    func() // runs when an answer was made and has not arrived
}

func (l *lists) Full() ([]ace.TokenHash, error)       { return l.full, nil }
func (l *lists) Collection() (*trl.Collection, error) { return &l.c, nil }

func (l *lists) Query(_ context.Context, _ string, q trl.Query) (*trl.Response, error) {
	l.queries = append(l.queries, strings.Join(q.Strings(), "&"))
	if l.fail != nil {
		return nil, l.fail
	}
	resp, err := trl.Answer(l.support, q.Strings(), l)
	if l.late != nil {
		l.late()
	}
	return resp, err
}

func (l *lists) add(h ace.TokenHash) {
	l.full = append(l.full, h)
	l.c.Add(l.support, trl.Entry{Added: []ace.TokenHash{h}})
}

func (l *lists) remove(h ace.TokenHash) {
	l.full = slices.DeleteFunc(l.full, func(o ace.TokenHash) bool { return o == h })
	l.c.Add(l.support, trl.Entry{Removed: []ace.TokenHash{h}})
}

// bench is a Service for tests that follows one Authorization Server.
type bench struct {
	*Service
	clock   *clock.Fake
	memory  *keystore.Memory
	keys    *keystore.Store
	effect  *ended
	lists   *lists
	changes [][]ace.TrustedAS
	max     int
}

func enrolment(issuer string) *ace.RSEnrolment {
	return &ace.RSEnrolment{
		Issuer: issuer, Audience: "gm1",
		Trusted:        []ace.TrustedAS{{Issuer: issuer, Key: ace.TokenKey{KID: []byte{1}, Alg: cose.AlgAESCCM16_128_128, Key: secret.Hide([]byte("0123456789abcdef"))}}},
		AS:             ace.EnrolmentAS{URI: "coap://192.0.2.1:5683/token", ID: []byte{0, 1}, ASID: []byte{0}, Secret: secret.Hide([]byte("fedcba9876543210")), Salt: secret.Hide([]byte("salt"))},
		IntrospectPath: "/introspect", TRL: &ace.TRLInfo{Path: "/revoke/trl", Hash: ace.HashName, MaxN: 8, MaxDiffBatch: 4},
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{
		clock: clock.NewFake(start), memory: keystore.NewMemory(), effect: &ended{},
		lists: &lists{support: trl.Support{Diff: true, MaxN: 8, Cursor: true, Batch: 4, Index: 1000}},
	}
	b.open(t)
	if err := b.Add(t.Context(), enrolment("as")); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) open(t *testing.T) {
	t.Helper()
	b.keys = must(keystore.Open(b.memory, keystore.Options{DataKey: make([]byte, keystore.DataKeySize)}))
	b.Service = must(New(Config{
		Audience: "gm1", Effect: b.effect, Source: b.lists, Clock: b.clock, MaxHashes: b.max, FullEvery: 3,
		Changed: func(l []ace.TrustedAS) { b.changes = append(b.changes, l) },
	}, b.keys))
	b.SetExi(must(ace.NewExiTable(b.clock, b.Service, MaxExi)))
}

func (b *bench) restart(t *testing.T) {
	t.Helper()
	if err := b.keys.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(t)
}

func (b *bench) polls(t *testing.T) {
	t.Helper()
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestIssuers(t *testing.T) {
	t.Parallel()
	t.Run("they are added, get keys, and are removed, over restarts and with an audit record each", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		wantErr(t, b.Add(t.Context(), enrolment("as")), ErrExists)
		if err := b.Add(t.Context(), enrolment("other")); err != nil {
			t.Fatal(err)
		}
		rotated := enrolment("as")
		rotated.AS, rotated.TRL, rotated.IntrospectPath = ace.EnrolmentAS{}, nil, ""
		rotated.Trusted[0].Key.KID, rotated.Trusted[0].Key.Key = []byte{2}, secret.Hide([]byte("aaaaaaaaaaaaaaaa"))
		signing := must(cose.NewPrivateKey(cose.CurveEd25519, make([]byte, 32))).Public()
		rotated.Trusted = append(rotated.Trusted, ace.TrustedAS{Issuer: "as", Verify: ace.VerifyKey{KID: []byte{9}, Alg: cose.AlgEdDSA, Key: signing}})
		for range 2 {
			if err := b.Rotate(t.Context(), rotated); err != nil {
				t.Fatal(err)
			}
		}
		wantErr(t, b.Rotate(t.Context(), enrolment("nobody")), ErrNotFound)
		b.restart(t)
		list := must(b.Trusted())
		all := must(b.ASs())
		if len(list) != 4 || len(all) != 2 || all[0].Keys != 3 || !all[0].Follows || all[0].Added != start || string(list[0].Key.KID) != "\x02" {
			t.Fatalf("%+v, %+v", list, all)
		}
		if a := must(b.Association("as")); !a.AS.Secret.Equal([]byte("fedcba9876543210")) || a.ListPath != "/revoke/trl" {
			t.Fatalf("%+v", a)
		}
		if err := b.Remove(t.Context(), "as"); err != nil {
			t.Fatal(err)
		}
		wantErr(t, b.Remove(t.Context(), "as"), ErrNotFound)
		_, err := b.Association("as")
		wantErr(t, err, ErrNotFound)
		if len(must(b.Trusted())) != 1 || len(b.changes) != 5 || len(b.changes[4]) != 1 {
			t.Fatal(len(b.changes))
		}
	})
	t.Run("an enrolment for somebody else is refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		e := enrolment("x")
		e.Audience = "gm2"
		wantErr(t, b.Add(t.Context(), e), ErrInvalid)
		e.Trusted = nil
		wantErr(t, b.Rotate(t.Context(), e), ErrInvalid)
		if _, err := New(Config{}, b.keys); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	t.Run("TR-RS-01,TR-RS-02,TR-RS-03 a token on the list ends, and its hash stays to keep it out", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.lists.add(hash(1))
		b.polls(t)
		if !slices.Equal(b.effect.list, []ace.TokenHash{hash(1)}) || !b.Revoked(hash(1)) || b.Revoked(hash(2)) {
			t.Fatal(b.effect.list)
		}
		b.polls(t)
		if len(b.effect.list) != 1 {
			t.Fatal("ended again", b.effect.list)
		}
		b.restart(t)
		for range 2 {
			b.polls(t)
		}
		if len(b.effect.list) != 2 || !b.Revoked(hash(1)) { // once more for each process
			t.Fatal("not made sure of, or forgotten", b.effect.list)
		}
	})
	t.Run("TR-RS-01,TR-RS-03 a token that is stored while its revocation is learned ends all the same", func(t *testing.T) {
		t.Parallel()
		watched(t, func(t *testing.T, b *bench, n *notifier) {
			<-n.began
			b.lists.add(hash(1))
			b.notify(t, n, "diff=4")
			asked := len(b.lists.queries)
			for range 3 {
				b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as", Stored: true})
				synctest.Wait()
			}
			if len(b.effect.list) != 4 {
				t.Fatal(b.effect.list)
			}
			for range 3 { // refused ones
				b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as"})
				synctest.Wait()
			}
			if len(b.effect.list) != 4 || len(b.lists.queries) != asked {
				t.Fatal("a stranger causes something", b.effect.list, b.lists.queries[asked:])
			}
			b.effect.fail = errors.New("busy")
			b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as", Stored: true})
			synctest.Wait()
			b.effect.fail = nil
			if err := b.Review(t.Context()); err != nil || len(b.effect.list) != 5 {
				t.Fatal("the end that failed is not made good", b.effect.list, err)
			}
		})
	})
	t.Run("an end that failed is tried again, also after a restart", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.effect.fail = errors.New("busy")
		b.lists.add(hash(1))
		if err := b.Poll(t.Context()); err == nil || !b.Revoked(hash(1)) {
			t.Fatal(err)
		}
		b.restart(t)
		b.effect.fail = nil
		if err := b.Review(t.Context()); err != nil || len(b.effect.list) != 1 {
			t.Fatal(b.effect.list, err)
		}
	})
	t.Run("TR-RS-05 the hash goes once the token was seen and has expired, and not before", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		seen := func(n byte) { b.Seen(ace.SeenToken{Hash: hash(n), Issuer: "as", Expires: start.Add(time.Hour)}) }
		for n := range byte(4) {
			b.lists.add(hash(n))
		}
		seen(0) // taken before it was revoked
		b.polls(t)
		seen(1)                 // presented after
		b.lists.remove(hash(2)) // expired, never seen
		b.lists.remove(hash(3))
		b.polls(t)
		for n := range byte(4) {
			if !b.Revoked(hash(n)) {
				t.Fatalf("hash %d is forgotten", n)
			}
		}
		seen(3)
		if err := b.Review(t.Context()); err != nil || b.Revoked(hash(3)) {
			t.Fatal("seen and off the list, and kept", err)
		}
		b.clock.Advance(time.Hour)
		if err := b.Review(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Revoked(hash(0)) || b.Revoked(hash(1)) || !b.Revoked(hash(2)) {
			t.Fatal("kept too long, or not long enough")
		}
		b.restart(t)
		if b.Revoked(hash(0)) || !b.Revoked(hash(2)) {
			t.Fatal("not durable")
		}
	})
	t.Run("TR-RS-05 a full answer tells by its silence what has expired", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.lists.support = trl.Support{}
		b.lists.add(hash(1))
		b.polls(t)
		b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as"})
		b.polls(t)
		if !b.Revoked(hash(1)) {
			t.Fatal("still on the list, and forgotten")
		}
		b.lists.remove(hash(1))
		b.lists.c = trl.Collection{}
		for range 2 {
			b.follow = map[string]*following{} // ask for everything
			b.polls(t)
		}
		if b.Revoked(hash(1)) {
			t.Fatal("kept")
		}
	})
	t.Run("TR-RS-06 if there are too many, the earliest go first", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.max = 3
		b.restart(t)
		for n := range byte(5) {
			if err := b.Learn(t.Context(), "as", hash(n)); err != nil {
				t.Fatal(err)
			}
		}
		for n, want := range []bool{false, false, true, true, true} {
			if b.Revoked(hash(byte(n))) != want {
				t.Fatal(n)
			}
		}
	})
	t.Run("TR-RS-07,TR-RS-11 the number of a token with exi is kept with the hash, and counts as expired when that goes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.lists.add(hash(1))
		b.polls(t)
		b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as", Number: 7})
		if err := b.Review(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.restart(t) // what was seen in memory is gone, the number is not
		b.lists.remove(hash(1))
		b.polls(t)
		if b.Revoked(hash(1)) {
			t.Fatal("kept")
		}
		if err := b.exiTable().Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := must(b.LoadExi()); len(all) != 1 || all[0].Expired != 7 || all[0].Issuer != "as" {
			t.Fatalf("%+v", all)
		}
	})
	t.Run("TR-RS-07 also when it goes for want of room", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.max = 1
		b.restart(t)
		b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as", Number: 9})
		for _, n := range []byte{1, 2} {
			if err := b.Learn(t.Context(), "as", hash(n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.exiTable().Save(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := must(b.LoadExi()); len(all) != 1 || all[0].Expired != 9 {
			t.Fatalf("%+v", all)
		}
	})
	t.Run("TR-RS-12 no answer, and an error, say nothing of any token", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.lists.add(hash(1))
		b.polls(t)
		b.Seen(ace.SeenToken{Hash: hash(1), Issuer: "as"})
		for _, fail := range []error{context.DeadlineExceeded, &trl.Problem{ID: trl.OutOfBound}} {
			b.lists.fail = fail
			if err := b.Poll(t.Context()); err == nil {
				t.Fatal("no error")
			}
			if !b.Revoked(hash(1)) || len(b.effect.list) != 1 {
				t.Fatal("something was concluded")
			}
		}
		b.lists.fail = nil
		b.polls(t)
		if q := b.lists.queries; q[len(q)-1] != "" {
			t.Fatal("after an error of the server not everything is asked for", q)
		}
	})
	t.Run("TR-RS-08 it does not rely on queries for changes alone", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for range 9 {
			b.polls(t)
		}
		full := 0
		for _, q := range b.lists.queries {
			if q == "" {
				full++
			}
		}
		if full != 3 {
			t.Fatal(b.lists.queries)
		}
	})
	t.Run("the hash of each of many updates is learned, in several rounds", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.polls(t)
		for n := range byte(7) {
			b.lists.add(hash(n))
		}
		b.polls(t)
		if len(b.effect.list) != 7 {
			t.Fatal(len(b.effect.list))
		}
	})
	t.Run("what is remembered of tokens that were seen is bounded", func(t *testing.T) {
		t.Parallel()
		s := newSeenTokens()
		for n := range 2 * maxSeen {
			s.add(ace.SeenToken{Hash: ace.HashToken([]byte{byte(n), byte(n >> 8), byte(n >> 16)})})
		}
		if len(s.byHash) != maxSeen || len(s.ring) != maxSeen {
			t.Fatal(len(s.byHash))
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("TR-RS-09,TR-RS-13 it asks at its interval, whether or not notifications come", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.Run(ctx)
		}()
		until := func(what string, ok func() bool) {
			t.Helper()
			deadline := time.Now().Add(10 * time.Second)
			for !ok() {
				if time.Now().After(deadline) {
					t.Fatal(what)
				}
				b.clock.Advance(time.Second)
			}
		}
		if err := b.Learn(t.Context(), "as", hash(1)); err != nil {
			t.Fatal(err)
		}
		mark := func() time.Time { return must(b.Mark()) }
		until("the time is not written", func() bool { return !mark().IsZero() })
		before := mark()
		until("no second turn", func() bool { return mark().After(before.Add(defaultInterval / 2)) })
		cancel()
		<-ended
		if got := mark(); got.Before(b.clock.Now().Truncate(time.Second)) {
			t.Fatal(got)
		}
		if !b.Revoked(hash(1)) || len(b.lists.queries) < 2 {
			t.Fatal(b.lists.queries)
		}
	})
}

func TestTimes(t *testing.T) {
	t.Parallel()
	t.Run("AC-087 a clock that was set back makes no expired token valid", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		if err := b.SaveMark(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := clock.NewSteady(clock.NewFake(start.Add(-24*time.Hour)), must(LoadMark(b.keys)))
		if back.Now().Before(start) {
			t.Fatal(back.Now())
		}
		if err := b.ResetMark(t.Context()); err != nil || !must(b.Mark()).IsZero() {
			t.Fatal(err)
		}
	})
	t.Run("AC-150 tokens with exi are kept as they were", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		all := []ace.ExiIssuer{{Issuer: "as", Expired: 3, Live: []ace.ExiToken{{Number: 4, Hash: hash(4), Deadline: start.Add(time.Minute)}}}, {Issuer: "b"}}
		if err := b.SaveExi(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		b.restart(t)
		got := must(b.LoadExi())
		if len(got) != 2 || got[0].Expired != 3 || got[0].Live[0].Hash != hash(4) || !got[0].Live[0].Deadline.Equal(start.Add(time.Minute)) {
			t.Fatalf("%+v", got)
		}
		wantErr(t, b.SaveExi(t.Context(), []ace.ExiIssuer{{Live: make([]ace.ExiToken, MaxExi+1)}}), ErrInvalid)
	})
}

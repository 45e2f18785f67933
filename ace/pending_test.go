package ace

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("AO-060,AO-074,AC-075 the first verified request stores context and token together", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		p := must(b.PostToken(ctx, here, post(b.token(nil))))
		a, superseded, err := b.Confirm(ctx, p)
		if err != nil || len(superseded) != 0 || a.Number == 0 || a.Token.Client != "switch" || !a.Params.MasterSecret.Equal(vectorMS) {
			t.Fatalf("%+v, %v, %v", a, superseded, err)
		}
		if len(b.store.assoc) != 1 || b.PendingCount() != 0 || len(b.dropped) != 0 {
			t.Fatal("not stored, or still pending")
		}
		again, _, err := b.Confirm(ctx, p)
		if err != nil || again != a || len(b.store.assoc) != 1 {
			t.Fatal("a second call stored it again", err)
		}
	})
	t.Run("AO-067,AO-073,AC-076,AO-047 an earlier association stays until the new one is confirmed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		first, _, err := b.Confirm(ctx, must(b.PostToken(ctx, here, post(token))))
		if err != nil {
			t.Fatal(err)
		}
		p := must(b.PostToken(ctx, here, post(token)))
		if b.store.assoc[first.Number] == nil {
			t.Fatal("a post by anybody ended the association")
		}
		second, superseded, err := b.Confirm(ctx, p)
		if err != nil || len(superseded) != 1 || superseded[0] != first.Number || len(b.store.assoc) != 1 {
			t.Fatalf("superseded %v, %v", superseded, err)
		}
		if second.Params.MasterSalt.Equal(first.Params.MasterSalt) {
			t.Fatal("the same keys again")
		}
	})
	t.Run("a pending association ends after its time", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		p := must(b.PostToken(ctx, here, post(b.token(nil))))
		b.clock.Advance(defaultPendingLife)
		if len(b.dropped) != 1 || b.dropped[0] != p || b.PendingCount() != 0 {
			t.Fatalf("dropped %v", b.dropped)
		}
		_, _, err := b.Confirm(ctx, p)
		wantErr(t, err, ErrNotPending)
	})
	t.Run("a confirmed association is not ended by its time", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		if _, _, err := b.Confirm(ctx, must(b.PostToken(ctx, here, post(b.token(nil))))); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Hour / 2)
		if len(b.dropped) != 0 || len(b.store.assoc) != 1 {
			t.Fatal("dropped")
		}
	})
	t.Run("AO-061,AC-087 a token that expires or is revoked meanwhile is not confirmed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.PendingLife = time.Hour })
		short := must(b.PostToken(ctx, here, post(b.token(func(c *Claims) { c.Expires = exampleTime.Add(2 * time.Second) }))))
		revoked := must(b.PostToken(ctx, here, post(b.token(nil))))
		b.clock.Advance(2 * time.Second)
		b.revoked[revoked.Token.Hash] = true
		for _, p := range []*Pending{short, revoked} {
			_, _, err := b.Confirm(ctx, p)
			wantErr(t, err, ErrNotPending)
		}
		if len(b.dropped) != 2 || b.PendingCount() != 0 {
			t.Fatal("still pending")
		}
	})
	t.Run("a failure of the store leaves it pending", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		p := must(b.PostToken(ctx, here, post(b.token(nil))))
		b.store.fail = errors.New("disk full")
		_, _, err := b.Confirm(ctx, p)
		wantErr(t, err, b.store.fail)
		if b.PendingCount() != 1 || len(b.dropped) != 0 {
			t.Fatal("no longer pending")
		}
		b.store.fail = nil
		if _, _, err := b.Confirm(ctx, p); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("what else is pending for the token ends with it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		p := must(b.PostToken(ctx, here, post(token)))
		other := must(b.PostToken(ctx, here, post(token)))
		if _, _, err := b.Confirm(ctx, p); err != nil {
			t.Fatal(err)
		}
		if len(b.dropped) != 1 || b.dropped[0] != other || b.PendingCount() != 0 {
			t.Fatal("still pending")
		}
	})
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("for each token, by dropping the oldest", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		var all []*Pending
		for range defaultMaxPendingPerToken + 2 {
			all = append(all, must(b.PostToken(ctx, here, post(token))))
		}
		if b.PendingCount() != defaultMaxPendingPerToken || len(b.dropped) != 2 || b.dropped[0] != all[0] || b.dropped[1] != all[1] {
			t.Fatalf("%d pending, %d dropped", b.PendingCount(), len(b.dropped))
		}
	})
	t.Run("a stranger who posts the token again from elsewhere leaves the Client's association", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		first := must(b.PostToken(ctx, here, post(token)))
		for i := range byte(40) {
			must(b.PostToken(ctx, netip.AddrFrom4([4]byte{127, 0, 77, 1 + i%2}), post(token)))
		}
		if len(b.dropped) == 0 || slices.Contains(b.dropped, first) {
			t.Fatalf("%d dropped, the Client's among them: %v", len(b.dropped), slices.Contains(b.dropped, first))
		}
		if _, _, err := b.Confirm(ctx, first); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("an IPv6 network is one source", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		first := must(b.PostToken(ctx, here, post(token)))
		for i := range byte(100) {
			must(b.PostToken(ctx, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: i}), post(token)))
		}
		if n := b.PendingCount(); n != 1+defaultMaxPendingPerToken || slices.Contains(b.dropped, first) {
			t.Fatalf("%d pending", n)
		}
	})
	t.Run("strangers with many addresses who post more than once make room for each other", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		first := must(b.PostToken(ctx, here, post(token)))
		for i := range 200 {
			must(b.PostToken(ctx, netip.AddrFrom4([4]byte{127, 0, 79, byte(i % 32)}), post(token)))
		}
		if n := b.PendingCount(); n != sourcesPerToken*defaultMaxPendingPerToken || slices.Contains(b.dropped, first) {
			t.Fatalf("%d pending, %d dropped", n, len(b.dropped))
		}
		if _, _, err := b.Confirm(ctx, first); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("for each token from all sources, by dropping the oldest", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		token := b.token(nil)
		first := must(b.PostToken(ctx, here, post(token)))
		for i := range byte(sourcesPerToken * defaultMaxPendingPerToken) {
			must(b.PostToken(ctx, netip.AddrFrom4([4]byte{127, 0, 78, i}), post(token)))
		}
		if n := b.PendingCount(); n != sourcesPerToken*defaultMaxPendingPerToken || !slices.Contains(b.dropped, first) {
			t.Fatalf("%d pending, %d dropped", n, len(b.dropped))
		}
	})
	t.Run("AC-093 in all, by refusing more with 5.03", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.MaxPending = 2 })
		for range 2 {
			must(b.PostToken(ctx, here, post(b.token(nil))))
		}
		_, err := b.PostToken(ctx, here, post(b.token(nil)))
		wantCode(t, err, codes.ServiceUnavailable)
		wantErr(t, err, ErrTooManyPending)
		if b.ids != 2 {
			t.Fatal("an identifier was drawn for it")
		}
		b.clock.Advance(defaultPendingLife)
		must(b.PostToken(ctx, here, post(b.token(nil))))
	})
	t.Run("in all, by dropping one of the token that has most: a few stolen tokens do not shut out the others", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, func(c *RSConfig) { c.MaxPending = 2 * sourcesPerToken * defaultMaxPendingPerToken })
		victim := must(b.PostToken(ctx, here, post(b.token(nil))))
		stolen := [][]byte{b.token(nil), b.token(nil), b.token(nil)}
		for i := range byte(240) {
			must(b.PostToken(ctx, netip.AddrFrom4([4]byte{127, 0, 80, i}), post(stolen[i%3])))
		}
		late := must(b.PostToken(ctx, here, post(b.token(nil))))
		if n := b.PendingCount(); n != b.cfg.MaxPending {
			t.Fatalf("%d pending, not %d", n, b.cfg.MaxPending)
		}
		for _, p := range []*Pending{victim, late} {
			if slices.Contains(b.dropped, p) {
				t.Fatal("dropped for the sake of strangers")
			}
		}
		for _, list := range b.pending.byToken {
			if len(list) > 43 {
				t.Fatalf("one token has %d", len(list))
			}
		}
	})
	t.Run("closing ends all", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		must(b.PostToken(ctx, here, post(b.token(nil))))
		b.Close()
		if b.PendingCount() != 0 || len(b.dropped) != 1 {
			t.Fatal("still pending")
		}
		_, err := b.PostToken(ctx, here, post(b.token(nil)))
		wantCode(t, err, codes.ServiceUnavailable)
	})
}

func TestPendingAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var ids atomic.Uint32
	b := newBench(t, func(c *RSConfig) {
		c.AllocateID = func([]byte) ([]byte, error) { return binary.BigEndian.AppendUint32(nil, ids.Add(1)+1<<24), nil }
		c.Dropped = nil
	})
	store := &lockedStore{memoryStore: b.store}
	b.ResourceServer = must(NewResourceServer(b.cfg, store))
	token := b.token(nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				p, err := b.PostToken(ctx, here, post(token))
				if err != nil {
					t.Error(err)
					return
				}
				for range 2 {
					wg.Go(func() {
						if _, _, err := b.Confirm(ctx, p); err != nil && !errors.Is(err, ErrNotPending) {
							t.Error(err)
						}
					})
				}
			}
		})
	}
	wg.Wait()
	b.Close()
	if b.PendingCount() != 0 || len(b.store.assoc) != 1 {
		t.Fatalf("%d pending, %d stored", b.PendingCount(), len(b.store.assoc))
	}
}

// lockedStore is a memoryStore for several goroutines.
type lockedStore struct {
	mu sync.Mutex
	*memoryStore
}

func (l *lockedStore) Confirm(ctx context.Context, a *Association) ([]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memoryStore.Confirm(ctx, a)
}

package grouposcore

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// pair is two members that hold Groups.
type pair struct {
	r              *realm
	client, server *Group
}

func newPair(t testing.TB) *pair {
	r := newRealm(t)
	return &pair{r, NewGroup(r.at(t, "client", 5)), NewGroup(r.at(t, "server", 7))}
}

func (p *pair) ask(t testing.TB, m message.Message, mode Mode) (message.Message, *Exchange) {
	t.Helper()
	out, x, err := p.client.ProtectRequest(m, mode.request([]byte{0x52}))
	if err != nil {
		t.Fatal(err)
	}
	return out, x
}

func (p *pair) hear(t testing.TB, m message.Message) *Exchange {
	t.Helper()
	_, x, _, err := p.server.UnprotectRequest(m, noon)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (p *pair) answer(t testing.TB, m message.Message, x *Exchange, mode Mode) message.Message {
	t.Helper()
	out, err := p.server.ProtectResponse(m, x, ResponseOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// learn opens a response at the client at a time.
func (p *pair) learn(m message.Message, x *Exchange, at time.Time) error {
	_, _, err := p.client.UnprotectResponse(m, x, at)
	return err
}

func TestRekey(t *testing.T) {
	for _, mode := range bothModes {
		for _, q := range bothModes {
			t.Run("GO-14.5-1,GO-14.5-2,GO-7.3-1,GO-7.3-4,GO-7.3-6,GO-7.3-7,GO-8.5-1 request before, "+mode.String()+" response after the rekey, to a "+q.String()+" request", func(t *testing.T) {
				p := newPair(t)
				m, cx := p.ask(t, get("a"), q)
				sx := p.hear(t, m)
				next := p.r.rekeyed(2)
				p.server.Install(next.at(t, "server", 0), 0, noon)
				out := p.answer(t, content("x"), sx, mode)
				o := option(t, out)
				wantBytes(t, "partial iv", o.PIV, []byte{0})
				wantBytes(t, "kid context", o.KIDContext, next.params.Gid)
				wantErr(t, p.learn(out, cx, noon), ErrNoContext) // the client does not know it yet
				p.client.Install(next.at(t, "client", 0), 0, noon)
				if err := p.learn(out, cx, noon); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	t.Run("GO-3.4-4,GO-4.2-6,GO-7.2-15,GO-7.2-16,GO-7.3-2 additional data keep the request's Gid, the keystream takes the new one", func(t *testing.T) {
		p := newPair(t)
		m, _ := p.ask(t, get("a"), GroupMode)
		sx := p.hear(t, m)
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		out := p.answer(t, content("x"), sx, GroupMode)
		c := p.server.Current()
		rec, err := next.at(t, "client", 0).recipient([]byte{0x52})
		if err != nil {
			t.Fatal(err)
		}
		e := &envelope{mode: GroupMode, req: binding{kid: []byte{0x25}, piv: []byte{5}, gid: p.r.params.Gid},
			option: rawOption(out), genID: []byte{0x52}, piv: []byte{0}}
		if _, err := c.open(new(scratch), e, rec, nil, out.Payload); err != nil {
			t.Fatal(err)
		}
		e.req.gid = next.params.Gid
		_, err = c.open(new(scratch), e, rec, nil, out.Payload)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-7.3-8,GO-7.3-9 the kid context stays in all further responses", func(t *testing.T) {
		p := newPair(t)
		m, _ := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		for range 3 {
			o := option(t, p.answer(t, notification("x"), sx, GroupMode))
			wantBytes(t, "kid context", o.KIDContext, next.params.Gid)
		}
	})
	t.Run("GO-5.1-3,GO-7.1-3,GO-7.4-4,GO-2.6.3.2-5 an observation over a rekey: numbers start anew", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		p.answer(t, notification("0"), sx, GroupMode)
		old := p.answer(t, notification("1"), sx, GroupMode)
		if err := p.learn(old, cx, noon); err != nil {
			t.Fatal(err)
		}
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), time.Minute, noon)
		p.client.Install(next.at(t, "client", 0), time.Minute, noon)
		a := p.answer(t, notification("2"), sx, GroupMode) // Partial IV 0, below the old 7
		b := p.answer(t, notification("3"), sx, GroupMode)
		for _, m := range []message.Message{a, b} {
			if err := p.learn(m, cx, noon); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range []message.Message{a, b, old} {
			wantErr(t, p.learn(m, cx, noon), ErrReplay)
		}
		wantBytes(t, "stored gid", cx.Gid(), p.r.params.Gid)
	})
	t.Run("GO-5.3.1-3 one response without Partial IV, counted over rekeys", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		first := p.answer(t, notification("0"), sx, GroupMode)
		if err := p.learn(first, cx, noon); err != nil {
			t.Fatal(err)
		}
		p.client.Install(p.r.rekeyed(2).at(t, "client", 0), time.Minute, noon)
		wantErr(t, p.learn(first, cx, noon), ErrReplay)
	})
	t.Run("GO-2.6.3.2-4,GO-2.6.3.2-6 installing resets numbers and windows, and what goes out is under the new", func(t *testing.T) {
		p := newPair(t)
		for range 3 {
			m, _ := p.ask(t, get("a"), GroupMode)
			p.hear(t, m)
		}
		next := p.r.rekeyed(2)
		p.client.Install(next.at(t, "client", 0), 0, noon)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		m, _ := p.ask(t, get("a"), GroupMode)
		wantBytes(t, "option", rawOption(m), unhex(t, "39000344610225"))
		p.hear(t, m)
	})
	t.Run("GO-12.2-12 deletions belong to the old context", func(t *testing.T) {
		p := newPair(t)
		m, _ := p.ask(t, get("a"), GroupMode)
		p.hear(t, m)
		p.server.PurgeStale([][]byte{{0x25}})
		next := p.r.rekeyed(2)
		p.client.Install(next.at(t, "client", 0), 0, noon)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		m, _ = p.ask(t, get("a"), GroupMode)
		p.hear(t, m)
	})
	t.Run("GO-2.5.1-7 the new context has pairwise keys of its own", func(t *testing.T) {
		p := newPair(t)
		a, _ := p.ask(t, get("a"), PairwiseMode)
		p.hear(t, a)
		next := p.r.rekeyed(2)
		p.client.Install(next.at(t, "client", 5), 0, noon)
		b, _ := p.ask(t, get("a"), PairwiseMode)
		if bytes.Equal(a.Payload, b.Payload) {
			t.Fatal("same ciphertext")
		}
	})
}

func TestPreviousContext(t *testing.T) {
	t.Run("GO-14.5.1-1,GO-2.6.3.2-7 it receives until it expires", func(t *testing.T) {
		p := newPair(t)
		a, _ := p.ask(t, get("a"), GroupMode)
		b, _ := p.ask(t, get("a"), GroupMode)
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), time.Minute, noon)
		if !p.server.Matches(p.r.params.Gid, noon.Add(59*time.Second)) || p.server.Matches(p.r.params.Gid, noon.Add(time.Minute)) {
			t.Fatal("expiry")
		}
		if _, _, _, err := p.server.UnprotectRequest(a, noon.Add(59*time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := p.server.UnprotectRequest(b, noon.Add(time.Minute))
		wantErr(t, err, ErrNoContext)
	})
	t.Run("GO-14.5.1-2 without retention it is gone at once", func(t *testing.T) {
		p := newPair(t)
		m, _ := p.ask(t, get("a"), GroupMode)
		p.server.Install(p.r.rekeyed(2).at(t, "server", 0), 0, noon)
		_, _, _, err := p.server.UnprotectRequest(m, noon)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("GO-14.5.1-1 a client tries the latest first, the old one second", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, get("a"), GroupMode)
		sx := p.hear(t, m)
		first := p.answer(t, content("x"), sx, GroupMode)
		second := p.answer(t, content("x"), sx, GroupMode)
		p.client.Install(p.r.rekeyed(2).at(t, "client", 0), time.Minute, noon)
		for _, m := range []message.Message{first, second} {
			if option(t, m).KIDContext != nil {
				t.Fatal("kid context")
			}
			if err := p.learn(m, cx, noon); err != nil {
				t.Fatal(err)
			}
		}
		late := p.answer(t, content("x"), sx, GroupMode)
		wantErr(t, p.learn(late, cx, noon.Add(time.Hour)), ErrDecryption)
	})
	t.Run("GO-7.3-4 a response without Partial IV is never tried under another context", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, get("a"), GroupMode)
		sx := p.hear(t, m)
		first := p.answer(t, content("x"), sx, GroupMode)
		next := p.r.rekeyed(2).at(t, "client", 0)
		_, _, err := next.UnprotectResponse(first, cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("it is dropped when expired", func(t *testing.T) {
		p := newPair(t)
		p.server.Install(p.r.rekeyed(2).at(t, "server", 0), time.Minute, noon)
		if p.server.Expire(noon) || !p.server.Expire(noon.Add(time.Minute)) || p.server.previous != nil {
			t.Fatal("expiry")
		}
	})
	t.Run("GO-2-1 the latest is known", func(t *testing.T) {
		p := newPair(t)
		next := p.r.rekeyed(2).at(t, "server", 0)
		p.server.Install(next, time.Minute, noon)
		if p.server.Current() != next {
			t.Fatal("not the latest")
		}
	})
	t.Run("a staged context receives and does not send", func(t *testing.T) {
		p := newPair(t)
		next := p.r.rekeyed(2)
		staged := next.at(t, "server", 0)
		p.server.Stage(staged)
		p.client.Install(next.at(t, "client", 0), 0, noon)
		m, _ := p.ask(t, get("a"), GroupMode)
		p.hear(t, m)
		out, _, err := p.server.ProtectRequest(get("b"), GroupMode.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "gid", option(t, out).KIDContext, p.r.params.Gid)
		p.server.Install(staged, 0, noon)
		_, _, _, err = p.server.UnprotectRequest(m, noon)
		wantErr(t, err, ErrReplay)
	})
}

func TestInstallation(t *testing.T) {
	t.Run("GO-2.6.3.2-1 nothing starts once new parameters are there", func(t *testing.T) {
		p := newPair(t)
		m, x := p.ask(t, get("a"), GroupMode)
		sx := p.hear(t, m)
		p.client.Suspend()
		p.server.Suspend()
		_, _, err := p.client.ProtectRequest(get("a"), GroupMode.request(nil))
		wantErr(t, err, ErrSuspended)
		_, _, _, err = p.server.UnprotectRequest(m, noon)
		wantErr(t, err, ErrSuspended)
		_, err = p.server.ProtectResponse(content("x"), sx, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrSuspended)
		_, _, err = p.client.UnprotectResponse(m, x, noon)
		wantErr(t, err, ErrSuspended)
		next := p.r.rekeyed(2)
		p.client.Install(next.at(t, "client", 0), 0, noon)
		p.ask(t, get("a"), GroupMode)
	})
	t.Run("GO-7-1,GO-2.6.3.2-2 rekeys in the middle of traffic", func(t *testing.T) {
		p := newPair(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 30 {
					m, _, err := p.client.ProtectRequest(get("a"), GroupMode.request(nil))
					if err != nil {
						t.Error(err)
						return
					}
					// What one context made, that context's Gid names.
					gid := option(t, m).KIDContext
					if !p.server.Matches(gid, noon) {
						continue
					}
					if _, x, _, err := p.server.UnprotectRequest(m, noon); err == nil {
						if _, err := p.server.ProtectResponse(content("x"), x, ResponseOptions{Mode: PairwiseMode}); err != nil {
							t.Error(err)
						}
					} else if err != ErrNoContext && err != ErrReplay {
						t.Error(err)
					}
				}
			})
		}
		for gid := byte(2); gid < 8; gid++ {
			next := p.r.rekeyed(gid)
			p.server.Install(next.at(t, "server", 0), time.Minute, noon)
			p.client.Install(next.at(t, "client", 0), time.Minute, noon)
		}
		wg.Wait()
	})
	t.Run("GO-2.6.3.1-1,GO-2.6.1.1-3,GO-2.6.2-4 a renewal takes over at once", func(t *testing.T) {
		p := newPair(t)
		n := p.r.renew(t, p.client.Current(), "client", 0x26)
		if err := p.client.Renew(n); err != nil {
			t.Fatal(err)
		}
		m, _ := p.ask(t, get("a"), GroupMode)
		wantBytes(t, "kid", option(t, m).KID, []byte{0x26})
		wantErr(t, p.client.Renew(p.r.rekeyed(2).at(t, "client", 0)), ErrNoContext)
	})
	t.Run("GO-7.1-4 the exchange names the group whatever its Gid", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		p.client.Install(p.r.rekeyed(2).at(t, "client", 0), 0, noon)
		if cx.Group() != p.client || sx.Group() != p.server {
			t.Fatal("another group")
		}
	})
	t.Run("GO-5.1-2 leaving ends all exchanges", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		out := p.answer(t, notification("x"), sx, GroupMode)
		p.client.Leave()
		wantErr(t, p.learn(out, cx, noon), ErrNotMember)
		_, _, err := p.client.ProtectRequest(get("a"), GroupMode.request(nil))
		wantErr(t, err, ErrNotMember)
		if p.client.Matches(p.r.params.Gid, noon) {
			t.Fatal("still receiving")
		}
	})
	t.Run("GO-14.14-1,GO-2.6.1.1-5 a silent server waits for new parameters", func(t *testing.T) {
		r := newRealm(t)
		silent := func(r *realm, lost bool) *Context {
			p := r.params
			p.WindowsLost = lost
			c, err := NewContext(p, Identity{}, nil, r.creds)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		g := NewGroup(silent(r, true))
		_, x, _, err := g.UnprotectRequest(r.from(t, "client", 1), noon)
		wantErr(t, err, ErrWindowInvalid)
		_, err = g.ProtectResponse(challenge("e"), x, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrSilent)
		next := r.rekeyed(2)
		g.Install(silent(next, false), 0, noon)
		if _, _, _, err := g.UnprotectRequest(next.from(t, "client", 0), noon); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("malformed messages at the group's door", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, get("a"), GroupMode)
		bare := m
		bare.Options = coapmsg.Without(m.Options, coapmsg.OSCORE)
		_, _, _, err := p.server.UnprotectRequest(bare, noon)
		wantErr(t, err, ErrNotProtected)
		_, _, err = p.client.UnprotectResponse(bare, cx, noon)
		wantErr(t, err, ErrNotProtected)
		_, _, err = p.client.UnprotectResponse(m, nil, noon)
		wantErr(t, err, ErrExchange)
		o := option(t, m)
		o.KIDContext = nil
		_, _, _, err = p.server.UnprotectRequest(reoption(m, o), noon)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("GO-2.6.1.2-6,GO-2.6.1.1-2 freshness is confirmed in the request's context", func(t *testing.T) {
		p := newPair(t)
		p.r.params.WindowsLost = true
		p.server = NewGroup(p.r.at(t, "server", 0))
		m, _ := p.ask(t, get("a"), GroupMode)
		_, x, _, err := p.server.UnprotectRequest(m, noon)
		wantErr(t, err, ErrWindowInvalid)
		next := p.r.rekeyed(2)
		next.params.WindowsLost = false
		p.server.Install(next.at(t, "server", 0), time.Minute, noon)
		if err := p.server.ConfirmFresh(x, noon); err != nil {
			t.Fatal(err)
		}
		wantErr(t, p.server.ConfirmFresh(x, noon.Add(time.Hour)), ErrNoContext)
		if !p.server.Current().WindowValid([]byte{0x25}) {
			t.Fatal("window of the new context")
		}
	})
}

func TestEqualGids(t *testing.T) {
	t.Run("GO-14.6-1,GO-2.1.3-2 each context of the Gid is tried", func(t *testing.T) {
		a := newRealm(t)
		b := newRealm(t, func(p *Params) { p.MasterSecret = []byte("of another group") })
		groups := []*Group{NewGroup(a.at(t, "server", 0)), NewGroup(b.at(t, "server", 0))}
		for i, r := range []*realm{a, b} {
			m, _ := ask(t, r.at(t, "client", 3), get("a"), GroupMode, nil)
			_, x, _, err := UnprotectRequestAny(groups, m, noon)
			if err != nil || x.Group() != groups[i] {
				t.Fatalf("group %d: %v", i, err)
			}
		}
		m, _ := ask(t, a.rekeyed(3).at(t, "client", 3), get("a"), GroupMode, nil)
		_, _, _, err := UnprotectRequestAny(groups, m, noon)
		wantErr(t, err, ErrNoContext)
		m, _ = ask(t, a.at(t, "client", 4), get("a"), GroupMode, nil)
		_, _, _, err = UnprotectRequestAny(groups, flip(m, -1), noon)
		wantErr(t, err, ErrDecryption)
	})
}

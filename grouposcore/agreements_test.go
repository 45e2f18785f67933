package grouposcore

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

// counted is an Ed25519 key that counts its key agreements.
type counted struct {
	ed25519.PrivateKey
	n *atomic.Int64
}

func (c counted) ECDH(_ cose.Curve, peer []byte) ([]byte, error) {
	c.n.Add(1)
	scalar := sha512.Sum512(c.Seed())
	own, err := ecdh.X25519().NewPrivateKey(scalar[:32])
	if err != nil {
		return nil, err
	}
	p, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, err
	}
	return own.ECDH(p)
}

// counting makes a member's key count its key agreements.
func counting(t testing.TB, r *realm, name string) *atomic.Int64 {
	t.Helper()
	id := r.ids[name]
	key := counted{ed25519.NewKeyFromSeed(id.PrivateKey.Secret()), new(atomic.Int64)}
	var err error
	if id.PrivateKey, err = cose.NewExternalKey(cose.External{Signer: key, Agreement: key}); err != nil {
		t.Fatal(err)
	}
	r.ids[name] = id
	return key.n
}

func TestSharedSecrets(t *testing.T) {
	// talk lets the client derive pairwise keys with server and other.
	talk := func(t *testing.T, g *Group, to ...byte) {
		t.Helper()
		for _, id := range to {
			if _, _, err := g.ProtectRequest(get("a"), PairwiseMode.request([]byte{id})); err != nil {
				t.Fatal(err)
			}
		}
	}
	install := func(t *testing.T, g *Group, r *realm) {
		t.Helper()
		g.Install(r.at(t, "client", 0), time.Minute, noon)
	}
	t.Run("GO-2.5.4-1 a rekey needs no key agreement again", func(t *testing.T) {
		r := newRealm(t)
		n := counting(t, r, "client")
		g := NewGroup(r.at(t, "client", 0))
		talk(t, g, 0x52, 0x77)
		before := n.Load()
		for gid := byte(2); gid < 5; gid++ {
			install(t, g, r.rekeyed(gid))
			talk(t, g, 0x52, 0x77)
		}
		if more := n.Load() - before; more != 3 { // each new context tries its own key
			t.Fatalf("%d key agreements", more)
		}
	})
	t.Run("what one Security Context did not use is deleted", func(t *testing.T) {
		r := newRealm(t)
		g := NewGroup(r.at(t, "client", 0))
		talk(t, g, 0x52, 0x77)
		install(t, g, r.rekeyed(2))
		talk(t, g, 0x52)
		install(t, g, r.rekeyed(3))
		if k := g.Current().agreed.Load().len(); k != 1 {
			t.Fatalf("%d secrets", k)
		}
		install(t, g, r.rekeyed(4))
		if k := g.Current().agreed.Load().len(); k != 0 {
			t.Fatalf("%d secrets", k)
		}
	})
	t.Run("their number is bounded", func(t *testing.T) {
		for limit, want := range map[int]int{1: 1, -1: 0, 0: 2} {
			r := newRealm(t, func(p *Params) { p.MaxSharedSecrets = limit })
			g := NewGroup(r.at(t, "client", 0))
			talk(t, g, 0x52, 0x77, 0x52)
			if k := g.Current().agreed.Load().len(); k != want {
				t.Fatalf("%d secrets with a limit of %d", k, limit)
			}
		}
	})
	t.Run("another key has another secret", func(t *testing.T) {
		r := newRealm(t)
		g := NewGroup(r.at(t, "client", 0))
		talk(t, g, 0x52)
		r.add(identity(t, []byte{0x52}, "server with another key"), "server")
		m, _, err := g.ProtectRequest(get("a"), PairwiseMode.request([]byte{0x52}))
		if err != nil {
			t.Fatal(err)
		}
		hear(t, r.at(t, "server", 0), m)
	})
	t.Run("leaving deletes them", func(t *testing.T) {
		r := newRealm(t)
		g := NewGroup(r.at(t, "client", 0))
		talk(t, g, 0x52)
		g.Leave()
		if g.Current().agreed.Load().len() != 0 || g.Current().peers.get([]byte{0x52}).pair != nil {
			t.Fatal("kept")
		}
	})
}

func TestPairwiseKeysAreDeleted(t *testing.T) {
	kept := func(c *Context) bool { return c.peers.get([]byte{0x25}).pair != nil }
	// served is a server that has pairwise keys with the client, and an exchange.
	served := func(t *testing.T) (*pair, *Context, *Exchange) {
		p := newPair(t)
		m, _ := p.ask(t, get("a"), PairwiseMode)
		x := p.hear(t, m)
		if !kept(p.server.Current()) {
			t.Fatal("none to begin with")
		}
		return p, p.server.Current(), x
	}
	t.Run("GO-2.5.1-7 by a new own Sender ID", func(t *testing.T) {
		p, c, _ := served(t)
		n := p.r.renew(t, c, "server", 0x53)
		if kept(c) {
			t.Fatal("kept when the next was derived")
		}
		if _, err := c.pairKeys(c.self, c.peers.get([]byte{0x25})); err != nil { // a late message
			t.Fatal(err)
		}
		if err := p.server.Renew(n); err != nil || kept(c) {
			t.Fatal("kept when the next was installed", err)
		}
	})
	t.Run("GO-2.5.1-7 by a rekey, with the former Security Context", func(t *testing.T) {
		p, c, _ := served(t)
		p.server.Install(p.r.rekeyed(2).at(t, "server", 0), 0, noon)
		if kept(c) {
			t.Fatal("kept")
		}
		p, c, _ = served(t)
		p.server.Install(p.r.rekeyed(2).at(t, "server", 0), time.Minute, noon)
		if p.server.Expire(noon) || !kept(c) {
			t.Fatal("not kept while it receives")
		}
		if !p.server.Expire(noon.Add(time.Minute)) || kept(c) {
			t.Fatal("kept")
		}
	})
	t.Run("GO-2.5.1-7,GO-8.5-1 an exchange over several rekeys takes new ones each time", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), PairwiseMode)
		sx := p.hear(t, m)
		for gid := byte(2); gid < 5; gid++ {
			next := p.r.rekeyed(gid)
			p.server.Install(next.at(t, "server", 0), 0, noon)
			p.client.Install(next.at(t, "client", 0), 0, noon)
			if err := p.learn(p.answer(t, notification("x"), sx, PairwiseMode), cx, noon); err != nil {
				t.Fatal(err)
			}
		}
	})
}

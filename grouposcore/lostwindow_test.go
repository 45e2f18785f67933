package grouposcore

import (
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
)

// respondTo has a member answer a request as if it were the first one heard.
func (r *realm) respondTo(t testing.TB, name string, m message.Message, o ResponseOptions) message.Message {
	t.Helper()
	at := r.at(t, name, 40)
	_, x, _ := hear(t, at, m)
	return answer(t, at, content(name), x, o)
}

func TestResponsesAfterLoss(t *testing.T) {
	for _, mode := range bothModes {
		t.Run("GO-2.6.1.1-2 lost windows under the same Gid: responses to new requests are delivered in "+mode.String()+" mode", func(t *testing.T) {
			r := newRealm(t)
			m, x := ask(t, newRealm(t, func(p *Params) { p.WindowsLost = true }).at(t, "client", 5), observe(), mode, []byte{0x52})
			client := &Context{common: x.origin, self: r.at(t, "client", 0).self}
			_, sx, _ := hear(t, r.at(t, "server", 7), m)
			server := &Context{common: sx.origin, self: sx.server.self}
			for _, a := range bothModes {
				learn(t, client, answer(t, server, notification("x"), sx, ResponseOptions{Mode: a}), x)
			}
			if client.WindowValid([]byte{0x52}) {
				t.Fatal("the window became valid")
			}
			// Requests of that server still have to show that they are fresh.
			_, _, _, err := client.UnprotectRequest(r.from(t, "server", 9))
			wantErr(t, err, ErrWindowInvalid)
		})
	}
	// evicted is a client that deleted the Recipient Context of a server, and an
	// exchange begun before or after that.
	evicted := func(t *testing.T, r *realm) *Context {
		c := r.at(t, "client", 5)
		hear(t, c, r.from(t, "other", 1))
		c.RemoveRecipient([]byte{0x77})
		return c
	}
	t.Run("GO-2.6.1.2-3 after a deletion they are not, whenever the request was made", func(t *testing.T) {
		r := newRealm(t)
		early := r.at(t, "client", 5)
		m, x := ask(t, early, get("a"), GroupMode, nil)
		hear(t, early, r.from(t, "other", 1))
		early.RemoveRecipient([]byte{0x77})
		_, _, err := early.UnprotectResponse(r.respondTo(t, "server", m, ResponseOptions{Mode: GroupMode}), x)
		wantErr(t, err, ErrWindowInvalid)

		late := evicted(t, r)
		m, x = ask(t, late, get("a"), GroupMode, nil)
		_, _, err = late.UnprotectResponse(r.respondTo(t, "server", m, ResponseOptions{Mode: PairwiseMode}), x)
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("GO-2.6.1.2-6,GO-2.6.1.1-2 a new own Sender ID makes responses to later requests deliverable", func(t *testing.T) {
		r := newRealm(t)
		c := evicted(t, r)
		before, bx := ask(t, c, get("a"), GroupMode, nil)
		n := r.renew(t, c, "client", 0x26)
		after, ax := ask(t, n, get("a"), GroupMode, nil)

		_, _, err := n.UnprotectResponse(r.respondTo(t, "server", before, ResponseOptions{Mode: GroupMode}), bx)
		wantErr(t, err, ErrWindowInvalid)
		learn(t, n, r.respondTo(t, "server", after, ResponseOptions{Mode: GroupMode}), ax)
		learn(t, n, r.respondTo(t, "other", after, ResponseOptions{Mode: PairwiseMode}), ax)
		// But not requests: under the same Gid old ones can be replayed.
		for _, name := range []string{"server", "other"} {
			_, _, _, err := n.UnprotectRequest(r.from(t, name, 2))
			wantErr(t, err, ErrWindowInvalid)
		}
	})
	t.Run("GO-2.6.1.2-1 until the next deletion", func(t *testing.T) {
		r := newRealm(t)
		n := r.renew(t, evicted(t, r), "client", 0x26)
		_, _, _, err := n.UnprotectRequest(r.from(t, "server", 1))
		wantErr(t, err, ErrWindowInvalid)
		m, x := ask(t, n, get("a"), GroupMode, nil)
		n.RemoveRecipient([]byte{0x52})
		for _, name := range []string{"server", "other"} {
			_, _, err := n.UnprotectResponse(r.respondTo(t, name, m, ResponseOptions{Mode: GroupMode}), x)
			wantErr(t, err, ErrWindowInvalid)
		}
	})
	t.Run("GO-2.6.1.2-3 a request of another Security Context does not count", func(t *testing.T) {
		p := newPair(t)
		m, cx := p.ask(t, observe(), GroupMode)
		sx := p.hear(t, m)
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		next.params.WindowsLost = true
		p.client.Install(next.at(t, "client", 0), time.Minute, noon)
		wantErr(t, p.learn(p.answer(t, notification("x"), sx, GroupMode), cx, noon), ErrWindowInvalid)
	})
}

func TestOwnKey(t *testing.T) {
	t.Run("GO-7.2-14,GO-8.4-3 own requests under a former Sender ID are not taken", func(t *testing.T) {
		for _, mode := range bothModes {
			r := newRealm(t)
			c := r.at(t, "client", 5)
			m, _ := ask(t, c, get("a"), mode, []byte{0x52})
			n := r.renew(t, c, "client", 0x26)
			_, _, _, err := n.UnprotectRequest(m)
			wantErr(t, err, ErrOwnSenderID)
			if n.Recipients() != map[Mode]int{GroupMode: 0, PairwiseMode: 1}[mode] {
				t.Fatalf("%d recipient contexts", n.Recipients())
			}
		}
	})
	t.Run("nor are responses with the own key", func(t *testing.T) {
		r := newRealm(t)
		twin := r.ids["client"]
		twin.SenderID = []byte{0x99}
		r.add(twin, "twin")
		c := r.at(t, "client", 5)
		m, x := ask(t, c, get("a"), GroupMode, nil)
		r.ids["twin"] = identity(t, []byte{0x99}, "twin")
		out := r.respondTo(t, "twin", m, ResponseOptions{Mode: GroupMode})
		_, _, err := c.UnprotectResponse(out, x)
		wantErr(t, err, ErrOwnSenderID)
	})
}

func TestCredentialChange(t *testing.T) {
	// change gives a member another key under its Sender ID.
	change := func(t *testing.T, r *realm, name string) {
		r.add(identity(t, r.ids[name].SenderID, name+" with another key"), name)
	}
	for _, mode := range bothModes {
		t.Run("GO-2.6.3-2,GO-2.5.4-1 the member goes on with its new credential in "+mode.String()+" mode", func(t *testing.T) {
			r := newRealm(t)
			server := r.at(t, "server", 0)
			former := r.at(t, "client", 5)
			m, _ := ask(t, former, get("a"), mode, []byte{0x52})
			hear(t, server, m)
			late, _ := ask(t, former, get("a"), mode, []byte{0x52})
			change(t, r, "client")
			_, _, _, err := server.UnprotectRequest(late) // made with the former key
			wantErr(t, err, ErrDecryption)
			now := r.at(t, "client", 5)
			replayed, _ := ask(t, now, get("a"), mode, []byte{0x52})
			_, _, _, err = server.UnprotectRequest(replayed) // Partial IV 5 was received
			wantErr(t, err, ErrReplay)
			m, _ = ask(t, now, get("a"), mode, []byte{0x52})
			_, _, s := hear(t, server, m)
			if s.Credential != r.ids["client"].Credential {
				t.Fatal("reported under the former credential")
			}
			if server.Recipients() != 1 || server.peers.sticky() {
				t.Fatal("counted as a deletion")
			}
		})
	}
	t.Run("GO-2.5.4-1,GO-8.1-1 pairwise requests go to the new key", func(t *testing.T) {
		r := newRealm(t)
		client := r.at(t, "client", 0)
		ask(t, client, get("a"), PairwiseMode, []byte{0x52})
		change(t, r, "server")
		m, _ := ask(t, client, get("a"), PairwiseMode, []byte{0x52})
		hear(t, r.at(t, "server", 0), m)
	})
	t.Run("GO-7.2-4 a credential taken back ends it, and the window is there when it is back", func(t *testing.T) {
		r := newRealm(t)
		server := r.at(t, "server", 0)
		old := r.from(t, "client", 1)
		hear(t, server, old)
		r.creds.Set([]byte{0x25}, nil)
		_, _, _, err := server.UnprotectRequest(r.from(t, "client", 2))
		wantErr(t, err, ErrNoCredential)
		r.creds.Set([]byte{0x25}, r.ids["client"].Credential)
		_, _, _, err = server.UnprotectRequest(old)
		wantErr(t, err, ErrReplay)
		hear(t, server, r.from(t, "client", 2))
	})
	t.Run("what was in work under the former credential is not accepted", func(t *testing.T) {
		r := newRealm(t)
		server := r.at(t, "server", 0)
		hear(t, server, r.from(t, "client", 1))
		former := server.peers.get([]byte{0x25})
		change(t, r, "client")
		if _, err := server.recipient([]byte{0x25}); err != nil {
			t.Fatal(err)
		}
		_, err := former.accept(2)
		wantErr(t, err, ErrStale)
		_, err = server.peers.admit(former)
		wantErr(t, err, ErrStale)
		wantErr(t, former.confirm(2, false), ErrStale)
		if former.check(2) != nil || former.valid() || former.bornBy(9) {
			t.Fatal("the former one still judges")
		}
		n, err := server.newRecipient([]byte{0x25}, r.ids["client"].Credential)
		if err != nil {
			t.Fatal(err)
		}
		if got := server.peers.replace(former, n); got != n { // somebody else was faster
			t.Fatal("replaced")
		}
	})
	t.Run("an open exchange follows", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, observe(), GroupMode)
		learn(t, d.client, answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode}), d.cx)
		late := answer(t, d.server, notification("y"), d.sx, ResponseOptions{Mode: GroupMode})
		change(t, r, "server")
		_, _, err := d.client.UnprotectResponse(late, d.cx)
		if !errors.Is(err, ErrDecryption) {
			t.Fatal(err)
		}
	})
}

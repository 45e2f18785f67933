package grouposcore

import (
	"bytes"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// from protects a group mode request of a member.
func (r *realm) from(t testing.TB, name string, seq uint64) message.Message {
	t.Helper()
	m, _ := ask(t, r.at(t, name, seq), get("a"), GroupMode, nil)
	return m
}

func TestDeletedRecipients(t *testing.T) {
	t.Run("GO-2.6.1.2-1 after a deletion every new Recipient Context starts invalid, of any peer", func(t *testing.T) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 1))
		if !s.RemoveRecipient([]byte{0x25}) || s.RemoveRecipient([]byte{0x25}) {
			t.Fatal("removal")
		}
		for _, name := range []string{"client", "other"} {
			_, _, _, err := s.UnprotectRequest(r.from(t, name, 9))
			wantErr(t, err, ErrWindowInvalid)
			if s.WindowValid(r.ids[name].SenderID) {
				t.Fatal("window is valid")
			}
		}
	})
	t.Run("GO-2.6.1.2-1 windows there before stay valid", func(t *testing.T) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 1))
		hear(t, s, r.from(t, "other", 1))
		s.RemoveRecipient([]byte{0x25})
		hear(t, s, r.from(t, "other", 2))
	})
	t.Run("GO-2.6.1.2-2,GO-7.2-13,GO-8.4-2,GO-8.4-3 what a message created that then failed counts for nothing", func(t *testing.T) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		pair, _ := ask(t, r.at(t, "client", 0), get("a"), PairwiseMode, []byte{0x52})
		for _, m := range []message.Message{flip(r.from(t, "client", 1), 0), flip(pair, 0)} {
			_, _, _, err := s.UnprotectRequest(m)
			wantErr(t, err, ErrDecryption)
		}
		if s.Recipients() != 0 || !s.WindowValid([]byte{0x25}) {
			t.Fatal("left behind")
		}
		hear(t, s, r.from(t, "other", 1))
	})
	t.Run("GO-2.2-4,GO-2.6.1.2-7 a bounded number, the least recently used goes and is told", func(t *testing.T) {
		var gone []byte
		r := newRealm(t, func(p *Params) {
			p.MaxRecipients = 2
			p.OnDelete = func(id []byte) { gone = id }
		})
		r.add(identity(t, []byte{0x11}, "third"), "third")
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 1))
		hear(t, s, r.from(t, "other", 1))
		hear(t, s, r.from(t, "client", 2))
		_, _, _, err := s.UnprotectRequest(r.from(t, "third", 1))
		wantErr(t, err, ErrWindowInvalid)
		wantBytes(t, "deleted", gone, []byte{0x77})
		if s.Recipients() != 2 {
			t.Fatalf("%d kept", s.Recipients())
		}
		hear(t, s, r.from(t, "client", 3))
	})
	t.Run("GO-12.2-15 all are dropped when the stale set is not known", func(t *testing.T) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 1))
		hear(t, s, r.from(t, "other", 1))
		s.PurgeAll()
		if s.Recipients() != 0 {
			t.Fatal("some are left")
		}
	})
	t.Run("GO-2.6.1.1-4 lost windows under the same Gid are invalid", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.WindowsLost = true })
		s := r.at(t, "server", 0)
		_, _, _, err := s.UnprotectRequest(r.from(t, "client", 1))
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("GO-2.6.1.2-3 a response under an invalid window is not delivered", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, get("a"), GroupMode)
		hear(t, d.client, r.from(t, "other", 1))
		d.client.RemoveRecipient([]byte{0x77})
		m := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode})
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("GO-2.6.1.2-3 an exchange keeps the servers it heard when the table evicts them", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.MaxRecipients = 1 })
		d := newDialog(t, r, observe(), GroupMode)
		next := func() message.Message {
			return answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode})
		}
		learn(t, d.client, next(), d.cx)
		if _, _, _, err := d.client.UnprotectRequest(r.from(t, "other", 1)); err != ErrWindowInvalid {
			t.Fatal(err)
		}
		learn(t, d.client, next(), d.cx)
	})
	t.Run("GO-12.2-12 but not those that were removed on purpose", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, observe(), GroupMode)
		m := answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode})
		learn(t, d.client, m, d.cx)
		d.client.PurgeStale([][]byte{{0x52}})
		_, _, err := d.client.UnprotectResponse(answer(t, d.server, notification("y"), d.sx, ResponseOptions{Mode: GroupMode}), d.cx)
		wantErr(t, err, ErrStale)
		d.server.PurgeStale([][]byte{{0x25}})
		_, err = d.server.ProtectResponse(content("z"), d.sx, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrStale)
	})
	t.Run("GO-14.1.1-1 a former member's messages are rejected", func(t *testing.T) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 1))
		late := r.from(t, "client", 2)
		s.PurgeStale([][]byte{{0x25}, {0x77}}) // the one heard and one that was not
		for _, m := range []message.Message{late, r.from(t, "other", 1)} {
			_, _, _, err := s.UnprotectRequest(m)
			wantErr(t, err, ErrStale)
		}
		// Nor one whose message was being verified meanwhile.
		other, err := s.newRecipient([]byte{0x77}, r.ids["other"].Credential)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.peers.admit(other)
		wantErr(t, err, ErrStale)
	})
	t.Run("GO-14.1.1-1 a former member re-signs a stored message with the present keystream, with AES-CTR", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR })
		stored := r.from(t, "client", 2)
		g := NewGroup(r.at(t, "server", 0))
		g.PurgeStale([][]byte{{0x25}})
		r.creds.Set([]byte{0x25}, nil) // the Group Manager said so
		next := r.rekeyed(2)
		g.Install(next.at(t, "server", 0), 0, noon)
		// What a signature checker knows: Gid, algorithms, Signature Encryption Key.
		c := g.Current()
		o := option(t, stored)
		o.KIDContext = c.gid
		forged := reoption(stored, o)
		ciphertext := forged.Payload[:len(forged.Payload)-64]
		s := new(scratch)
		evil := r.ids["client"]
		aad := c.appendExternalAAD(nil, binding{o.KID, o.PIV, c.gid}, rawOption(forged), evil.Credential)
		sig, err := evil.PrivateKey.Sign(c.params.Signature, cose.AppendCountersignStructure(nil, c.params.Countersign, aad, ciphertext))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.xorKeystream(s, sig, o.PIV, o.KID, true); err != nil {
			t.Fatal(err)
		}
		forged.Payload = append(bytes.Clone(ciphertext), sig...)
		_, _, _, err = g.UnprotectRequest(forged, noon)
		wantErr(t, err, ErrNoCredential)
		// It is the missing credential that stops it, and nothing else.
		r.creds.Set([]byte{0x25}, evil.Credential)
		if _, _, _, err := g.UnprotectRequest(forged, noon); errors.Is(err, ErrDecryption) {
			t.Fatal("the test forges badly")
		}
	})
	t.Run("GO-12.2-12,GO-12.2-15 a stale client gets no response, though the table has evicted it before", func(t *testing.T) {
		for name, purge := range map[string]func(*Context){
			"purged": func(c *Context) { c.PurgeStale([][]byte{{0x25}}) }, "emptied": (*Context).PurgeAll,
		} {
			r := newRealm(t, func(p *Params) { p.MaxRecipients = 1 })
			d := newDialog(t, r, observe(), PairwiseMode)
			if _, _, _, err := d.server.UnprotectRequest(r.from(t, "other", 1)); err != ErrWindowInvalid {
				t.Fatal(err)
			}
			answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: PairwiseMode})
			purge(d.server)
			next := r.rekeyed(2).at(t, "server", 0)
			for _, mode := range bothModes {
				_, err := next.ProtectResponse(notification("y"), d.sx, ResponseOptions{Mode: mode})
				if !errors.Is(err, ErrStale) {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	})
}

// echoed adds an Echo option to a request.
func echoed(m message.Message, value string) message.Message {
	m.Options = coapmsg.Insert(append(message.Options{}, m.Options...), message.Option{ID: coapmsg.Echo, Value: []byte(value)})
	return m
}

// challenge is a 4.01 with nothing but Echo.
func challenge(value string) message.Message {
	m := content("")
	m.Code, m.Payload = codes.Unauthorized, nil
	m.Options = message.Options{{ID: coapmsg.Echo, Value: []byte(value)}}
	return m
}

func TestConfirmFresh(t *testing.T) {
	r := newRealm(t, func(p *Params) { p.WindowsLost = true })
	r2 := newRealm(t) // the client's side has lost nothing
	t.Run("GO-9-1,GO-9-2,GO-9-7,GO-9-8,GO-9-13,GO-2.6.1.2-4,GO-2.6.1.2-5 a challenge and its answer", func(t *testing.T) {
		client, server := r2.at(t, "client", 5), r.at(t, "server", 0)
		m, cx := ask(t, client, get("a"), GroupMode, nil)
		in, sx, sender, err := server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
		if p, _ := in.Options.Path(); p != "/a" || sender.Credential != r.ids["client"].Credential {
			t.Fatal("not verified")
		}
		out := answer(t, server, challenge("e1"), sx, ResponseOptions{Mode: GroupMode})
		if option(t, out).PIV == nil || coapmsg.Has(out.Options, coapmsg.Echo) {
			t.Fatal("challenge without partial iv, or with an outer echo")
		}
		got, _ := learn(t, client, out, cx)
		v, _ := coapmsg.Get(got.Options, coapmsg.Echo)
		m2, cx2 := ask(t, client, echoed(get("a"), string(v)), PairwiseMode, []byte{0x52})
		in, sx2, _, err := server.UnprotectRequest(m2)
		wantErr(t, err, ErrWindowInvalid)
		if v, _ := coapmsg.Get(in.Options, coapmsg.Echo); string(v) != "e1" {
			t.Fatalf("echo %q", v)
		}
		if err := server.ConfirmFresh(sx2); err != nil {
			t.Fatal(err)
		}
		if !server.WindowValid([]byte{0x25}) {
			t.Fatal("window is not valid")
		}
		out = answer(t, server, content("ok"), sx2, ResponseOptions{Mode: PairwiseMode})
		learn(t, client, out, cx2)
		if option(t, out).PIV == nil {
			t.Fatal("the nonce of a request that came under an invalid window was used")
		}
		// The confirmed number is the lower limit; above it all is open.
		for _, old := range []message.Message{m, m2} {
			_, _, _, err := server.UnprotectRequest(old)
			wantErr(t, err, ErrReplay)
		}
		m3, _ := ask(t, client, get("a"), GroupMode, nil)
		hear(t, server, m3)
	})
	t.Run("GO-2.6.1.2-3 a challenge does not make the window valid", func(t *testing.T) {
		client, server := r2.at(t, "client", 5), r.at(t, "server", 0)
		for range 3 {
			m, _ := ask(t, client, get("a"), GroupMode, nil)
			_, _, _, err := server.UnprotectRequest(m)
			wantErr(t, err, ErrWindowInvalid)
		}
	})
	t.Run("GO-9-14 with a valid window its own verdict counts", func(t *testing.T) {
		client, server := r2.at(t, "client", 5), r.at(t, "server", 0)
		m, _ := ask(t, client, echoed(get("a"), "e"), GroupMode, nil)
		_, a, _, err := server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
		_, b, _, err := server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
		if err := server.ConfirmFresh(a); err != nil {
			t.Fatal(err)
		}
		wantErr(t, server.ConfirmFresh(b), ErrReplay)
		wantErr(t, server.ConfirmFresh(a), ErrReplay)
	})
	t.Run("GO-9-14 a request accepted by a valid window needs no more", func(t *testing.T) {
		client, server := r2.at(t, "client", 5), r2.at(t, "server", 0)
		m, _ := ask(t, client, get("a"), GroupMode, nil)
		_, x, _ := hear(t, server, m)
		if err := server.ConfirmFresh(x); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a client's exchange, or another context's, confirms nothing", func(t *testing.T) {
		client, server := r2.at(t, "client", 5), r.at(t, "server", 0)
		m, cx := ask(t, client, get("a"), GroupMode, nil)
		_, sx, _, err := server.UnprotectRequest(m)
		wantErr(t, err, ErrWindowInvalid)
		wantErr(t, client.ConfirmFresh(cx), ErrExchange)
		wantErr(t, client.ConfirmFresh(sx), ErrExchange)
		wantErr(t, client.ConfirmFresh(nil), ErrExchange)
		server.RemoveRecipient([]byte{0x25})
		wantErr(t, server.ConfirmFresh(sx), ErrStale)
	})
}

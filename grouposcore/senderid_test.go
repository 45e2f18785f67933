package grouposcore

import (
	"bytes"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
)

// renew gives a member of the realm another Sender ID.
func (r *realm) renew(t testing.TB, c *Context, name string, id byte) *Context {
	t.Helper()
	who := r.ids[name]
	who.SenderID = []byte{id}
	r.creds.Set(who.SenderID, who.Credential)
	n, err := c.Renew(who, numbers(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNewSenderID(t *testing.T) {
	t.Run("GO-2.6.3.1-1 new key, numbers from 0, same Gid and windows", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, get("a"), GroupMode)
		n := r.renew(t, d.server, "server", 0x53)
		if bytes.Equal(n.self.key, d.server.self.key) || n.common != d.server.common {
			t.Fatal("not renewed")
		}
		m, _ := ask(t, n, get("a"), GroupMode, nil)
		wantBytes(t, "option", rawOption(m), unhex(t, "39000344616c53"))
	})
	t.Run("GO-7.3-4 a response under the new Sender ID has its own Partial IV", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, get("a"), PairwiseMode)
		n := r.renew(t, d.server, "server", 0x53)
		m := answer(t, n, content("x"), d.sx, ResponseOptions{Mode: PairwiseMode, OmitKID: true})
		wantBytes(t, "option", rawOption(m), unhex(t, "090053"))
	})
	for _, mode := range bothModes {
		id := map[Mode]string{GroupMode: "GO-7.3-10", PairwiseMode: "GO-8.5-3"}[mode]
		t.Run(id+" the kid is told once to each client in "+mode.String()+" mode", func(t *testing.T) {
			r := newRealm(t)
			client := r.at(t, "client", 0)
			n := r.renew(t, r.at(t, "server", 0), "server", 0x53)
			for _, want := range []bool{true, false} {
				m, x := ask(t, client, get("a"), PairwiseMode, []byte{0x53})
				_, sx, _ := hear(t, n, m)
				out := answer(t, n, content("x"), sx, ResponseOptions{Mode: mode, OmitKID: true})
				if got := option(t, out).KID != nil; got != want {
					t.Fatalf("kid told: %v, not %v", got, want)
				}
				learn(t, client, out, x)
			}
		})
		t.Run("GO-7.4-8,GO-7.4-9,GO-8.6-3 the intended server is known by its key in "+mode.String()+" mode", func(t *testing.T) {
			r := newRealm(t)
			d := newDialog(t, r, observe(), PairwiseMode)
			n := r.renew(t, d.server, "server", 0x53)
			m := answer(t, n, notification("x"), d.sx, ResponseOptions{Mode: mode})
			_, s := learn(t, d.client, m, d.cx)
			wantBytes(t, "server", s.ID, []byte{0x53})
			// From now on a missing kid means the new Sender ID.
			m = answer(t, n, notification("y"), d.sx, ResponseOptions{Mode: mode})
			o := option(t, m)
			o.KID = nil
			if _, _, err := d.client.UnprotectResponse(reoption(m, o), d.cx); !errors.Is(err, ErrDecryption) {
				t.Fatalf("option changed: %v", err)
			}
			wantBytes(t, "intended server", d.cx.client.intended.id, []byte{0x53})
		})
	}
	t.Run("GO-7.4-13,GO-7.4-14,GO-7.4-15 another kid from the same server later in the exchange", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, observe(), GroupMode)
		learn(t, d.client, answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode, PIV: true}), d.cx)
		n := r.renew(t, d.server, "server", 0x53)
		_, _, err := d.client.UnprotectResponse(answer(t, n, notification("y"), d.sx, ResponseOptions{Mode: GroupMode}), d.cx)
		wantErr(t, err, ErrSenderIDChanged)
		learn(t, d.client, answer(t, d.server, notification("z"), d.sx, ResponseOptions{Mode: GroupMode}), d.cx)
	})
	t.Run("GO-7.4-19 without kid, the keys of kid1 do not fit", func(t *testing.T) {
		r := newRealm(t)
		d := newDialog(t, r, observe(), PairwiseMode)
		learn(t, d.client, answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: PairwiseMode, PIV: true}), d.cx)
		n := r.renew(t, d.server, "server", 0x53)
		n.self.renewed = false // a server that does not tell
		d.sx.server.self = n.self
		m := answer(t, n, notification("y"), d.sx, ResponseOptions{Mode: PairwiseMode, PIV: true, OmitKID: true})
		if option(t, m).KID != nil {
			t.Fatal("kid told")
		}
		m2 := m
		if o := option(t, m); o.PIV[0] == 0 { // above the Response Number, as it may be
			for range 9 {
				m2 = answer(t, n, notification("y"), d.sx, ResponseOptions{Mode: PairwiseMode, PIV: true, OmitKID: true})
			}
		}
		_, _, err := d.client.UnprotectResponse(m2, d.cx)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-7.1-2,GO-7.4-4,GO-5.1-3,GO-8.3-2 the client's exchange survives its own new Sender ID", func(t *testing.T) {
		for _, mode := range bothModes {
			r := newRealm(t)
			d := newDialog(t, r, observe(), mode)
			n := r.renew(t, d.client, "client", 0x26)
			for _, m := range []message.Message{
				answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode}),
				answer(t, d.server, notification("y"), d.sx, ResponseOptions{Mode: PairwiseMode}),
			} {
				learn(t, n, m, d.cx)
			}
			wantBytes(t, "stored kid", d.cx.KID(), []byte{0x25})
		}
	})
	t.Run("renewal needs another Sender ID", func(t *testing.T) {
		r := newRealm(t)
		c := r.at(t, "client", 0)
		_, err := c.Renew(r.ids["client"], numbers(t, 0))
		wantErr(t, err, ErrParams)
		_, err = c.Renew(Identity{}, numbers(t, 0))
		wantErr(t, err, ErrParams)
	})
}

package grouposcore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"pgregory.net/rapid"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// ledger knows every (key, nonce) used to encrypt, and by which message.
type ledger map[string]string

// note computes key and nonce of a message just protected from what it carries;
// it is an error if they were used before.
func (l ledger) note(c *Context, m message.Message, mode Mode, request bool, x *Exchange, peer string) error {
	v := rawOption(m)
	o, err := coapmsg.ParseOSCOREOption(v)
	if err != nil {
		return err
	}
	e := &envelope{mode: mode, request: request, req: x.req, genID: x.req.kid, piv: x.req.piv}
	if o.PIV != nil {
		e.genID, e.piv = c.self.id, o.PIV
	}
	key := string(c.self.key)
	if mode == PairwiseMode {
		key += "for " + peer
	}
	id := fmt.Sprintf("%x %x", key, c.nonce(new(scratch), e))
	what := fmt.Sprintf("request %v, option %x, payload %x", request, v, m.Payload)
	if before, ok := l[id]; ok {
		return fmt.Errorf("key and nonce used twice:\n %s\n %s", before, what)
	}
	l[id] = what
	return nil
}

func (w *world) note(c *Context, m message.Message, mode Mode, request bool, x *Exchange, peer string) {
	if err := w.used.note(c, m, mode, request, x, peer); err != nil {
		w.t.Fatal(err)
	}
}

// world is two members, their old messages, and an attacker who replays them.
type world struct {
	t        *rapid.T
	tb       testing.TB
	r        *realm
	client   *Context
	server   *Context
	used     ledger
	gid      byte
	id       byte
	requests []message.Message
	open     []*Exchange // the server's
}

func (w *world) mode(label string) Mode {
	return Mode(1 + rapid.IntRange(0, 1).Draw(w.t, label))
}

// request makes a request, and delivers it or not.
func (w *world) request() {
	mode := w.mode("request mode")
	m, x, err := w.client.ProtectRequest(observe(), mode.request(w.server.self.id))
	if err != nil {
		w.t.Fatal(err)
	}
	w.note(w.client, m, mode, true, x, "server")
	w.requests = append(w.requests, m)
	w.deliver(m, rapid.Bool().Draw(w.t, "fresh"))
}

// deliver gives a request to the server, as the network or an attacker would.
func (w *world) deliver(m message.Message, confirm bool) {
	_, x, _, err := w.server.UnprotectRequest(m)
	if x == nil {
		return
	}
	w.open = append(w.open, x)
	if errors.Is(err, ErrWindowInvalid) {
		w.respond(x) // a challenge
		if confirm {
			_ = w.server.ConfirmFresh(x)
		}
	}
}

func (w *world) replay() {
	if len(w.requests) > 0 {
		w.deliver(w.requests[rapid.IntRange(0, len(w.requests)-1).Draw(w.t, "which")], false)
	}
}

// respond answers once more in an exchange, whatever happened since.
func (w *world) respond(x *Exchange) {
	o := ResponseOptions{
		Mode: w.mode("response mode"), PIV: rapid.Bool().Draw(w.t, "piv"), OmitKID: rapid.Bool().Draw(w.t, "omit kid"),
	}
	m, err := w.server.ProtectResponse(notification("x"), x, o)
	if errors.Is(err, ErrStale) {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.note(w.server, m, o.Mode, false, x, "client")
}

func (w *world) respondAny() {
	if len(w.open) > 0 {
		w.respond(w.open[rapid.IntRange(0, len(w.open)-1).Draw(w.t, "exchange")])
	}
}

func (w *world) rekey() {
	w.gid++
	next := w.r.rekeyed(w.gid)
	w.client = w.context(next, w.client, "client")
	w.server = w.context(next, w.server, "server")
}

// context derives a member's context with its present Sender ID.
func (w *world) context(r *realm, c *Context, name string) *Context {
	id := w.r.ids[name]
	id.SenderID = c.SenderID()
	n, err := NewContext(r.params, id, oscore.NewEphemeralSequence(), r.creds)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// renew gives one member another Sender ID.
func (w *world) renew() {
	w.id++
	name, c := "client", &w.client
	if rapid.Bool().Draw(w.t, "server renewed") {
		name, c = "server", &w.server
	}
	id := w.r.ids[name]
	id.SenderID = []byte{0x80, w.id}
	w.r.creds.Set(id.SenderID, id.Credential)
	n, err := (*c).Renew(id, oscore.NewEphemeralSequence())
	if err != nil {
		w.t.Fatal(err)
	}
	*c = n
}

// evict makes the server forget a client's window.
func (w *world) evict() { w.server.RemoveRecipient(w.client.self.id) }

func TestKeyNonce(t *testing.T) {
	t.Run("the ledger notices a planted reuse", func(t *testing.T) {
		r := newRealm(t)
		for _, mode := range bothModes {
			used := ledger{}
			for i, seq := range []uint64{5, 6, 5} {
				c := r.at(t, "client", seq)
				m, x := ask(t, c, get("a"), mode, []byte{0x52})
				if err := used.note(c, m, mode, true, x, "server"); (err != nil) != (i == 2) {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			// A response that takes the request's nonce a second time.
			d := newDialog(t, r, get("a"), mode)
			used = ledger{}
			for i := range 2 {
				d.sx.server.answered = false
				m := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: mode})
				if err := used.note(d.server, m, mode, false, d.sx, "client"); (err != nil) != (i == 1) {
					t.Fatalf("response %d: %v", i, err)
				}
			}
		}
	})
	t.Run("GO-14.3-1 no key and nonce twice over modes, replays, evictions, new Sender IDs and rekeys", func(tb *testing.T) {
		rapid.Check(tb, func(t *rapid.T) {
			r := newRealm(tb)
			w := &world{t: t, tb: tb, r: r, used: ledger{}, gid: 1}
			for name, c := range map[string]**Context{"client": &w.client, "server": &w.server} {
				n, err := NewContext(r.params, r.ids[name], oscore.NewEphemeralSequence(), r.creds)
				if err != nil {
					t.Fatal(err)
				}
				*c = n
			}
			t.Repeat(map[string]func(*rapid.T){
				"request": func(*rapid.T) { w.request() },
				"replay":  func(*rapid.T) { w.replay() },
				"respond": func(*rapid.T) { w.respondAny() },
				"rekey":   func(*rapid.T) { w.rekey() },
				"renew":   func(*rapid.T) { w.renew() },
				"evict":   func(*rapid.T) { w.evict() },
			})
		})
	})
}

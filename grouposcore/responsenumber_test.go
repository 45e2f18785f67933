package grouposcore

import (
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestResponseNumber(t *testing.T) {
	r := newRealm(t)
	// notify gives responses with and without Partial IV, in order.
	notify := func(t *testing.T, d *dialog, n int) []message.Message {
		var out []message.Message
		for range n {
			out = append(out, answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode}))
		}
		return out
	}
	for _, mode := range bothModes {
		t.Run("GO-5.3.1-4,GO-8.6-1 the same Partial IV twice, "+mode.String()+" request", func(t *testing.T) {
			d := newDialog(t, r, observe(), mode)
			m := notify(t, d, 2)
			learn(t, d.client, m[1], d.cx)
			_, _, err := d.client.UnprotectResponse(m[1], d.cx)
			wantErr(t, err, ErrReplay)
		})
		t.Run("GO-5.3.1-3,GO-8.6-1 a second response without Partial IV, "+mode.String()+" request", func(t *testing.T) {
			d := newDialog(t, r, observe(), mode)
			m := notify(t, d, 1)
			learn(t, d.client, m[0], d.cx)
			_, _, err := d.client.UnprotectResponse(m[0], d.cx)
			wantErr(t, err, ErrReplay)
		})
	}
	t.Run("GO-5.3.1-5,GO-5.3.1-6 only greater Partial IVs are accepted", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		m := notify(t, d, 4)
		learn(t, d.client, m[2], d.cx)
		_, _, err := d.client.UnprotectResponse(m[1], d.cx)
		wantErr(t, err, ErrReplay)
		learn(t, d.client, m[3], d.cx)
	})
	t.Run("GO-5.3.1-5,GO-5.3.1-4 a permissive client takes late ones once, as far as its window reaches", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.LateResponses, p.ReplayWindow = true, 4 })
		d := newDialog(t, r, observe(), GroupMode)
		m := notify(t, d, 8) // without Partial IV, then 7 to 13
		learn(t, d.client, m[6], d.cx)
		for _, i := range []int{4, 5, 7} {
			learn(t, d.client, m[i], d.cx)
		}
		for _, i := range []int{1, 3, 4, 5, 6, 7} { // 7 and 9 are too old
			_, _, err := d.client.UnprotectResponse(m[i], d.cx)
			wantErr(t, err, ErrReplay)
		}
		learn(t, d.client, m[0], d.cx)
		_, _, err := d.client.UnprotectResponse(m[0], d.cx)
		wantErr(t, err, ErrReplay)
		if n := d.cx.client.first.responses[0].number; n != 13 {
			t.Fatalf("response number %d", n)
		}
	})
	t.Run("GO-5.3.1-5 its windows are of one server and one Security Context", func(t *testing.T) {
		p := newPair(t)
		p.r = newRealm(t, func(p *Params) { p.LateResponses = true })
		p.client, p.server = NewGroup(p.r.at(t, "client", 5)), NewGroup(p.r.at(t, "server", 40))
		m, cx := p.ask(t, observe(), GroupMode)
		other := p.r.at(t, "other", 7)
		_, ox, _ := hear(t, other, m)
		sx := p.hear(t, m)
		p.answer(t, notification("0"), sx, GroupMode)
		for range 3 {
			if err := p.learn(p.answer(t, notification("x"), sx, GroupMode), cx, noon); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.learn(answer(t, other, notification("x"), ox, ResponseOptions{Mode: GroupMode, PIV: true}), cx, noon); err != nil {
			t.Fatal(err)
		}
		next := p.r.rekeyed(2)
		p.server.Install(next.at(t, "server", 0), 0, noon)
		p.client.Install(next.at(t, "client", 0), 0, noon)
		late := p.answer(t, notification("y"), sx, GroupMode)
		for _, m := range []message.Message{p.answer(t, notification("z"), sx, GroupMode), late} {
			if err := p.learn(m, cx, noon); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("GO-5.3.1-3 without Partial IV counts as the oldest", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		m := notify(t, d, 2)
		learn(t, d.client, m[1], d.cx)
		_, _, err := d.client.UnprotectResponse(m[0], d.cx)
		wantErr(t, err, ErrReplay)
	})
	t.Run("GO-5.3.1-2 the first Partial IV sets the number, also after one without", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		for _, m := range notify(t, d, 3) {
			learn(t, d.client, m, d.cx)
		}
	})
	t.Run("GO-5.3.1-7 the Observe value orders notifications by Partial IV", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		m := notify(t, d, 2)
		in, s := learn(t, d.client, m[1], d.cx)
		v, _ := coapmsg.Get(in.Options, message.Observe)
		wantBytes(t, "observe", v, []byte{7})
		wantBytes(t, "partial iv", s.PartialIV, []byte{7})
	})
	t.Run("GO-5.1-1 a number per server", func(t *testing.T) {
		client := r.at(t, "client", 0)
		m, x := ask(t, client, observe(), GroupMode, nil)
		for _, name := range []string{"server", "other"} {
			at := r.at(t, name, 20)
			_, sx, _ := hear(t, at, m)
			learn(t, client, answer(t, at, notification("x"), sx, ResponseOptions{Mode: GroupMode, PIV: true}), x)
		}
	})
	t.Run("GO-5.1-1 a number per exchange", func(t *testing.T) {
		client, server := r.at(t, "client", 0), r.at(t, "server", 20)
		a, ax := ask(t, client, observe(), GroupMode, nil)
		b, bx := ask(t, client, observe(), GroupMode, nil)
		_, as, _ := hear(t, server, a)
		_, bs, _ := hear(t, server, b)
		first := answer(t, server, notification("x"), as, ResponseOptions{Mode: GroupMode, PIV: true})
		second := answer(t, server, notification("x"), bs, ResponseOptions{Mode: GroupMode, PIV: true})
		learn(t, client, second, bx)
		learn(t, client, first, ax)
	})
	t.Run("GO-5.3.1-8 a pairwise request without Observe has one response", func(t *testing.T) {
		d := newDialog(t, r, get("a"), PairwiseMode)
		learn(t, d.client, answer(t, d.server, content("1"), d.sx, ResponseOptions{Mode: PairwiseMode}), d.cx)
		_, _, err := d.client.UnprotectResponse(answer(t, d.server, content("2"), d.sx, ResponseOptions{Mode: PairwiseMode}), d.cx)
		wantErr(t, err, ErrExchangeDone)
	})
	t.Run("GO-5.3.1-8 nor has a group mode request to one server, nor the end of an observation", func(t *testing.T) {
		client, server := r.at(t, "client", 0), r.at(t, "server", 0)
		for _, o := range []RequestOptions{{Mode: GroupMode, Unicast: true}, {Mode: PairwiseMode, To: []byte{0x52}}} {
			m, x, err := client.ProtectRequest(observe(1), o)
			if err != nil {
				t.Fatal(err)
			}
			_, sx, _ := hear(t, server, m)
			learn(t, client, answer(t, server, content("1"), sx, ResponseOptions{Mode: GroupMode}), x)
			_, _, err = client.UnprotectResponse(answer(t, server, content("2"), sx, ResponseOptions{Mode: GroupMode}), x)
			wantErr(t, err, ErrExchangeDone)
		}
	})
	t.Run("GO-1.1-2 a group request is a long exchange without Observe", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		for i := range 3 {
			learn(t, d.client, answer(t, d.server, content(string(rune('a'+i))), d.sx, ResponseOptions{Mode: GroupMode}), d.cx)
		}
	})
	t.Run("GO-5.3.1-6 concurrent copies of one response: one is accepted", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		m := notify(t, d, 2)[1]
		results := make(chan error, 8)
		for range cap(results) {
			go func() {
				_, _, err := d.client.UnprotectResponse(m, d.cx)
				results <- err
			}()
		}
		accepted := 0
		for range cap(results) {
			if err := <-results; err == nil {
				accepted++
			} else if !errors.Is(err, ErrReplay) {
				t.Errorf("%v", err)
			}
		}
		if accepted != 1 {
			t.Fatalf("%d accepted", accepted)
		}
	})
}

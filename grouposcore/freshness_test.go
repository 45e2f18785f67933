package grouposcore

import (
	"fmt"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestFreshnessPolicies(t *testing.T) {
	echo := func(p *Params) { p.Freshness = RequireEcho }
	for _, mode := range bothModes {
		t.Run("GO-9-15,GO-5.2-2,GO-9-18 echo: nothing is delivered before one request was verified by Echo, "+mode.String()+" mode", func(t *testing.T) {
			r := newRealm(t, echo)
			client, server := newRealm(t).at(t, "client", 5), r.at(t, "server", 0)
			first, cx := ask(t, client, get("a"), mode, []byte{0x52})
			_, sx, _, err := server.UnprotectRequest(first)
			wantErr(t, err, ErrNotFresh)
			learn(t, client, answer(t, server, challenge("e1"), sx, ResponseOptions{Mode: mode, PIV: true}), cx)
			_, _, _, err = server.UnprotectRequest(first) // the number is spent, delivered or not
			wantErr(t, err, ErrReplay)
			second, cx := ask(t, client, echoed(get("a"), "e1"), PairwiseMode, []byte{0x52})
			in, sx, _, err := server.UnprotectRequest(second)
			wantErr(t, err, ErrNotFresh)
			if v, _ := coapmsg.Get(in.Options, coapmsg.Echo); string(v) != "e1" {
				t.Fatalf("echo %q", v)
			}
			if err := server.ConfirmFresh(sx); err != nil {
				t.Fatal(err)
			}
			out := answer(t, server, content("ok"), sx, ResponseOptions{Mode: PairwiseMode, OmitKID: true})
			if len(rawOption(out)) != 0 {
				t.Fatal("its number was received once: the request's nonce may serve")
			}
			learn(t, client, out, cx)
			wantErr(t, server.ConfirmFresh(sx), ErrReplay)
			third, _ := ask(t, client, get("a"), mode, []byte{0x52})
			hear(t, server, third)
		})
	}
	t.Run("GO-9-15 each client for itself, and again under the next Security Context", func(t *testing.T) {
		r := newRealm(t, echo)
		server := r.at(t, "server", 0)
		_, x, _, err := server.UnprotectRequest(r.from(t, "client", 1))
		wantErr(t, err, ErrNotFresh)
		if err := server.ConfirmFresh(x); err != nil {
			t.Fatal(err)
		}
		hear(t, server, r.from(t, "client", 2))
		_, _, _, err = server.UnprotectRequest(r.from(t, "other", 1))
		wantErr(t, err, ErrNotFresh)
		next := r.rekeyed(2)
		_, _, _, err = next.at(t, "server", 0).UnprotectRequest(next.from(t, "client", 0))
		wantErr(t, err, ErrNotFresh)
	})
	t.Run("GO-9-13 echo under an invalid window: one challenge does for both", func(t *testing.T) {
		r := newRealm(t, echo, func(p *Params) { p.WindowsLost = true })
		server := r.at(t, "server", 0)
		_, x, _, err := server.UnprotectRequest(r.from(t, "client", 5))
		wantErr(t, err, ErrWindowInvalid)
		if err := server.ConfirmFresh(x); err != nil {
			t.Fatal(err)
		}
		hear(t, server, r.from(t, "client", 6))
		_, _, _, err = server.UnprotectRequest(r.from(t, "client", 4))
		wantErr(t, err, ErrReplay)
	})
	t.Run("GO-9-10 without a stored value: fresh while the Security Context is young enough", func(t *testing.T) {
		r := newRealm(t, echo, func(p *Params) { p.Established, p.FreshFor = noon, time.Minute })
		g := NewGroup(r.at(t, "server", 0))
		if _, _, _, err := g.UnprotectRequest(r.from(t, "client", 1), noon.Add(59*time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := g.UnprotectRequest(r.from(t, "client", 2), noon.Add(time.Minute))
		wantErr(t, err, ErrNotFresh)
		// Nor is anything fresh of which the time is not known.
		_, _, _, err = g.Current().UnprotectRequest(r.from(t, "client", 3))
		wantErr(t, err, ErrNotFresh)
	})
	t.Run("GO-9-10 but never under an invalid window", func(t *testing.T) {
		r := newRealm(t, echo, func(p *Params) { p.Established, p.FreshFor, p.WindowsLost = noon, time.Minute, true })
		_, _, _, err := NewGroup(r.at(t, "server", 0)).UnprotectRequest(r.from(t, "client", 1), noon)
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("GO-2.6.1.2-4 refuse: under an invalid window nobody is challenged", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.Freshness, p.WindowsLost = Refuse, true })
		m, x, _, err := r.at(t, "server", 0).UnprotectRequest(r.from(t, "client", 1))
		wantErr(t, err, ErrWindowInvalid)
		if x != nil || m.Options != nil {
			t.Fatal("something was returned beside the error")
		}
		hear(t, newRealm(t, func(p *Params) { p.Freshness = Refuse }).at(t, "server", 0), r.from(t, "client", 1))
	})
	t.Run("GO-14.14-1,GO-8-4 a silent server neither can nor shall challenge", func(t *testing.T) {
		r := newRealm(t, func(p *Params) { p.WindowsLost = true })
		silent, err := NewContext(r.params, Identity{}, nil, r.creds)
		if err != nil {
			t.Fatal(err)
		}
		_, x, _, err := silent.UnprotectRequest(r.from(t, "client", 1))
		wantErr(t, err, ErrWindowInvalid)
		if x != nil {
			t.Fatal("there is something to answer")
		}
		echo(&r.params)
		_, err = NewContext(r.params, Identity{}, nil, r.creds)
		wantErr(t, err, ErrParams)
	})
	for _, f := range []Freshness{TrustFirst, RequireEcho, Refuse} {
		t.Run("a policy's name is read back: "+f.String(), func(t *testing.T) {
			if got, err := ParseFreshness(f.String()); got != f || err != nil {
				t.Fatal(got, err)
			}
		})
	}
	t.Run("another policy is refused", func(t *testing.T) {
		_, err := ParseFreshness("sometimes")
		wantErr(t, err, ErrParams)
		p := defaults()
		p.Freshness = 3
		wantErr(t, p.Validate(), ErrParams)
		if s := fmt.Sprint(p.Freshness); s != "freshness 3" {
			t.Fatal(s)
		}
	})
}

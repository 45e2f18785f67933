package grouposcore

import (
	"bytes"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

func TestProtectRequest(t *testing.T) {
	r := newRealm(t)
	t.Run("GO-4.3.1-1,GO-3.2-2,GO-4.1-3 option of a group mode request", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 5), get("a"), GroupMode, nil)
		v, _ := coapmsg.FindOSCORE(m.Options)
		wantBytes(t, "option", v, unhex(t, "39050344616c25"))
	})
	t.Run("GO-4.3.1-1 a request of 6 plaintext bytes is 14 + 64 bytes of payload", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 5), get("tv1x"), GroupMode, nil)
		if len(m.Payload) != 14+64 {
			t.Fatalf("%d bytes", len(m.Payload))
		}
	})
	t.Run("GO-4.3.2-1,GO-3.2-2,GO-8.3-1,GO-4.1-3 option of a pairwise request", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 5), get("tv1x"), PairwiseMode, []byte{0x52})
		v, _ := coapmsg.FindOSCORE(m.Options)
		wantBytes(t, "option", v, unhex(t, "19050344616c25"))
		if len(m.Payload) != 14 {
			t.Fatalf("%d bytes of payload", len(m.Payload))
		}
	})
	t.Run("GO-4.1-1,GO-7.1-1 payload is ciphertext and encrypted countersignature", func(t *testing.T) {
		c := r.at(t, "client", 5)
		m, x := ask(t, c, get("a"), GroupMode, nil)
		n := len(m.Payload) - 64
		s := new(scratch)
		e := &envelope{mode: GroupMode, request: true, req: x.req, genID: c.self.id, piv: x.req.piv}
		e.option, _ = coapmsg.FindOSCORE(m.Options)
		aad := c.additionalData(s, e, c.self.cred)
		plain, err := c.self.enc.Open(nil, c.nonce(s, e), m.Payload[:n], aad)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, "plaintext", plain, []byte{1, 0xb1, 'a'})
		sig := bytes.Clone(m.Payload[n:])
		tbs := cose.AppendCountersignStructure(nil, cose.CountersignFive, s.aad, m.Payload[:n])
		if c.self.cred.PublicKey().Verify(cose.AlgEdDSA, tbs, sig) == nil {
			t.Fatal("countersignature is not encrypted")
		}
		if err := c.xorKeystream(s, sig, x.req.piv, c.self.id, true); err != nil {
			t.Fatal(err)
		}
		if err := c.self.cred.PublicKey().Verify(cose.AlgEdDSA, tbs, sig); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-4.1-2,GO-8-1 pairwise payload is ciphertext only", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 5), get("a"), PairwiseMode, []byte{0x52})
		if want := 3 + 8; len(m.Payload) != want {
			t.Fatalf("%d bytes, not %d", len(m.Payload), want)
		}
	})
	t.Run("GO-2.5.3-1,GO-2-6 both modes and all peers share the sequence numbers", func(t *testing.T) {
		c := r.at(t, "client", 0)
		for i, o := range []RequestOptions{{Mode: GroupMode}, {Mode: PairwiseMode, To: []byte{0x52}}, {Mode: PairwiseMode, To: []byte{0x77}}, {Mode: GroupMode}} {
			m, _, err := c.ProtectRequest(get("a"), o)
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, "partial iv", option(t, m).PIV, []byte{byte(i)})
		}
	})
	t.Run("GO-7-4 protecting twice gives two messages", func(t *testing.T) {
		c := r.at(t, "client", 0)
		a, _ := ask(t, c, get("a"), GroupMode, nil)
		b, _ := ask(t, c, get("a"), GroupMode, nil)
		if bytes.Equal(a.Payload, b.Payload) {
			t.Fatal("one ciphertext for two partial ivs")
		}
	})
	t.Run("GO-14.18-2 class U stays outside, the code is hidden", func(t *testing.T) {
		in := get("a")
		in.Options = coapmsg.Insert(in.Options, message.Option{ID: message.URIHost, Value: []byte("h")})
		for _, mode := range []Mode{GroupMode, PairwiseMode} {
			m, _ := ask(t, r.at(t, "client", 0), in, mode, []byte{0x52})
			if m.Code != codes.POST || !coapmsg.Has(m.Options, message.URIHost) || coapmsg.Has(m.Options, message.URIPath) {
				t.Fatalf("protected message is %v", &m)
			}
		}
	})
	t.Run("GO-8.1-1 no pairwise request without the peer's credential", func(t *testing.T) {
		_, _, err := r.at(t, "client", 0).ProtectRequest(get("a"), PairwiseMode.request([]byte{0x99}))
		wantErr(t, err, ErrNoCredential)
	})
	t.Run("GO-8.1-1 no pairwise request without its target", func(t *testing.T) {
		_, _, err := r.at(t, "client", 0).ProtectRequest(get("a"), PairwiseMode.request(nil))
		wantErr(t, err, ErrExchange)
	})
	t.Run("GO-7.2-14 no pairwise request to oneself", func(t *testing.T) {
		_, _, err := r.at(t, "client", 0).ProtectRequest(get("a"), PairwiseMode.request([]byte{0x25}))
		wantErr(t, err, ErrOwnSenderID)
	})
	t.Run("GO-2.6.2-1,GO-2.6.2-2 exhausted sequence numbers", func(t *testing.T) {
		c := r.at(t, "client", oscore.MaxSequence)
		m, _ := ask(t, c, get("a"), GroupMode, nil)
		wantBytes(t, "last partial iv", option(t, m).PIV, unhex(t, "ffffffffff"))
		for _, mode := range []Mode{GroupMode, PairwiseMode} {
			_, _, err := c.ProtectRequest(get("a"), mode.request([]byte{0x52}))
			wantErr(t, err, oscore.ErrSequenceExhausted)
		}
	})
	t.Run("GO-2.6.1-1 numbers that were not reserved are not used", func(t *testing.T) {
		c, err := NewContext(r.params, r.ids["client"], oscore.NewSequence(0), r.creds)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.ProtectRequest(get("a"), GroupMode.request(nil))
		wantErr(t, err, oscore.ErrSequenceNotReserved)
	})
	t.Run("a response is no request", func(t *testing.T) {
		_, _, err := r.at(t, "client", 0).ProtectRequest(content("a"), GroupMode.request(nil))
		wantErr(t, err, ErrExchange)
	})
	t.Run("a plaintext beyond the algorithm is refused before a number is spent", func(t *testing.T) {
		c := r.at(t, "client", 0)
		big := get("a")
		big.Payload = make([]byte, 1<<16)
		_, _, err := c.ProtectRequest(big, GroupMode.request(nil))
		wantErr(t, err, ErrTooLong)
		m, _ := ask(t, c, get("a"), GroupMode, nil)
		wantBytes(t, "partial iv", option(t, m).PIV, []byte{0})
	})
}

func TestModeAvailability(t *testing.T) {
	pairwiseOnly := func(p *Params) { p.GroupEnc, p.Signature = 0, 0 }
	groupOnly := func(p *Params) { p.AEAD, p.KeyAgreement = 0, 0 }
	both := newRealm(t)
	groupMsg, _ := ask(t, both.at(t, "client", 0), get("a"), GroupMode, nil)
	pairMsg, _ := ask(t, both.at(t, "client", 0), get("a"), PairwiseMode, []byte{0x52})
	for name, x := range map[string]struct {
		change func(*Params)
		mode   Mode
	}{
		"GO-2.1.1-1,GO-2.1.10-3 no AEAD and key agreement: no pairwise mode":     {groupOnly, PairwiseMode},
		"GO-2.1.1-1 no AEAD: no pairwise mode":                                   {func(p *Params) { p.AEAD = 0 }, PairwiseMode},
		"GO-2.1.10-3 no key agreement: no pairwise mode":                         {func(p *Params) { p.KeyAgreement = 0 }, PairwiseMode},
		"GO-2.1.7-1,GO-2.1.8-1 no encryption and signature: no group mode":       {pairwiseOnly, GroupMode},
		"GO-2.1.7-1 no group encryption: no group mode":                          {func(p *Params) { p.GroupEnc = 0 }, GroupMode},
		"GO-2.1.8-1 no signature: no group mode":                                 {func(p *Params) { p.Signature = 0 }, GroupMode},
		"GO-10-2 a mode that is no mode is not available":                        {func(*Params) {}, 0},
		"GO-10-2 another mode that is no mode is not available":                  {func(*Params) {}, 3},
		"GO-2.1.10-3 AEAD and signature alone give group mode, but not pairwise": {func(p *Params) { p.KeyAgreement = 0 }, PairwiseMode},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t, x.change)
			c := r.at(t, "server", 0)
			if c.Supports(x.mode) {
				t.Fatal("supported")
			}
			_, _, err := c.ProtectRequest(get("a"), x.mode.request([]byte{0x25}))
			wantErr(t, err, ErrModeUnavailable)
		})
	}
	t.Run("GO-6-2 pairwise message in a group without pairwise mode is discarded", func(t *testing.T) {
		_, _, _, err := newRealm(t, groupOnly).at(t, "server", 0).UnprotectRequest(pairMsg)
		wantErr(t, err, ErrModeUnavailable)
	})
	t.Run("GO-6-3 group message in a group without group mode is discarded", func(t *testing.T) {
		_, _, _, err := newRealm(t, pairwiseOnly).at(t, "server", 0).UnprotectRequest(groupMsg)
		wantErr(t, err, ErrModeUnavailable)
	})
	t.Run("GO-6-6 the flag selects the mode", func(t *testing.T) {
		s := both.at(t, "server", 0)
		for _, m := range []message.Message{groupMsg, pairMsg} {
			o := option(t, m)
			o.Group = !o.Group
			_, _, _, err := s.UnprotectRequest(reoption(m, o))
			wantErr(t, err, ErrDecryption)
		}
	})
}

func TestSilentServer(t *testing.T) {
	r := newRealm(t)
	r.ids["silent"] = Identity{}
	silent, err := NewContext(r.params, Identity{}, nil, r.creds)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("GO-1.1-1,GO-2-4 it takes group mode requests and answers nothing", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 0), get("a"), GroupMode, nil)
		_, x, s := hear(t, silent, m)
		wantBytes(t, "sender", s.ID, []byte{0x25})
		_, err := silent.ProtectResponse(content("no"), x, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrSilent)
		_, _, err = silent.ProtectRequest(get("a"), GroupMode.request(nil))
		wantErr(t, err, ErrSilent)
	})
	t.Run("GO-8-3,GO-1.1-1 it takes no pairwise requests", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 1), get("a"), PairwiseMode, []byte{0x52})
		_, _, _, err := silent.UnprotectRequest(m)
		wantErr(t, err, ErrModeUnavailable)
	})
	t.Run("GO-3.4-3 the algorithms of the mode it lacks are in the additional data", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 2), get("b"), GroupMode, nil)
		in, _, _ := hear(t, silent, m)
		if p, _ := in.Options.Path(); p != "/b" {
			t.Fatalf("path %q", p)
		}
	})
}

package grouposcore

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// dialog is a request that went from client to server.
type dialog struct {
	r              *realm
	client, server *Context
	cx, sx         *Exchange
}

func newDialog(t testing.TB, r *realm, m message.Message, mode Mode) *dialog {
	t.Helper()
	d := &dialog{r: r, client: r.at(t, "client", 5), server: r.at(t, "server", 7)}
	out, x := ask(t, d.client, m, mode, []byte{0x52})
	d.cx = x
	_, d.sx, _ = hear(t, d.server, out)
	return d
}

// rawOption is the OSCORE option value of a message.
func rawOption(m message.Message) []byte {
	v, _ := coapmsg.FindOSCORE(m.Options)
	return v
}

func TestProtectResponse(t *testing.T) {
	r := newRealm(t)
	for name, x := range map[string]struct {
		request Mode
		o       ResponseOptions
		want    string
	}{
		"GO-4.3.1-2,GO-3.2-1,GO-7.3-5 group to group, first":                         {GroupMode, ResponseOptions{Mode: GroupMode}, "2852"},
		"GO-3.2-1 group to group with Partial IV":                                    {GroupMode, ResponseOptions{Mode: GroupMode, PIV: true}, "290752"},
		"GO-3.2-1 group to group: the kid cannot be omitted":                         {GroupMode, ResponseOptions{Mode: GroupMode, OmitKID: true}, "2852"},
		"GO-3.2-1,GO-8.5-2 pairwise to group: the kid cannot be omitted":             {GroupMode, ResponseOptions{Mode: PairwiseMode, OmitKID: true}, "0852"},
		"GO-4.1-4 group to pairwise: the option is not empty":                        {PairwiseMode, ResponseOptions{Mode: GroupMode, OmitKID: true}, "20"},
		"GO-7.3-5 group to pairwise with kid":                                        {PairwiseMode, ResponseOptions{Mode: GroupMode}, "2852"},
		"GO-4.3.2-1,GO-4.1-4 pairwise to pairwise without anything: empty option":    {PairwiseMode, ResponseOptions{Mode: PairwiseMode, OmitKID: true}, ""},
		"GO-8.5-1 pairwise to pairwise with all":                                     {PairwiseMode, ResponseOptions{Mode: PairwiseMode, PIV: true, KIDContext: true}, "19070344616c52"},
		"GO-8.5-1 pairwise to pairwise with Partial IV, without kid":                 {PairwiseMode, ResponseOptions{Mode: PairwiseMode, PIV: true, OmitKID: true}, "0107"},
		"GO-4.1-3,GO-8.5-2 pairwise to group: Group Flag 0, kid, Partial IV, no Gid": {GroupMode, ResponseOptions{Mode: PairwiseMode, PIV: true}, "090752"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDialog(t, r, get("a"), x.request)
			m := answer(t, d.server, content("21 C"), d.sx, x.o)
			wantBytes(t, "option", rawOption(m), unhex(t, x.want))
			in, s := learn(t, d.client, m, d.cx)
			if string(in.Payload) != "21 C" || in.Code != codes.Content || s.Mode != x.o.Mode || s.Credential != r.ids["server"].Credential {
				t.Fatalf("response %v from %+v", &in, s)
			}
			wantBytes(t, "server", s.ID, []byte{0x52})
		})
	}
	t.Run("GO-4.3.2-1 sizes of the texts' examples", func(t *testing.T) {
		d := newDialog(t, r, get("a"), PairwiseMode)
		m := answer(t, d.server, content("Hell"), d.sx, ResponseOptions{Mode: PairwiseMode, OmitKID: true})
		if n := len(rawOption(m)) + len(m.Payload); n != 14 {
			t.Fatalf("%d bytes", n)
		}
	})
	t.Run("GO-4.3.1-2 a group response of 6 plaintext bytes: 80 bytes", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := answer(t, d.server, content("Hell"), d.sx, ResponseOptions{Mode: GroupMode})
		if n := len(rawOption(m)) + len(m.Payload); n != 80 {
			t.Fatalf("%d bytes", n)
		}
	})
	for _, mode := range bothModes {
		t.Run("GO-5.3.1-1,GO-7.3-3 second response in "+mode.String()+" mode carries a Partial IV", func(t *testing.T) {
			d := newDialog(t, r, observe(), GroupMode)
			a := answer(t, d.server, notification("1"), d.sx, ResponseOptions{Mode: mode})
			b := answer(t, d.server, notification("2"), d.sx, ResponseOptions{Mode: mode})
			c := answer(t, d.server, notification("3"), d.sx, ResponseOptions{Mode: mode})
			if option(t, a).PIV != nil {
				t.Fatal("first response has a partial iv")
			}
			wantBytes(t, "second partial iv", option(t, b).PIV, []byte{7})
			wantBytes(t, "third partial iv", option(t, c).PIV, []byte{8})
			for _, m := range []message.Message{a, b, c} {
				learn(t, d.client, m, d.cx)
			}
		})
	}
	t.Run("GO-5.3.1-1 an error counts as a response", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		e := content("")
		e.Code = codes.NotFound
		answer(t, d.server, e, d.sx, ResponseOptions{Mode: GroupMode})
		m := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode})
		wantBytes(t, "partial iv", option(t, m).PIV, []byte{7})
	})
	t.Run("GO-7.3-3 the request's nonce serves one response over both modes", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: PairwiseMode})
		m := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode})
		wantBytes(t, "partial iv", option(t, m).PIV, []byte{7})
	})
	t.Run("GO-14.18-2 outer code 2.04, or 2.05 with Observe", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		if m := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode}); m.Code != codes.Changed {
			t.Fatalf("outer code %v", m.Code)
		}
		if m := answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode}); m.Code != codes.Content {
			t.Fatalf("outer code %v", m.Code)
		}
	})
	t.Run("GO-2.6.2-2 exhausted: without Partial IV still, with one no more", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		d.server = r.at(t, "server", oscore.MaxSequence)
		ask(t, d.server, get("last"), GroupMode, nil)
		m, _ := ask(t, d.client, get("a"), GroupMode, nil)
		_, x, _ := hear(t, d.server, m)
		answer(t, d.server, content("x"), x, ResponseOptions{Mode: GroupMode})
		_, err := d.server.ProtectResponse(content("x"), x, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, oscore.ErrSequenceExhausted)
	})
	t.Run("an exchange has one side", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		_, err := d.client.ProtectResponse(content("x"), d.cx, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrExchange)
		_, err = d.server.ProtectResponse(get("a"), d.sx, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrExchange)
		_, err = d.server.ProtectResponse(content("x"), nil, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrExchange)
		_, _, err = d.server.UnprotectResponse(content("x"), d.sx)
		wantErr(t, err, ErrExchange)
	})
	t.Run("GO-1.1-2 a closed exchange sends and takes nothing", func(t *testing.T) {
		d := newDialog(t, r, observe(), GroupMode)
		m := answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode})
		d.cx.Close()
		d.sx.Close()
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrExchangeDone)
		_, err = d.server.ProtectResponse(content("x"), d.sx, ResponseOptions{Mode: GroupMode})
		wantErr(t, err, ErrExchangeDone)
	})
}

// TestModeMix is every mix of modes, with and without Partial IV, in groups
// whose two algorithms differ in nonce length, tag and key size.
func TestModeMix(t *testing.T) {
	for name, change := range map[string]func(*Params){
		"ccm and ccm":           func(*Params) {},
		"ctr and ccm":           func(p *Params) { p.GroupEnc = cose.AlgA128CTR },
		"chacha and ccm":        func(p *Params) { p.GroupEnc = cose.AlgChaCha20Poly1305 },
		"gcm and chacha":        func(p *Params) { p.GroupEnc, p.AEAD = cose.AlgA256GCM, cose.AlgChaCha20Poly1305 },
		"ccm-64 and ccm-16":     func(p *Params) { p.GroupEnc = 13 },
		"hkdf sha-512":          func(p *Params) { p.HKDF, p.KeyAgreement = cose.AlgHMAC512, cose.AlgECDHSSHKDF512 },
		"four-element":          func(p *Params) { p.Countersign = cose.CountersignFour },
		"no salt, empty gid":    func(p *Params) { p.MasterSalt, p.Gid = nil, []byte{} },
		"fully specified eddsa": func(p *Params) { p.Signature = -19 },
	} {
		r := newRealm(t, change)
		for _, q := range bothModes {
			for _, a := range bothModes {
				for _, piv := range []bool{false, true} {
					id := "GO-4.2-2,GO-3.3-2"
					if piv {
						id = "GO-4.2-2"
					}
					t.Run(id+" "+name+" "+q.String()+" to "+a.String()+map[bool]string{true: " with own Partial IV"}[piv], func(t *testing.T) {
						d := newDialog(t, r, get("a"), q)
						m := answer(t, d.server, content("payload"), d.sx, ResponseOptions{Mode: a, PIV: piv})
						in, _ := learn(t, d.client, m, d.cx)
						if string(in.Payload) != "payload" {
							t.Fatalf("payload %q", in.Payload)
						}
					})
				}
			}
		}
	}
}

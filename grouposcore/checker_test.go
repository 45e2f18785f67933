package grouposcore

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// checkerParams is what a Group Manager hands a checker of this realm.
func checkerParams(t testing.TB, r *realm) CheckerParams {
	p := r.params
	return CheckerParams{
		Gid: p.Gid, SignatureEncryptionKey: r.at(t, "client", 0).seKey, GroupEnc: p.GroupEnc, Signature: p.Signature,
		AEAD: p.AEAD, KeyAgreement: p.KeyAgreement, GMCredential: p.GMCredential, Countersign: p.Countersign,
	}
}

func newChecker(t testing.TB, r *realm) *Checker {
	t.Helper()
	c, err := NewChecker(checkerParams(t, r), r.creds)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChecker(t *testing.T) {
	for name, change := range map[string]func(*Params){
		"aead":         func(*Params) {},
		"plain cipher": func(p *Params) { p.GroupEnc = cose.AlgA128CTR },
		"four-element": func(p *Params) { p.Countersign = cose.CountersignFour },
		"group only":   func(p *Params) { p.AEAD, p.KeyAgreement = 0, 0 },
	} {
		r := newRealm(t, change)
		t.Run("GO-7.5-1,GO-12.3-2 request and response, "+name, func(t *testing.T) {
			ch := newChecker(t, r)
			d := &dialog{r: r, client: r.at(t, "client", 5), server: r.at(t, "server", 7)}
			m, _ := ask(t, d.client, get("a"), GroupMode, nil)
			_, d.sx, _ = hear(t, d.server, m)
			x, s, err := ch.CheckRequest(m)
			if err != nil || s.Credential != r.ids["client"].Credential {
				t.Fatalf("%+v, %v", s, err)
			}
			for range 2 { // without and with Partial IV
				out := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode})
				s, err = ch.CheckResponse(out, x, nil)
				if err != nil || s.Credential != r.ids["server"].Credential {
					t.Fatalf("%+v, %v", s, err)
				}
				for _, at := range []int{0, -1} {
					_, err = ch.CheckResponse(flip(out, at), x, nil)
					wantErr(t, err, ErrDecryption)
				}
			}
			for _, at := range []int{0, -1} {
				_, _, err = ch.CheckRequest(flip(m, at))
				wantErr(t, err, ErrDecryption)
			}
		})
	}
	r := newRealm(t)
	ch := newChecker(t, r)
	t.Run("GO-7.5-2 Partial IV and Gid come from the request, which must be the right one", func(t *testing.T) {
		client, server := r.at(t, "client", 5), r.at(t, "server", 7)
		var checked []*Checked
		var sx []*Exchange
		for range 2 {
			m, _ := ask(t, client, get("a"), GroupMode, nil)
			x, _, err := ch.CheckRequest(m)
			if err != nil {
				t.Fatal(err)
			}
			_, s, _ := hear(t, server, m)
			checked, sx = append(checked, x), append(sx, s)
		}
		out := answer(t, server, content("x"), sx[0], ResponseOptions{Mode: GroupMode})
		if _, err := ch.CheckResponse(out, checked[0], nil); err != nil {
			t.Fatal(err)
		}
		_, err := ch.CheckResponse(out, checked[1], nil)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-7.5-3 without kid the sender is told by other means", func(t *testing.T) {
		d := newDialog(t, r, get("a"), PairwiseMode)
		m, _ := ask(t, r.at(t, "client", 5), get("a"), PairwiseMode, []byte{0x52})
		x, _, err := ch.CheckRequest(m)
		wantErr(t, err, ErrModeUnavailable)
		out := answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: GroupMode, OmitKID: true})
		_, err = ch.CheckResponse(out, x, nil)
		wantErr(t, err, ErrMalformed)
		_, err = ch.CheckResponse(out, x, []byte{0x77})
		wantErr(t, err, ErrDecryption)
		if _, err := ch.CheckResponse(out, x, []byte{0x52}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GO-8-1 pairwise messages cannot be checked", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		_, err := ch.CheckResponse(answer(t, d.server, content("x"), d.sx, ResponseOptions{Mode: PairwiseMode}), &Checked{}, nil)
		wantErr(t, err, ErrModeUnavailable)
	})
	t.Run("GO-7-6 malformed messages", func(t *testing.T) {
		m, _ := ask(t, r.at(t, "client", 5), get("a"), GroupMode, nil)
		x, _, err := ch.CheckRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		o := option(t, m)
		foreign, anonymous, unknown, bare, short := o, o, o, m, m
		foreign.KIDContext, anonymous.KID, unknown.KID = []byte{1}, nil, []byte{0x99}
		bare.Options = coapmsg.Without(m.Options, coapmsg.OSCORE)
		short.Payload = m.Payload[:72]
		for i, c := range []struct {
			m    message.Message
			want error
		}{{reoption(m, foreign), ErrNoContext}, {reoption(m, anonymous), ErrMalformed}, {reoption(m, unknown), ErrNoCredential}, {bare, ErrNotProtected}, {short, ErrDecryption}} {
			_, _, err := ch.CheckRequest(c.m)
			wantErr(t, err, c.want)
			if i == 1 {
				continue // a response may be anonymous
			}
			if _, err := ch.CheckResponse(c.m, x, nil); err == nil {
				t.Fatal("accepted as a response")
			}
		}
	})
	for name, change := range map[string]func(*CheckerParams){
		"GO-12.3-2 no Signature Encryption Key":              func(p *CheckerParams) { p.SignatureEncryptionKey = nil },
		"GO-12.3-2 Signature Encryption Key of another size": func(p *CheckerParams) { p.SignatureEncryptionKey = make([]byte, 32) },
		"GO-12.3-2 no signatures in the group":               func(p *CheckerParams) { p.Signature, p.GroupEnc = 0, 0 },
		"GO-12.3-2 no Gid":                                   func(p *CheckerParams) { p.Gid = nil },
		"GO-12.3-2 no credential of the Group Manager":       func(p *CheckerParams) { p.GMCredential = nil },
	} {
		t.Run(name, func(t *testing.T) {
			p := checkerParams(t, r)
			change(&p)
			_, err := NewChecker(p, r.creds)
			wantErr(t, err, ErrParams)
		})
	}
	t.Run("a credential source is mandatory", func(t *testing.T) {
		_, err := NewChecker(checkerParams(t, r), nil)
		wantErr(t, err, ErrParams)
	})
}

package grouposcore

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestUnprotectResponse(t *testing.T) {
	r := newRealm(t)
	respond := func(t *testing.T, d *dialog, o ResponseOptions) message.Message {
		return answer(t, d.server, content("x"), d.sx, o)
	}
	edit := func(t *testing.T, m message.Message, f func(*coapmsg.OSCOREOption)) message.Message {
		o := option(t, m)
		f(&o)
		return reoption(m, o)
	}
	t.Run("GO-7.4-18 group mode response without kid to a group mode request", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := edit(t, respond(t, d, ResponseOptions{Mode: GroupMode}), func(o *coapmsg.OSCOREOption) { o.KID = nil })
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("GO-7.4-18 pairwise response without kid to a group mode request", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := edit(t, respond(t, d, ResponseOptions{Mode: PairwiseMode}), func(o *coapmsg.OSCOREOption) { o.KID = nil })
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("GO-7.4-1 group mode response without kid to a pairwise request: the intended server", func(t *testing.T) {
		d := newDialog(t, r, get("a"), PairwiseMode)
		_, s := learn(t, d.client, respond(t, d, ResponseOptions{Mode: GroupMode, OmitKID: true}), d.cx)
		wantBytes(t, "server", s.ID, []byte{0x52})
	})
	for _, mode := range bothModes {
		t.Run("GO-7.4-8,GO-7.4-11,GO-8.6-3 another server answers a pairwise request in "+mode.String()+" mode", func(t *testing.T) {
			d := newDialog(t, r, get("a"), PairwiseMode)
			// The other server claims to have had the request.
			other := r.at(t, "other", 3)
			rec, err := other.recipient([]byte{0x25})
			if err != nil {
				t.Fatal(err)
			}
			x := &Exchange{req: d.sx.req, mode: PairwiseMode, origin: other.common, server: &serverSide{client: rec, self: other.self}}
			_, _, err = d.client.UnprotectResponse(answer(t, other, content("no"), x, ResponseOptions{Mode: mode}), d.cx)
			wantErr(t, err, ErrWrongServer)
			learn(t, d.client, respond(t, d, ResponseOptions{Mode: mode}), d.cx)
		})
		t.Run("GO-7.4-10,GO-8.6-2 another server answers without kid in "+mode.String()+" mode", func(t *testing.T) {
			d := newDialog(t, r, get("a"), PairwiseMode)
			other := r.at(t, "other", 3)
			rec, err := other.recipient([]byte{0x25})
			if err != nil {
				t.Fatal(err)
			}
			x := &Exchange{req: d.sx.req, mode: PairwiseMode, origin: other.common, server: &serverSide{client: rec, self: other.self}}
			_, _, err = d.client.UnprotectResponse(answer(t, other, content("no"), x, ResponseOptions{Mode: mode, OmitKID: true}), d.cx)
			wantErr(t, err, ErrDecryption)
			learn(t, d.client, respond(t, d, ResponseOptions{Mode: mode}), d.cx)
		})
		t.Run("GO-7.4-7,GO-7.4-12 a response that does not verify changes nothing in "+mode.String()+" mode", func(t *testing.T) {
			d := newDialog(t, r, get("a"), mode)
			m := respond(t, d, ResponseOptions{Mode: mode, PIV: true})
			for _, at := range []int{0, -1} {
				_, _, err := d.client.UnprotectResponse(flip(m, at), d.cx)
				wantErr(t, err, ErrDecryption)
			}
			high := edit(t, m, func(o *coapmsg.OSCOREOption) { o.PIV = unhex(t, "ffffff") })
			_, _, err := d.client.UnprotectResponse(high, d.cx)
			wantErr(t, err, ErrDecryption)
			learn(t, d.client, m, d.cx)
		})
	}
	t.Run("GO-7.4-5 the countersignature is verified before decryption", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		enc, _ := refuse(d.client)
		m := respond(t, d, ResponseOptions{Mode: GroupMode})
		_, _, err := d.client.UnprotectResponse(flip(m, -1), d.cx)
		wantErr(t, err, ErrDecryption)
		if enc.asked.Load() != 0 {
			t.Fatal("decrypted first")
		}
		_, _, err = d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrDecryption)
		if enc.asked.Load() != 1 || Cause(err) != "tag" {
			t.Fatalf("cause %q", Cause(err))
		}
	})
	t.Run("GO-7.4-6 with AES-CTR a flipped ciphertext is refused by the countersignature", func(t *testing.T) {
		d := newDialog(t, newRealm(t, func(p *Params) { p.GroupEnc = cose.AlgA128CTR }), get("a"), GroupMode)
		m := respond(t, d, ResponseOptions{Mode: GroupMode})
		_, _, err := d.client.UnprotectResponse(flip(m, 0), d.cx)
		wantErr(t, err, ErrDecryption)
		learn(t, d.client, m, d.cx)
	})
	t.Run("GO-7.4-3 unknown server", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := edit(t, respond(t, d, ResponseOptions{Mode: GroupMode}), func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x99} })
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrNoCredential)
	})
	t.Run("GO-7.4-2 a Recipient Context is created for a server heard first", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		if d.client.Recipients() != 0 {
			t.Fatal("known before")
		}
		learn(t, d.client, respond(t, d, ResponseOptions{Mode: GroupMode}), d.cx)
		if d.client.Recipients() != 1 {
			t.Fatal("not kept")
		}
	})
	t.Run("GO-7.4-17,GO-8.6-4 none is kept for a response that does not verify", func(t *testing.T) {
		for _, mode := range bothModes {
			d := newDialog(t, r, get("a"), GroupMode)
			m := respond(t, d, ResponseOptions{Mode: mode})
			_, _, err := d.client.UnprotectResponse(flip(m, 0), d.cx)
			wantErr(t, err, ErrDecryption)
			if d.client.Recipients() != 0 || d.client.peers.sticky() {
				t.Fatal("something was left behind")
			}
			learn(t, d.client, m, d.cx)
		}
	})
	t.Run("own kid in a response", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := edit(t, respond(t, d, ResponseOptions{Mode: GroupMode}), func(o *coapmsg.OSCOREOption) { o.KID = []byte{0x25} })
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrOwnSenderID)
	})
	t.Run("GO-3.4-4 a response to another request", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := respond(t, d, ResponseOptions{Mode: GroupMode, PIV: true})
		_, other := ask(t, d.client, get("a"), GroupMode, nil)
		_, _, err := d.client.UnprotectResponse(m, other)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("GO-6-1 another Gid than the exchange's and the context's", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := edit(t, respond(t, d, ResponseOptions{Mode: GroupMode}), func(o *coapmsg.OSCOREOption) { o.KIDContext = []byte{9} })
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrNoContext)
	})
	t.Run("GO-7-6 malformed responses", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := respond(t, d, ResponseOptions{Mode: GroupMode})
		bare, empty, junk := m, m, m
		bare.Options = coapmsg.Without(m.Options, coapmsg.OSCORE)
		empty.Payload = nil
		junk.Options = message.Options{{ID: coapmsg.OSCORE, Value: []byte{0xff}}}
		for i, want := range []error{ErrNotProtected, ErrMalformed, ErrMalformed} {
			_, _, err := d.client.UnprotectResponse([]message.Message{bare, empty, junk}[i], d.cx)
			wantErr(t, err, want)
		}
		learn(t, d.client, m, d.cx)
	})
	t.Run("a notification to a request that did not register is refused", func(t *testing.T) {
		d := newDialog(t, r, get("a"), GroupMode)
		m := answer(t, d.server, notification("x"), d.sx, ResponseOptions{Mode: GroupMode})
		_, _, err := d.client.UnprotectResponse(m, d.cx)
		wantErr(t, err, ErrMalformed)
	})
	t.Run("one exchange takes the answers of many servers", func(t *testing.T) {
		client := r.at(t, "client", 0)
		m, x := ask(t, client, get("a"), GroupMode, nil)
		for _, name := range []string{"server", "other"} {
			at := r.at(t, name, 0)
			_, sx, _ := hear(t, at, m)
			_, s := learn(t, client, answer(t, at, content(name), sx, ResponseOptions{Mode: PairwiseMode}), x)
			wantBytes(t, "server", s.ID, r.ids[name].SenderID)
		}
	})
}

package grouposcore

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/oscore"
)

// coseObject expands a protected message to the COSE object that its option and
// payload compress (Sections 3 and 4). keystream is nil in pairwise mode.
func coseObject(t testing.TB, m message.Message, keystream []byte) []byte {
	t.Helper()
	o := option(t, m)
	type parameter struct {
		label uint64
		value []byte
	}
	var list []parameter
	if o.KID != nil {
		list = append(list, parameter{4, o.KID})
	}
	if o.PIV != nil {
		list = append(list, parameter{6, o.PIV})
	}
	if o.KIDContext != nil {
		list = append(list, parameter{10, o.KIDContext})
	}
	n := len(m.Payload) - len(keystream)
	if keystream != nil {
		sig := bytes.Clone(m.Payload[n:])
		for i := range sig {
			sig[i] ^= keystream[i]
		}
		list = append(list, parameter{12, sig})
	}
	b := cborx.AppendBytes(cborx.AppendArray(nil, 3), nil)
	b = cborx.AppendMap(b, len(list))
	for _, p := range list {
		b = cborx.AppendBytes(cborx.AppendUint(b, p.label), p.value)
	}
	return cborx.AppendBytes(b, m.Payload[:n])
}

func TestCOSEObject(t *testing.T) {
	r := newRealm(t)
	d := newDialog(t, r, get("tv1x"), GroupMode) // 6 bytes of plaintext, as in the text's examples
	keystream := func(t *testing.T, x *Exchange, request bool) []byte {
		ks := make([]byte, 64)
		if err := d.client.xorKeystream(new(scratch), ks, x.req.piv, x.req.kid, request); err != nil {
			t.Fatal(err)
		}
		return ks
	}
	request, cx := ask(t, d.client, get("tv1x"), GroupMode, nil)
	pair, px := ask(t, d.client, get("tv1x"), PairwiseMode, []byte{0x52})
	_, sx, _ := hear(t, d.server, request)
	_, qx, _ := hear(t, d.server, pair)
	response := answer(t, d.server, content("Hell"), sx, ResponseOptions{Mode: GroupMode})
	back := answer(t, d.server, content("Hell"), qx, ResponseOptions{Mode: PairwiseMode, OmitKID: true})
	_ = px
	for name, x := range map[string]struct {
		m    message.Message
		ks   []byte
		size int
	}{
		"GO-3-1,GO-4.3.1-1 group mode request":  {request, keystream(t, cx, true), 96},
		"GO-3-1,GO-4.3.1-2 group mode response": {response, keystream(t, cx, false), 88},
		"GO-3-1,GO-4.3.2-1 pairwise request":    {pair, nil, 29},
		"GO-3-1,GO-4.3.2-1 pairwise response":   {back, nil, 18},
	} {
		t.Run(name+" before compression, untagged with an empty protected header", func(t *testing.T) {
			b := coseObject(t, x.m, x.ks)
			if len(b) != x.size {
				t.Fatalf("%d bytes, the text has %d", len(b), x.size)
			}
			e, err := cose.ParseEncrypt0(b)
			// It names no algorithm: the Security Context does.
			if err == nil && (len(e.Protected) != 0 || e.Alg != 0) {
				t.Fatalf("%+v", e)
			}
			if b[0] != 0x83 || b[1] != 0x40 {
				t.Fatalf("%x", b[:2])
			}
		})
	}
	t.Run("GO-3.1-1,GO-3.1-2 label 12 holds the countersignature of this very object", func(t *testing.T) {
		var object []cborx.RawMessage
		if err := cborx.Unmarshal(coseObject(t, response, keystream(t, cx, false)), &object); err != nil {
			t.Fatal(err)
		}
		var header map[int64][]byte
		if err := cborx.Unmarshal(object[1], &header); err != nil {
			t.Fatal(err)
		}
		aad := d.server.appendExternalAAD(nil, sx.req, rawOption(response), r.ids["server"].Credential)
		ciphertext := response.Payload[:14]
		tbs := cborx.AppendText(cborx.AppendArray(nil, 5), "CounterSignature0")
		for _, part := range [][]byte{nil, nil, aad, ciphertext} {
			tbs = cborx.AppendBytes(tbs, part)
		}
		if err := r.ids["server"].Credential.PublicKey().Verify(cose.AlgEdDSA, tbs, header[12]); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOverHTTP(t *testing.T) {
	for _, mode := range bothModes {
		t.Run("GO-1-1 a "+mode.String()+" mode exchange over HTTP, by RFC 8613, Section 11", func(t *testing.T) {
			r := newRealm(t)
			client, server := r.at(t, "client", 5), r.at(t, "server", 0)
			in := message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}}
			m, cx := ask(t, client, in, mode, []byte{0x52})
			q, err := oscore.RequestToHTTP(m)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = oscore.RequestFromHTTP(q); err != nil {
				t.Fatal(err)
			}
			_, sx, _ := hear(t, server, m)
			m = answer(t, server, message.Message{Code: codes.Content, Payload: []byte("on")}, sx, ResponseOptions{Mode: mode})
			a, err := oscore.ResponseToHTTP(m)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = oscore.ResponseFromHTTP(a); err != nil {
				t.Fatal(err)
			}
			if out, _ := learn(t, client, m, cx); string(out.Payload) != "on" {
				t.Fatalf("payload %q", out.Payload)
			}
		})
	}
}

func TestContextParameters(t *testing.T) {
	t.Run("GO-2-3 the Pairwise Key Agreement Algorithm is of the Common Context and counts for the pairwise mode", func(t *testing.T) {
		both, none := defaults(), defaults()
		none.KeyAgreement = 0
		if !both.pairwiseMode() || none.pairwiseMode() || bytes.Equal(aadHead(&both), aadHead(&none)) {
			t.Fatal("it makes no difference")
		}
	})
	for alg, want := range map[cose.Algorithm]int{
		cose.AlgAESCCM16_64_128: 32, 30: 64, cose.AlgA128GCM: 64, cose.AlgChaCha20Poly1305: 64, cose.AlgA128CTR: 128, 0: 0,
	} {
		t.Run(fmt.Sprintf("GO-14.16-1 collision security of countersignatures with algorithm %d: %d bits", alg, want), func(t *testing.T) {
			p := defaults()
			p.GroupEnc = alg
			if got := p.CollisionSecurity(); got != want {
				t.Fatalf("%d bits", got)
			}
		})
	}
}

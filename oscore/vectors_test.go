package oscore

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/replay"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// hexBytes is a hexadecimal JSON string; null is nil.
type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return err
	}
	v, err := hex.DecodeString(*s)
	*h = append(hexBytes{}, v...)
	return err
}

// vector is one exchange, whatever file it came from.
type vector struct {
	name     string
	client   Params
	commonIV []byte
	messages []vectorMessage
}

type vectorMessage struct {
	request                bool
	seq                    *uint64
	unprotected, protected []byte
	option, nonce          []byte
	plaintext, aad         []byte
	externalAAD            []byte
	ciphertext             []byte
	outerCodeDeviates      bool
}

func readJSON(t testing.TB, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// foreignFile holds the fields of both Californium's and aiocoap's files.
type foreignFile struct {
	Name       string
	Conformant *bool `json:"rfc8613_conformant"`
	Spec       *bool `json:"spec_conformant"`
	Algorithms struct {
		AEAD cose.Algorithm `json:"alg_aead"`
		HKDF cose.Algorithm `json:"hkdf"`
	}
	Common struct {
		AEAD         cose.Algorithm `json:"alg_aead"`
		HKDF         cose.Algorithm `json:"hkdf"`
		MasterSecret hexBytes       `json:"master_secret"`
		MasterSalt   hexBytes       `json:"master_salt"`
		IDContext    hexBytes       `json:"id_context"`
		CommonIV     hexBytes       `json:"common_iv"`
		Client       hexBytes       `json:"client_sender_id"`
		Server       hexBytes       `json:"server_sender_id"`
	}
	Derived struct {
		CommonIV struct{ Value hexBytes } `json:"common_iv"`
	}
	Client, Server struct{ ID hexBytes }
	Messages       []struct {
		Kind, Type             string
		Seq                    *uint64
		SSN                    *uint64 `json:"sender_sequence_number"`
		Unprotected, Protected hexBytes
		Option                 hexBytes `json:"oscore_option"`
		Nonce, Plaintext       hexBytes
		AAD                    hexBytes `json:"aad"`
		EncStructure           hexBytes `json:"enc_structure"`
		ExternalAAD            hexBytes `json:"external_aad"`
		Ciphertext             hexBytes
		Deviation              json.RawMessage `json:"outer_header_deviation"`
	}
}

func first[T any](a, b []T) []T {
	if a != nil {
		return a
	}
	return b
}

func foreignVectors(t testing.TB) (out []vector) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(files) < 35 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		var f foreignFile
		readJSON(t, file, &f)
		if f.Conformant != nil && !*f.Conformant || f.Spec != nil && !*f.Spec {
			t.Fatalf("%s does not conform and should not be here", file)
		}
		v := vector{name: f.Name, client: Params{
			MasterSecret: []byte(f.Common.MasterSecret), MasterSalt: []byte(f.Common.MasterSalt), IDContext: f.Common.IDContext,
			SenderID: first(f.Common.Client, f.Client.ID), RecipientID: first(f.Common.Server, f.Server.ID),
			AEAD: f.Common.AEAD + f.Algorithms.AEAD, HKDF: f.Common.HKDF + f.Algorithms.HKDF,
		}, commonIV: first(f.Common.CommonIV, f.Derived.CommonIV.Value)}
		for _, m := range f.Messages {
			seq := m.Seq
			if seq == nil {
				seq = m.SSN
			}
			v.messages = append(v.messages, vectorMessage{
				request: m.Kind+m.Type == "request", seq: seq, unprotected: m.Unprotected, protected: m.Protected,
				option: m.Option, nonce: m.Nonce, plaintext: m.Plaintext, aad: first(m.AAD, m.EncStructure),
				externalAAD: m.ExternalAAD, ciphertext: m.Ciphertext, outerCodeDeviates: len(m.Deviation) > 0,
			})
		}
		out = append(out, v)
	}
	return out
}

type rfcFile struct {
	Derivation map[string]struct {
		MasterSecret   hexBytes `json:"master_secret"`
		MasterSalt     hexBytes `json:"master_salt"`
		SenderID       hexBytes `json:"sender_id"`
		RecipientID    hexBytes `json:"recipient_id"`
		IDContext      hexBytes `json:"id_context"`
		InfoSender     hexBytes `json:"info_sender_key"`
		InfoRecipient  hexBytes `json:"info_recipient_key"`
		InfoIV         hexBytes `json:"info_common_iv"`
		SenderKey      hexBytes `json:"sender_key"`
		RecipientKey   hexBytes `json:"recipient_key"`
		CommonIV       hexBytes `json:"common_iv"`
		SenderNonce    hexBytes `json:"sender_nonce"`
		RecipientNonce hexBytes `json:"recipient_nonce"`
		Role           string
	}
	Messages map[string]struct {
		Request     hexBytes `json:"unprotected_request"`
		Response    hexBytes `json:"unprotected_response"`
		SSN         *uint64  `json:"sender_sequence_number"`
		PIV         hexBytes `json:"partial_iv"`
		AADArray    hexBytes `json:"aad_array"`
		AAD         hexBytes `json:"aad"`
		Plaintext   hexBytes
		Nonce       hexBytes
		Option      hexBytes `json:"oscore_option_value"`
		Ciphertext  hexBytes
		Protected   hexBytes `json:"protected_message"`
		Context     string
		RequestName string `json:"request"`
	}
}

// rfcVectors builds the exchanges C.4 to C.8: each response after its request.
func rfcVectors(t testing.TB) (out []vector) {
	var f rfcFile
	readJSON(t, "testdata/rfc8613.json", &f)
	convert := func(name string) vectorMessage {
		m := f.Messages[name]
		v := vectorMessage{
			request: m.Request != nil, unprotected: first(m.Request, m.Response), protected: m.Protected,
			option: m.Option, nonce: m.Nonce, plaintext: m.Plaintext, aad: m.AAD, externalAAD: m.AADArray, ciphertext: m.Ciphertext,
		}
		if len(m.Option) > 0 {
			v.seq = m.SSN
		}
		return v
	}
	for _, name := range []string{"C.4", "C.5", "C.6", "C.7", "C.8"} {
		m, ok := f.Messages[name]
		if !ok {
			t.Fatalf("no %s", name)
		}
		requestName := name
		if m.RequestName != "" {
			requestName = m.RequestName
		}
		d := f.Derivation[f.Messages[requestName].Context]
		v := vector{name: "OS-" + name + "-1", client: Params{
			MasterSecret: []byte(d.MasterSecret), MasterSalt: []byte(d.MasterSalt), IDContext: d.IDContext,
			SenderID: d.SenderID, RecipientID: d.RecipientID,
		}, commonIV: d.CommonIV, messages: []vectorMessage{convert(requestName)}}
		if m.RequestName != "" {
			v.messages = append(v.messages, convert(name))
		}
		out = append(out, v)
	}
	return out
}

func allVectors(t testing.TB) []vector { return append(rfcVectors(t), foreignVectors(t)...) }

func TestVectorsRFCDerivation(t *testing.T) {
	var f rfcFile
	readJSON(t, "testdata/rfc8613.json", &f)
	if len(f.Derivation) != 6 {
		t.Fatalf("%d derivations", len(f.Derivation))
	}
	for name, d := range f.Derivation {
		t.Run("OS-"+name[:3]+"-1,OS-3.2.1-2,OS-3.2.1-3,OS-3.2.1-4,OS-3.2.1-6,OS-3.2.1-7 derivation "+name+" "+d.Role, func(t *testing.T) {
			equal(t, appendInfo(nil, d.SenderID, d.IDContext, DefaultAEAD, TypeKey, 16), []byte(d.InfoSender))
			equal(t, appendInfo(nil, d.RecipientID, d.IDContext, DefaultAEAD, TypeKey, 16), []byte(d.InfoRecipient))
			equal(t, appendInfo(nil, nil, d.IDContext, DefaultAEAD, TypeIV, 13), []byte(d.InfoIV))
			for _, k := range []struct {
				id   []byte
				typ  string
				n    int
				want []byte
			}{{d.SenderID, TypeKey, 16, d.SenderKey}, {d.RecipientID, TypeKey, 16, d.RecipientKey}, {nil, TypeIV, 13, d.CommonIV}} {
				got, err := DeriveKey(DefaultHKDF, d.MasterSecret, d.MasterSalt, k.id, d.IDContext, DefaultAEAD, k.typ, k.n)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, []byte(got), k.want)
			}
			equal(t, AppendNonce(nil, 13, d.SenderID, []byte{0}, d.CommonIV), []byte(d.SenderNonce))
			equal(t, AppendNonce(nil, 13, d.RecipientID, []byte{0}, d.CommonIV), []byte(d.RecipientNonce))
			c := must(NewContext(Params{MasterSecret: []byte(d.MasterSecret), MasterSalt: []byte(d.MasterSalt), SenderID: d.SenderID, RecipientID: d.RecipientID, IDContext: d.IDContext}, NewEphemeralSequence()))(t)
			equal(t, []byte(*c.commonIV), []byte(d.CommonIV))
		})
	}
}

func datagram(t testing.TB, b []byte) message.Message {
	t.Helper()
	return must(coapmsg.ParseDatagram(b))(t)
}

func encode(t testing.TB, m message.Message) []byte {
	t.Helper()
	return must(coapmsg.AppendDatagram(nil, m))(t)
}

// TestVectorsForward protects what the vectors protect and wants their bytes.
func TestVectorsForward(t *testing.T) {
	for _, v := range allVectors(t) {
		t.Run(v.name+" forward", func(t *testing.T) {
			client, server := pair(t, v.client)
			equal(t, []byte(*client.commonIV), v.commonIV)
			var sx *Exchange
			for _, m := range v.messages {
				plain := datagram(t, m.unprotected)
				want := must(coapmsg.ParseOSCOREOption(m.option))(t)
				var got message.Message
				var err error
				if m.request {
					client.sequence = sequenceAt(t, *m.seq)
					got, _, err = client.ProtectRequest(plain, RequestOptions{OmitIDContext: want.KIDContext == nil})
					if err != nil {
						t.Fatal(err)
					}
					if _, sx, err = server.UnprotectRequest(datagram(t, m.protected)); err != nil {
						t.Fatal(err)
					}
				} else {
					if m.seq != nil {
						server.sequence = sequenceAt(t, *m.seq)
					}
					got, err = server.ProtectResponse(plain, sx, ResponseOptions{PIV: m.seq != nil, KID: want.KID != nil, KIDContext: want.KIDContext != nil})
					if err != nil {
						t.Fatal(err)
					}
				}
				equal(t, got.Payload, m.ciphertext)
				wire := encode(t, got)
				if m.outerCodeDeviates {
					wire[1] = m.protected[1]
				}
				equal(t, wire, m.protected)
				checkParts(t, client, v, m, sx)
			}
		})
	}
}

// checkParts compares what lies between the message and the ciphertext.
func checkParts(t *testing.T, c *Context, v vector, m vectorMessage, sx *Exchange) {
	t.Helper()
	_, plaintext, err := coapmsg.Split(datagram(t, m.unprotected))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, plaintext, m.plaintext)
	equal(t, appendExternalAAD(nil, c.alg, v.client.SenderID, sx.requestPIV()), m.externalAAD)
	equal(t, appendAAD(nil, c.alg, v.client.SenderID, sx.requestPIV()), m.aad)
	id, piv := v.client.SenderID, sx.requestPIV()
	if !m.request && m.seq != nil {
		id, piv = v.client.RecipientID, coapmsg.EncodePIV(*m.seq)
	}
	equal(t, AppendNonce(nil, c.nonceSize, id, piv, *c.commonIV), m.nonce)
}

// innerOf gives what of a message OSCORE protects.
func innerOf(m message.Message) message.Message {
	var opts message.Options
	for _, o := range m.Options {
		if coapmsg.ClassOf(o.ID)&coapmsg.ClassE != 0 && o.ID != message.Observe {
			opts = append(opts, o)
		}
	}
	return message.Message{Code: m.Code, Options: opts, Payload: m.Payload}
}

// openVector unprotects one message of a vector, given its request.
func openVector(t testing.TB, client, server *Context, reqSeq uint64, reqPlain, m message.Message, isRequest bool) (message.Message, error) {
	t.Helper()
	client.window, server.window = replay.New(32), replay.New(32)
	if isRequest {
		inner, _, err := server.UnprotectRequest(m)
		return inner, err
	}
	client.sequence = sequenceAt(t, reqSeq)
	_, cx, err := client.ProtectRequest(reqPlain, RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return client.UnprotectResponse(m, cx)
}

// TestVectorsBackward unprotects what the vectors protected.
func TestVectorsBackward(t *testing.T) {
	for _, v := range allVectors(t) {
		t.Run(v.name+" backward", func(t *testing.T) {
			client, server := pair(t, v.client)
			var seq uint64
			var reqPlain message.Message
			for _, m := range v.messages {
				want := datagram(t, m.unprotected)
				if m.request {
					seq, reqPlain = *m.seq, want
				}
				got, err := openVector(t, client, server, seq, reqPlain, datagram(t, m.protected), m.request)
				if err != nil {
					t.Fatal(err)
				}
				if !m.request && coapmsg.Has(want.Options, message.Observe) {
					// The order comes from the Partial IV, not from Outer Observe.
					want.Options = coapmsg.Without(want.Options, message.Observe)
					got.Options = coapmsg.Without(got.Options, message.Observe)
				}
				equal(t, got, want)
			}
		})
	}
}

// TestVectorsMutated flips each bit of each message: of the payload, the
// Partial IV and a request's kid and kid context it is refused, and elsewhere
// it never changes the inner message.
func TestVectorsMutated(t *testing.T) {
	for _, v := range allVectors(t) {
		t.Run("OS-D.5.1-1,OS-D.5.2-1 "+v.name+" mutated", func(t *testing.T) {
			client, server := pair(t, v.client)
			var seq uint64
			var reqPlain message.Message
			for _, m := range v.messages {
				plain := datagram(t, m.unprotected)
				if m.request {
					seq, reqPlain = *m.seq, plain
				}
				bound := boundBytes(t, m)
				for bit := range 8 * len(m.protected) {
					wire := append([]byte(nil), m.protected...)
					wire[bit/8] ^= 1 << (bit % 8)
					d, err := coapmsg.ParseDatagram(wire)
					if err != nil {
						continue
					}
					got, err := openVector(t, client, server, seq, reqPlain, d, m.request)
					if err != nil {
						continue
					}
					if bound[bit/8] {
						t.Fatalf("bit %d of byte %d was flipped and the message accepted", bit%8, bit/8)
					}
					equal(t, innerOf(got), innerOf(plain))
				}
			}
		})
	}
}

// boundBytes marks the bytes of a protected message that must not be changed.
func boundBytes(t *testing.T, m vectorMessage) map[int]bool {
	bound := make(map[int]bool)
	size := len(m.protected)
	for i := size - len(m.ciphertext); i < size; i++ {
		bound[i] = true
	}
	o := must(coapmsg.ParseOSCOREOption(m.option))(t)
	at := size - len(m.ciphertext) - 1 - len(m.option)
	if string(m.protected[at:at+len(m.option)]) != string(m.option) {
		t.Fatal("the oscore option is not the last one")
	}
	for i := range o.PIV {
		bound[at+1+i] = true
	}
	if m.request {
		for i := 1 + len(o.PIV); i < len(m.option); i++ {
			bound[at+i] = true
		}
	}
	return bound
}

func TestOuterOptionDeltas(t *testing.T) {
	client, _ := pair(t, testParams())
	m, _, err := client.ProtectRequest(get(option(message.URIHost, "h"), option(message.ProxyScheme, "coap")), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("OS-4.1.2-1 deltas are relative to the previous Outer option", func(t *testing.T) {
		want := "31" + "68" + "62" + "0900" + "d4" + "11" + "636f6170" // 3, 3+6 = 9, 9+13+17 = 39
		equal(t, hex.EncodeToString(coapmsg.AppendOptions(nil, m.Options, nil)), want)
	})
}

func TestVectorCodes(t *testing.T) {
	for _, v := range rfcVectors(t) {
		m := v.messages[len(v.messages)-1]
		t.Run("OS-4.2-1,OS-4.2-3 outer header of "+v.name, func(t *testing.T) {
			plain, protected := datagram(t, m.unprotected), datagram(t, m.protected)
			want := codes.Changed
			if m.request {
				want = codes.POST
			}
			equal(t, protected.Code, want)
			equal(t, protected.Token, plain.Token)
			equal(t, protected.Type, plain.Type)
			equal(t, protected.MessageID, plain.MessageID)
		})
	}
}

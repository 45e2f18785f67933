package grouposcore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// unhex reads hexadecimal; spaces are allowed.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{}, b...)
}

// anyStore makes every reservation.
type anyStore struct{}

func (anyStore) Reserve(context.Context, uint64) error { return nil }

// numbers returns sequence numbers that start with next.
func numbers(t testing.TB, next uint64) *oscore.Sequence {
	t.Helper()
	s := oscore.NewSequence(next)
	if err := s.Reserve(context.Background(), anyStore{}, 1<<32); err != nil && !errors.Is(err, oscore.ErrSequenceExhausted) {
		t.Fatal(err)
	}
	return s
}

// realm is a group with named members, for tests.
type realm struct {
	params Params
	creds  *StaticCredentials
	ids    map[string]Identity
}

// defaults are the usual parameters of a group with both modes.
func defaults() Params {
	return Params{
		Gid: []byte{0x44, 0x61, 0x6c}, MasterSecret: secret.Bytes("0123456789abcdef"), MasterSalt: secret.Bytes("salt"),
		AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA,
		GMCredential: []byte("credential of the group manager"),
	}
}

// key makes a key pair that depends on its name only.
func key(t testing.TB, crv cose.Curve, name string) *cose.PrivateKey {
	t.Helper()
	d := sha256.Sum256([]byte(name))
	k, err := cose.NewPrivateKey(crv, d[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// identity makes a member with an Ed25519 key.
func identity(t testing.TB, id []byte, name string) Identity {
	t.Helper()
	k := key(t, cose.CurveEd25519, name)
	c, err := cose.NewCCS(name, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return Identity{SenderID: id, Credential: c, PrivateKey: k}
}

// newRealm makes a group with client 25, server 52, other 77; change may alter
// the parameters.
func newRealm(t testing.TB, change ...func(*Params)) *realm {
	t.Helper()
	r := &realm{params: defaults(), creds: new(StaticCredentials), ids: map[string]Identity{}}
	for _, f := range change {
		f(&r.params)
	}
	r.add(identity(t, []byte{0x25}, "client"), "client")
	r.add(identity(t, []byte{0x52}, "server"), "server")
	r.add(identity(t, []byte{0x77}, "other"), "other")
	return r
}

func (r *realm) add(id Identity, name string) {
	r.ids[name] = id
	r.creds.Set(id.SenderID, id.Credential)
}

// at makes the context of a member whose first sequence number is seq.
func (r *realm) at(t testing.TB, name string, seq uint64) *Context {
	t.Helper()
	c, err := NewContext(r.params, r.ids[name], numbers(t, seq), r.creds)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rekeyed is the same group under its next Gid and secret.
func (r *realm) rekeyed(gid byte) *realm {
	n := &realm{params: r.params, creds: r.creds, ids: r.ids}
	n.params.Gid = []byte{0x44, 0x61, gid}
	n.params.MasterSecret = append(secret.Bytes("next secret no. "), gid)
	return n
}

// get is a request and content a response, as an application makes them.
func get(path string) message.Message {
	return message.Message{
		Type: message.NonConfirmable, MessageID: 1, Token: message.Token{1, 2}, Code: codes.GET,
		Options: message.Options{{ID: message.URIPath, Value: []byte(path)}},
	}
}

func observe(value ...byte) message.Message {
	m := get("tv")
	m.Options = coapmsg.Insert(m.Options, message.Option{ID: message.Observe, Value: value})
	return m
}

func content(payload string) message.Message {
	return message.Message{
		Type: message.NonConfirmable, MessageID: 2, Token: message.Token{1, 2}, Code: codes.Content, Payload: []byte(payload),
	}
}

// notification is a response with Observe.
func notification(payload string) message.Message {
	m := content(payload)
	m.Options = message.Options{{ID: message.Observe, Value: []byte{7}}}
	return m
}

// option is the OSCORE option of a protected message.
func option(t testing.TB, m message.Message) coapmsg.OSCOREOption {
	t.Helper()
	v, n := coapmsg.FindOSCORE(m.Options)
	if n != 1 {
		t.Fatalf("%d oscore options", n)
	}
	o, err := coapmsg.ParseOSCOREOption(v)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// reoption replaces the OSCORE option of a copy of m.
func reoption(m message.Message, o coapmsg.OSCOREOption) message.Message {
	m.Options = coapmsg.Insert(coapmsg.Without(m.Options, coapmsg.OSCORE), message.Option{ID: coapmsg.OSCORE, Value: o.Append([]byte{})})
	return m
}

// flip returns a copy of m with one bit of the payload flipped.
func flip(m message.Message, at int) message.Message {
	m.Payload = bytes.Clone(m.Payload)
	if at < 0 {
		at += len(m.Payload)
	}
	m.Payload[at] ^= 1
	return m
}

func (m Mode) request(to []byte) RequestOptions { return RequestOptions{Mode: m, To: to} }

// ask protects a request, which must work.
func ask(t testing.TB, c *Context, m message.Message, mode Mode, to []byte) (message.Message, *Exchange) {
	t.Helper()
	out, x, err := c.ProtectRequest(m, mode.request(to))
	if err != nil {
		t.Fatalf("protect request: %v", err)
	}
	return out, x
}

// hear unprotects a request, which must work.
func hear(t testing.TB, c *Context, m message.Message) (message.Message, *Exchange, Sender) {
	t.Helper()
	in, x, s, err := c.UnprotectRequest(m)
	if err != nil {
		t.Fatalf("unprotect request: %v", err)
	}
	return in, x, s
}

// answer protects a response, which must work.
func answer(t testing.TB, c *Context, m message.Message, x *Exchange, o ResponseOptions) message.Message {
	t.Helper()
	out, err := c.ProtectResponse(m, x, o)
	if err != nil {
		t.Fatalf("protect response: %v", err)
	}
	return out
}

// learn unprotects a response, which must work.
func learn(t testing.TB, c *Context, m message.Message, x *Exchange) (message.Message, Sender) {
	t.Helper()
	in, s, err := c.UnprotectResponse(m, x)
	if err != nil {
		t.Fatalf("unprotect response: %v", err)
	}
	return in, s
}

// wantErr fails unless err is target.
func wantErr(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, not %v", err, target)
	}
}

// wantBytes fails unless got is want.
func wantBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%s is %x, not %x", what, got, want)
	}
}

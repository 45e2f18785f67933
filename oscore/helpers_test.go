package oscore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// must unwraps a value from a call that has to succeed.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// memoryStore is a SequenceStore that remembers the mark.
type memoryStore struct {
	mark uint64
	err  error
}

func (s *memoryStore) Reserve(_ context.Context, upTo uint64) error {
	if s.err != nil {
		return s.err
	}
	s.mark = upTo
	return nil
}

// sequenceAt is a sequence that gives next and some more.
func sequenceAt(t testing.TB, next uint64) *Sequence {
	t.Helper()
	s := NewSequence(next)
	if err := s.Reserve(context.Background(), new(memoryStore), 1000); err != nil {
		t.Fatal(err)
	}
	return s
}

func testParams() Params {
	return Params{
		MasterSecret: []byte("0123456789abcdef"), MasterSalt: []byte("saltsalt"),
		SenderID: []byte{}, RecipientID: []byte{1},
	}
}

// reverse gives the peer's parameters.
func reverse(p Params) Params {
	p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
	return p
}

// pair makes a client's and a server's context.
func pair(t testing.TB, p Params) (client, server *Context) {
	t.Helper()
	client = must(NewContext(p, NewEphemeralSequence()))(t)
	server = must(NewContext(reverse(p), NewEphemeralSequence()))(t)
	return client, server
}

func option(id message.OptionID, v string) message.Option {
	return message.Option{ID: id, Value: []byte(v)}
}

func get(opts ...message.Option) message.Message {
	return message.Message{
		Code: codes.GET, Token: []byte{1, 2}, Type: message.Confirmable, MessageID: 7,
		Options: append(message.Options{option(message.URIPath, "tv1")}, opts...),
	}
}

func content(payload string, opts ...message.Option) message.Message {
	return message.Message{Code: codes.Content, Token: []byte{1, 2}, Type: message.Acknowledgement, MessageID: 7, Options: opts, Payload: []byte(payload)}
}

// request sends m from client to server.
func request(t testing.TB, client, server *Context, m message.Message) (cx, sx *Exchange) {
	t.Helper()
	protected, cx, err := client.ProtectRequest(m, RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inner, sx, err := server.UnprotectRequest(protected)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, inner, m)
	return cx, sx
}

// oscoreOption reads the option of a protected message.
func oscoreOption(t testing.TB, m message.Message) coapmsg.OSCOREOption {
	t.Helper()
	v, n := coapmsg.FindOSCORE(m.Options)
	if n != 1 {
		t.Fatalf("%d oscore options", n)
	}
	return must(coapmsg.ParseOSCOREOption(v))(t)
}

// edit returns a deep copy of m, changed by f.
func edit(t testing.TB, m message.Message, f func(*message.Message)) message.Message {
	t.Helper()
	m.Payload = bytes.Clone(m.Payload)
	m.Token = bytes.Clone(m.Token)
	opts := make(message.Options, len(m.Options))
	for i, o := range m.Options {
		opts[i] = message.Option{ID: o.ID, Value: bytes.Clone(o.Value)}
	}
	m.Options = opts
	f(&m)
	return m
}

// withOption replaces the OSCORE option of a protected message.
func withOption(t testing.TB, m message.Message, value []byte) message.Message {
	return edit(t, m, func(m *message.Message) {
		m.Options = coapmsg.Insert(coapmsg.Without(m.Options, coapmsg.OSCORE), message.Option{ID: coapmsg.OSCORE, Value: value})
	})
}

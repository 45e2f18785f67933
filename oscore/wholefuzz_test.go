package oscore

import (
	"bytes"
	"testing"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// protectedPart is what of a message is protected, as it travels.
func protectedPart(m message.Message) []byte {
	v, _ := coapmsg.FindOSCORE(m.Options)
	return append(append(append([]byte{}, v...), 0), m.Payload...)
}

// genuine checks that what was accepted in place of a message is that message,
// but for fields that anybody may change.
func genuine(t *testing.T, got, inner, wantInner message.Message, want []byte) {
	t.Helper()
	if !bytes.Equal(protectedPart(got), want) {
		t.Fatalf("%x accepted in place of %x", protectedPart(got), want)
	}
	equal(t, []any{inner.Code, inner.Payload}, []any{wantInner.Code, wantInner.Payload})
	for _, o := range wantInner.Options {
		v, _ := coapmsg.Get(inner.Options, o.ID)
		if o.ID != message.Observe && !bytes.Equal(v, o.Value) {
			t.Fatalf("option %d is %x", o.ID, v)
		}
	}
}

// FuzzReplacedMessage replaces the request or a response of an exchange that is
// the same each time. If the replacement is accepted it is the message itself;
// if not, the message itself is accepted after it.
func FuzzReplacedMessage(f *testing.F) {
	q, r := observing(""), notification("22")
	for _, response := range []bool{false, true} {
		client, server := pair(f, testParams())
		m, _, err := client.ProtectRequest(q, RequestOptions{})
		if err != nil {
			f.Fatal(err)
		}
		if response {
			_, sx, err := server.UnprotectRequest(m)
			if err != nil {
				f.Fatal(err)
			}
			m = respond(f, server, sx, r, ResponseOptions{PIV: true})
		}
		f.Add(response, encode(f, m))
	}
	f.Fuzz(func(t *testing.T, response bool, b []byte) {
		replacement, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return
		}
		client, server := pair(t, testParams())
		m, cx, err := client.ProtectRequest(q, RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !response {
			inner, _, err := server.UnprotectRequest(replacement)
			if err == nil {
				genuine(t, replacement, inner, q, protectedPart(m))
				_, _, err = server.UnprotectRequest(m)
				wantErr(t, err, ErrReplay)
				return
			}
		}
		_, sx, err := server.UnprotectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		answer := respond(t, server, sx, r, ResponseOptions{PIV: true})
		if response {
			if inner, err := client.UnprotectResponse(replacement, cx); err == nil {
				genuine(t, replacement, inner, r, protectedPart(answer))
				_, err := client.UnprotectResponse(answer, cx)
				wantErr(t, err, ErrReplay)
				return
			}
		}
		if _, err := client.UnprotectResponse(answer, cx); err != nil {
			t.Fatal(err)
		}
	})
}

// b2Script is a run of Appendix B.2 that is the same each time.
type b2Script struct {
	client *B2Client
	server *B2Server
	sent   [4]message.Message // as protected
	x1, x2 *Exchange
	ctx    *Context
}

// play makes the first n messages and has all but the last of them received.
func playB2(t testing.TB, n int) *b2Script {
	p := testParams()
	p.SenderID = []byte{5}
	s := &b2Script{client: must(NewB2Client(p, &counting{n: 0x10}))(t), server: must(NewB2Server(reverse(p), &counting{n: 0x50}))(t)}
	var err error
	if s.sent[0], s.x1, err = s.client.Request1(get()); err != nil {
		t.Fatal(err)
	}
	if n == 1 {
		return s
	}
	opened, err := s.server.Open(s.sent[0])
	if err != nil {
		t.Fatal(err)
	}
	s.sent[1] = opened.Message
	s.sent[1].Type, s.sent[1].MessageID = message.Acknowledgement, 7
	if n == 2 {
		return s
	}
	if _, err := s.client.Response1(s.sent[1], s.x1); err != nil {
		t.Fatal(err)
	}
	if s.sent[2], s.x2, err = s.client.Request2(get()); err != nil {
		t.Fatal(err)
	}
	if n == 3 {
		return s
	}
	opened, err = s.server.Open(s.sent[2])
	if err != nil || opened.Context == nil {
		t.Fatal(opened, err)
	}
	s.ctx = opened.Context
	s.sent[3] = respond(t, s.ctx, opened.Exchange, content("22"), ResponseOptions{})
	return s
}

// FuzzB2 replaces one message of a run. What is accepted in its place is that
// message, and after what is refused the run goes on with it.
func FuzzB2(f *testing.F) {
	for i, m := range playB2(f, 4).sent {
		f.Add(byte(i), encode(f, m))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		replacement, err := coapmsg.ParseDatagram(b)
		if err != nil || which > 3 {
			return
		}
		AnswersB2(replacement)
		s := playB2(t, int(which)+1)
		want := protectedPart(s.sent[which])
		same := bytes.Equal(protectedPart(replacement), want)
		accepted := false
		switch which {
		case 0:
			var o B2Opened
			o, err = s.server.Open(replacement)
			if o.Context != nil {
				t.Fatal("established by a first message")
			}
			accepted = err == nil
			// To a server that knows of no run, request 2 is a request of a
			// context it lost.
			same = same || accepted && bytes.Equal(protectedPart(replacement), protectedPart(playB2(t, 3).sent[2]))
		case 1:
			_, err = s.client.Response1(replacement, s.x1)
			accepted = err == nil
		case 2:
			var o B2Opened
			o, err = s.server.Open(replacement)
			if o.Context == nil && err == nil && oscoreOption(t, o.Message).KIDContext == nil {
				t.Fatal("an answer that is no response 1")
			}
			accepted = o.Context != nil
		case 3:
			_, _, err = s.client.Response2(replacement, s.x2)
			accepted = err == nil
		}
		if accepted && !same {
			t.Fatalf("%x accepted in place of %x", protectedPart(replacement), want)
		}
		if accepted {
			return
		}
		switch which {
		case 0:
			_, err = s.server.Open(s.sent[0])
		case 1:
			_, err = s.client.Response1(s.sent[1], s.x1)
		case 2:
			var o B2Opened
			if o, err = s.server.Open(s.sent[2]); err == nil && o.Message.Code != codes.GET {
				t.Fatal(o.Message)
			}
		case 3:
			_, _, err = s.client.Response2(s.sent[3], s.x2)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}
